"""The program by which cgroups of version 2 decide about devices: from entries such as `c 1:3 rwm` to instructions of eBPF.

Rules: an access passes if one entry allows all of it; what no entry allows is refused. The kernel's verifier wants each path to end, so there
are only jumps forward. Instructions are those of a little-endian machine.
Shapes: the program is given a `bpf_cgroup_dev_ctx`: 16 bits of kind, 16 bits of access, major and minor number, 32 bits each.
Source: the kernel's Documentation/bpf/standardization/instruction-set and include/uapi/linux/bpf.h.
"""

from __future__ import annotations

import re
import struct
from typing import TYPE_CHECKING, NamedTuple

if TYPE_CHECKING:
    from collections.abc import Sequence

_INSTRUCTION = struct.Struct("<BBhi")
_ENTRY = re.compile(r"([abc])(?: (\*|\d+):(\*|\d+) ([rwm]+))?")
_KINDS = {"b": 1, "c": 2}
_RIGHTS = {"m": 1, "r": 2, "w": 4}
_EVERY_RIGHT = 7

# registers: what is returned, where the context is (later what is left of an access), and the four parts of an access
_RESULT, _SCRATCH, _KIND, _ACCESS, _MAJOR, _MINOR = 0, 1, 2, 3, 4, 5
_LOAD = 0x61  # a word of memory
_SET, _COPY, _AND, _SHIFT_RIGHT = 0xB7, 0xBF, 0x57, 0x77
_JUMP_UNEQUAL = 0x56  # of the lower 32 bits, to an immediate
_EXIT = 0x95


class Access(NamedTuple):
    """An entry, taken apart; `kind`, `major` and `minor` are None for any."""

    kind: int | None
    major: int | None
    minor: int | None
    rights: int


_ANYTHING = Access(None, None, None, _EVERY_RIGHT)


def assemble(entries: Sequence[str]) -> bytes:
    """Return the program.

    Errors: ValueError for what is no entry.
    """
    rules = [parse_entry(entry) for entry in entries]
    code = [
        _encode(_LOAD, _KIND, _SCRATCH, 0),
        _encode(_COPY, _ACCESS, _KIND),
        _encode(_AND, _KIND, immediate=0xFFFF),
        _encode(_SHIFT_RIGHT, _ACCESS, immediate=16),
        _encode(_LOAD, _MAJOR, _SCRATCH, 4),
        _encode(_LOAD, _MINOR, _SCRATCH, 8),
    ]
    for rule in rules:
        code += _rule(rule)
        if rule == _ANYTHING:  # what came after it would never be reached, which the kernel refuses
            return b"".join(code)
    return b"".join([*code, _encode(_SET, _RESULT), _encode(_EXIT)])


def parse_entry(text: str) -> Access:
    """Take an entry apart.

    Errors: ValueError.
    """
    match = _ENTRY.fullmatch(text)
    if match is None or (match[1] != "a" and match[4] is None):
        raise ValueError(f"'{text}' is no entry of a device cgroup, such as 'c 1:3 rwm'")
    rights = _EVERY_RIGHT if match[4] is None else sum(_RIGHTS[one] for one in dict.fromkeys(match[4]))
    return Access(_KINDS.get(match[1]), _number(match[2]), _number(match[3]), rights)


def _number(text: str | None) -> int | None:
    return None if text in {None, "*"} else int(str(text))


def _rule(rule: Access) -> list[bytes]:
    """Return the instructions that end the program with a yes where one entry allows an access, and else fall through."""
    tests = []
    if rule.kind is not None:
        tests.append((_KIND, rule.kind))
    if rule.major is not None:
        tests.append((_MAJOR, rule.major))
    if rule.minor is not None:
        tests.append((_MINOR, rule.minor))
    before = []
    if rule.rights != _EVERY_RIGHT:
        beyond = _EVERY_RIGHT & ~rule.rights
        before = [_encode(_COPY, _SCRATCH, _ACCESS), _encode(_AND, _SCRATCH, immediate=beyond)]
        tests.append((_SCRATCH, 0))
    yes = [_encode(_SET, _RESULT, immediate=1), _encode(_EXIT)]
    jumps = [
        _encode(_JUMP_UNEQUAL, register, offset=len(tests) - place - 1 + len(yes), immediate=value)
        for place, (register, value) in enumerate(tests)
    ]
    return [*before, *jumps, *yes]


def _encode(code: int, target: int = 0, source: int = 0, offset: int = 0, immediate: int = 0) -> bytes:
    signed = immediate - (1 << 32) if immediate >= 1 << 31 else immediate
    return _INSTRUCTION.pack(code, source << 4 | target, offset, signed)
