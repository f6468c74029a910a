"""Flags in Mesos' spelling, from the command line and the environment, typed.

Rules: `--name=value`, `--name` and `--no-name` for switches; `MESOS_NAME` and `MERISMOS_NAME` in the environment, the latter
stronger, the command line strongest; `file://PATH` stands for the file's content (for the name of a file, for its path). A known
flag that has no effect here is accepted with one warning; an unknown one is an error that names the nearest. A flag given twice
is an error, since Mesos makes it one.
"""

from __future__ import annotations

import difflib
import enum
import re
from collections.abc import Callable, Container, Iterable, Mapping, Sequence
from pathlib import Path
from typing import NamedTuple

from merismos.shell.quantities import format_bytes, format_duration, parse_bytes, parse_duration_s

Value = str | bool | int | float
ENVIRONMENT_PREFIXES = ("MESOS_", "MERISMOS_")
_FILE = "file://"
_SECRET = frozenset({"docker_config"})
_PASSWORD = re.compile(r"^([a-z]+://[^:@/]*:)[^@/]*@")  # nobody but the process itself needs it


class Kind(enum.Enum):
    """What a flag's value is."""

    TEXT = "VALUE"
    PATH = "PATH"
    SWITCH = ""
    WHOLE = "NUMBER"
    REAL = "NUMBER "
    DURATION = "DURATION"
    BYTES = "BYTES"


class Flag(NamedTuple):
    """One flag: `default` is None where it is unset."""

    name: str
    kind: Kind
    default: str | None
    about: str
    aliases: tuple[str, ...] = ()


class FlagError(Exception):
    """The command line or the environment can't be taken as it is; the text says what to change."""


class Flags:
    """The values of all flags of a daemon.

    Shapes: `warnings` are sentences for the log.
    """

    def __init__(self, table: Mapping[str, Flag], values: Mapping[str, Value], warnings: Sequence[str]) -> None:
        self._table = table
        self._values = values
        self.warnings = list(warnings)

    def text(self, name: str) -> str | None:
        """Return a text or path, None where it is unset."""
        value = self._values.get(name)
        assert value is None or isinstance(value, str), f"--{name} is no text"
        return value

    def on(self, name: str) -> bool:
        """Return a switch; one that is unset is off."""
        value = self._values.get(name, False)
        assert isinstance(value, bool), f"--{name} is no switch"
        return value

    def whole(self, name: str) -> int:
        """Return a whole number, or a number of bytes."""
        value = self._values[name]
        assert isinstance(value, int), f"--{name} is no whole number"
        return value

    def real(self, name: str) -> float:
        """Return a number."""
        value = self._values[name]
        assert isinstance(value, float), f"--{name} is no number"
        return value

    def seconds(self, name: str) -> float:
        """Return a duration in seconds."""
        return self.real(name)

    def given(self, name: str) -> bool:
        """Return whether a flag has a value at all."""
        return name in self._values

    def printed(self) -> dict[str, str]:
        """Return every flag that has a value as `/flags` prints it."""
        return {
            name: "****" if name in _SECRET else _print(self._table[name].kind, value)
            for name, value in sorted(self._values.items())
        }


def parse(
    table: Mapping[str, Flag], arguments: Sequence[str], environment: Mapping[str, str], *, effective: Container[str]
) -> Flags:
    """Return the flags of a daemon; those not in `effective` are warned about where they are given.

    Errors: FlagError; its text says what to change.
    """
    names = {alias: flag.name for flag in table.values() for alias in (flag.name, *flag.aliases)}
    given: dict[str, tuple[str, str]] = {}
    for prefix in ENVIRONMENT_PREFIXES:
        for spelling, name in names.items():
            text = environment.get(prefix + spelling.upper())
            if text is not None:
                given[name] = (text, prefix + spelling.upper())
    given.update(_from_arguments(table, names, arguments))
    values: dict[str, Value] = {}
    warnings: list[str] = []
    for flag in table.values():
        if flag.name in given:
            text, source = given[flag.name]
            values[flag.name] = _convert(flag, text, source)
            if flag.name not in effective and values[flag.name] != _default(flag):
                warnings.append(f"{source} is accepted but has no effect here")
        elif flag.default is not None:
            values[flag.name] = _convert(flag, flag.default, "default")
    return Flags(table, values, warnings)


