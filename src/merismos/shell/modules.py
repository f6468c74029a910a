"""Mesos' way to name modules and their parameters: `--modules`, as JSON or a file of it, and `--modules_dir`.

Rules: `{"libraries": [{"file": …, "modules": [{"name": …, "parameters": [{"key": …, "value": …}]}]}]}`; the libraries themselves are
never loaded, since what they do in Mesos is built in here or isn't there. Files of a directory are read in the order of their names.
Errors: FlagError, with what to change.
"""

from __future__ import annotations

from pathlib import Path

import msgspec

from merismos.shell.flags import FlagError, Flags


class Parameter(msgspec.Struct):
    """One parameter."""

    key: str
    value: str = ""


class Module(msgspec.Struct):
    """One module."""

    name: str
    parameters: list[Parameter] = []


class Library(msgspec.Struct):
    """What would be one shared library."""

    modules: list[Module] = []


class Manifest(msgspec.Struct):
    """The whole description."""

    libraries: list[Library] = []


def modules_of(flags: Flags) -> dict[str, dict[str, str]]:
    """Return the parameters of the modules that are described, by their names."""
    given = flags.text("modules")
    directory = flags.text("modules_dir")
    if given is not None and directory is not None:
        raise FlagError("give --modules or --modules_dir, not both")
    texts: list[tuple[str, bytes]] = []
    if given is not None:
        is_text = given.lstrip().startswith("{")
        texts = [("--modules", given.encode() if is_text else _read(Path(given.removeprefix("file://"))))]
    elif directory is not None:
        texts = [(str(path), _read(path)) for path in sorted(Path(directory).iterdir())]
    found: dict[str, dict[str, str]] = {}
    for where, text in texts:
        try:
            manifest = msgspec.json.decode(text, type=Manifest)
        except msgspec.DecodeError as error:
            raise FlagError(
                f'{where} describes no modules: {error}; write {{"libraries": [{{"modules": …}}]}}'
            ) from error
        for module in (module for library in manifest.libraries for module in library.modules):
            found[module.name] = {parameter.key: parameter.value for parameter in module.parameters}
    return found


def _read(path: Path) -> bytes:
    try:
        return path.read_bytes()
    except OSError as error:
        raise FlagError(f"--modules: {error}") from error
