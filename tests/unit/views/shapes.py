"""The shape of JSON answers: at each path which keys an object always has, which it ever has, and of which types its values are.

Rules: a path joins keys by dots, `[]` is any element of a list; objects whose keys are data (roles, flags) say `{}` for any key.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

KEYED_BY_DATA = ("flags", "attributes", "reserved_resources", "reserved_resources_full")


class Shape:
    """What was seen at each path over a number of answers."""

    def __init__(self, answers: Iterable[Any]) -> None:
        self.always: dict[str, set[str]] = {}
        self.ever: dict[str, set[str]] = {}
        self.types: dict[str, set[str]] = {}
        for answer in answers:
            self._see("", answer)

    def _see(self, path: str, found: Any) -> None:  # noqa: ANN401 - JSON
        self.types.setdefault(path, set()).add(kind_of(found))
        if isinstance(found, list):
            for element in found:
                self._see(path + "[]", element)
        elif isinstance(found, dict) and path.endswith(KEYED_BY_DATA):
            for element in found.values():
                self._see(path + "{}", element)
        elif isinstance(found, dict):
            keys = set(found)
            self.always[path] = self.always.get(path, keys) & keys
            self.ever.setdefault(path, set()).update(keys)
            for key, element in found.items():
                self._see(f"{path}.{key}" if path else key, element)


def kind_of(found: Any) -> str:  # noqa: ANN401 - JSON
    """The JSON type; whole numbers and others are told apart, as clients in typed languages do."""
    return {dict: "object", list: "list", str: "text", bool: "bool", int: "int", float: "float"}.get(
        type(found), "null"
    )


def differences(ours: Shape, theirs: Shape, accepted: Mapping[str, str]) -> list[str]:
    """Every way in which our answers don't look like theirs, those in `accepted` (path -> reason) left out."""
    found: list[str] = []
    for path, keys in ours.ever.items():
        at = path + "." if path else ""
        if path not in theirs.ever:
            continue
        found += [f"+{at}{key}" for key in sorted(keys - theirs.ever[path])]
        found += [f"-{at}{key}" for key in sorted(theirs.always[path] - ours.always[path])]
    for path, kinds in ours.types.items():
        if path in theirs.types and not kinds <= theirs.types[path]:
            found.append(f"~{path}: {sorted(kinds)}, not {sorted(theirs.types[path])}")
    return [line for line in found if line not in accepted]