def usage(program: str, table: Mapping[str, Flag]) -> str:
    """Return what `--help` prints."""
    lines = [
        f"Usage: {program} [flags]",
        "",
        "Flags may also be set as MESOS_NAME or MERISMOS_NAME, or as --name=file://PATH.",
        "",
    ]
    for flag in sorted(table.values()):
        spelled = f"--[no-]{flag.name}" if flag.kind is Kind.SWITCH else f"--{flag.name}={flag.kind.value.strip()}"
        default = "" if flag.default is None else f" (default: {flag.default})"
        lines += [f"  {spelled}", f"      {flag.about}{default}"]
    return "\n".join(lines) + "\n"


def table_of(*groups: Iterable[Flag]) -> dict[str, Flag]:
    """Return one table of all groups; a later group's flag replaces an earlier one's."""
    return {flag.name: flag for group in groups for flag in group}


def _from_arguments(
    table: Mapping[str, Flag], names: Mapping[str, str], arguments: Sequence[str]
) -> Iterable[tuple[str, tuple[str, str]]]:
    seen: dict[str, str] = {}
    for argument in arguments:
        if not argument.startswith("--"):
            raise FlagError(f"'{argument}' is no flag; write --name=value")
        spelling, equals, text = argument[2:].partition("=")
        spelling = spelling.replace("-", "_")
        name = names.get(spelling)
        if name is None and spelling.startswith("no_") and not equals:
            name = names.get(spelling[3:])
            if name is not None and table[name].kind is not Kind.SWITCH:
                raise FlagError(f"--{spelling[3:]} takes a value, so '{argument}' can't switch it off")
            text = "false"
        elif name is not None and not equals:
            if table[name].kind is not Kind.SWITCH:
                raise FlagError(f"--{spelling} needs a value: write --{spelling}={table[name].kind.value.strip()}")
            text = "true"
        if name is None:
            raise FlagError(_unknown(spelling, names))
        if name in seen:
            raise FlagError(f"--{name} is given twice, as '{seen[name]}' and '{argument}'; leave one out")
        seen[name] = argument
        yield name, (text, argument.partition("=")[0])


def _unknown(spelling: str, names: Mapping[str, str]) -> str:
    bare = spelling.removeprefix("no_")
    near = difflib.get_close_matches(bare, names, n=1, cutoff=0.0)
    return f"--{spelling} is no flag; the nearest is --{near[0]} (--help shows all)"


def _convert(flag: Flag, text: str, source: str) -> Value:
    if text.startswith(_FILE):
        if flag.kind is Kind.PATH:
            text = text[len(_FILE) :]
        else:
            try:
                text = Path(text[len(_FILE) :]).read_text(encoding="utf-8").rstrip("\n")
            except (OSError, ValueError) as error:
                raise FlagError(f"{source}: {text} can't be read: {error}") from error
    try:
        return _CONVERTERS[flag.kind](text)
    except ValueError as error:
        raise FlagError(f"{source}: {error}") from error


def _default(flag: Flag) -> Value | None:
    return None if flag.default is None else _CONVERTERS[flag.kind](flag.default)


def _switch(text: str) -> bool:
    if text in {"true", "1"}:
        return True
    if text in {"false", "0"}:
        return False
    raise ValueError(f"'{text}' is neither true nor false")


def _whole(text: str) -> int:
    try:
        return int(text)
    except ValueError:
        raise ValueError(f"'{text}' is no whole number") from None


def _real(text: str) -> float:
    try:
        return float(text)
    except ValueError:
        raise ValueError(f"'{text}' is no number") from None


def _print(kind: Kind, value: Value) -> str:
    if isinstance(value, bool):
        return "true" if value else "false"
    if kind is Kind.DURATION and isinstance(value, float):
        return format_duration(value)
    if kind is Kind.BYTES and isinstance(value, int):
        return format_bytes(value)
    if isinstance(value, float):
        return f"{value:.15g}"
    return _PASSWORD.sub(r"\1****@", str(value))


_CONVERTERS: Mapping[Kind, Callable[[str], Value]] = {
    Kind.TEXT: str,
    Kind.PATH: str,
    Kind.SWITCH: _switch,
    Kind.WHOLE: _whole,
    Kind.REAL: _real,
    Kind.DURATION: parse_duration_s,
    Kind.BYTES: parse_bytes,
}
