"""Renderings of single records as JSON bytes, kept until the record changes, within a bound.

Rules: a rendering is made on first read, keyed by the record and a version that changes with it; the oldest go first.
"""

from __future__ import annotations

from collections.abc import Callable, Hashable, Iterable, Iterator

import msgspec

from merismos.protocol import json

BYTES_MAX = 64 * 1024 * 1024
SLICE_BYTES = 64 * 1024


def encode(value: object) -> bytes:
    """Return compact JSON in ASCII of Structs, dicts and lists."""
    return json.to_ascii(msgspec.json.encode(value))


class Renderings:
    """A bounded store of rendered records.

    Units: bytes of JSON, the keys' own size not counted.
    """

    __slots__ = ("_bytes", "_bytes_max", "_entries")

    def __init__(self, bytes_max: int = BYTES_MAX) -> None:
        self._entries: dict[Hashable, tuple[Hashable, bytes]] = {}
        self._bytes = 0
        self._bytes_max = bytes_max

    def get(self, key: Hashable, version: Hashable, render: Callable[[], object]) -> bytes:
        """Return the JSON of `render()`, made anew only when `version` differs from the last time."""
        entry = self._entries.get(key)
        if entry is not None and entry[0] == version:
            return entry[1]
        if entry is not None:
            self._bytes -= len(entry[1])
            del self._entries[key]
        rendered = encode(render())
        self._entries[key] = (version, rendered)
        self._bytes += len(rendered)
        while self._bytes > self._bytes_max:
            oldest = next(iter(self._entries))
            self._bytes -= len(self._entries.pop(oldest)[1])
        return rendered


def sliced(parts: Iterable[bytes]) -> Iterator[bytes]:
    """Join small parts into slices of about SLICE_BYTES."""
    held: list[bytes] = []
    size = 0
    for part in parts:
        held.append(part)
        size += len(part)
        if size >= SLICE_BYTES:
            yield b"".join(held)
            held, size = [], 0
    if held:
        yield b"".join(held)


def array(items: Iterable[bytes]) -> Iterator[bytes]:
    """Yield a JSON array of rendered items, part by part."""
    separator = b"["
    for item in items:
        yield separator
        yield item
        separator = b","
    yield b"]" if separator == b"," else b"[]"
