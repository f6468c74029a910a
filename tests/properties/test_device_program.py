"""The program that decides about devices decides as the entries that it was made of say, whatever these are."""

from __future__ import annotations

import struct

import pytest
from hypothesis import given
from hypothesis import strategies as st

from merismos.core.containers.device_plan import BASE
from merismos.core.containers.device_program import assemble, parse_entry

KINDS, RIGHTS = {"b": 1, "c": 2}, {"m": 1, "r": 2, "w": 4}
NUMBERS = st.sampled_from([0, 1, 3, 7, 255, (1 << 31) + 5, (1 << 32) - 1])
PLACES = st.one_of(NUMBERS.map(str), st.just("*"))
WORDS = st.lists(st.sampled_from("rwm"), min_size=1, max_size=3, unique=True).map("".join)
ENTRIES = st.builds("{} {}:{} {}".format, st.sampled_from("bca"), PLACES, PLACES, WORDS) | st.just("a")


def run(program: bytes, kind: int, access: int, major: int, minor: int) -> int:
    """Play the kernel: run a program on one access, and see that it takes only the forms that we use."""
    context = struct.pack("<III", access << 16 | kind, major, minor)
    registers: list[int] = [0] * 11
    code = list(struct.iter_unpack("<BBhi", program))
    at = 0
    while True:
        opcode, both, offset, immediate = code[at]
        target, source = both & 15, both >> 4
        at += 1
        match opcode:
            case 0x61:
                (registers[target],) = struct.unpack_from("<I", context, offset)
            case 0xBF:
                registers[target] = registers[source]
            case 0xB7:
                registers[target] = immediate
            case 0x57:
                registers[target] &= immediate
            case 0x77:
                registers[target] >>= immediate
            case 0x56:
                assert offset >= 0, "a loop"
                if registers[target] & 0xFFFFFFFF != immediate & 0xFFFFFFFF:
                    at += offset
            case 0x95:
                return registers[0]
            case _:
                raise AssertionError(f"no instruction of ours: {opcode:#x}")


def says(entries: list[str], kind: int, access: int, major: int, minor: int) -> bool:
    for text in entries:
        if text == "a":
            return True
        which, numbers, rights = text.split()
        wanted = numbers.split(":")
        fits = all(one in {"*", str(number)} for one, number in zip(wanted, (major, minor), strict=True))
        given_rights = sum(RIGHTS[one] for one in rights)
        if fits and (which == "a" or KINDS[which] == kind) and not access & ~given_rights:
            return True
    return False


@given(
    st.lists(ENTRIES, max_size=6),
    st.sampled_from([1, 2]),
    st.integers(min_value=1, max_value=7),
    NUMBERS,
    NUMBERS,
)
def test_an_access_passes_exactly_where_one_entry_allows_all_of_it(
    entries: list[str], kind: int, access: int, major: int, minor: int
) -> None:
    assert run(assemble(entries), kind, access, major, minor) == says(entries, kind, access, major, minor)


@given(st.lists(ENTRIES, max_size=6))
def test_every_instruction_can_be_reached(entries: list[str]) -> None:
    code = list(struct.iter_unpack("<BBhi", assemble(entries)))
    reached, waiting = {0}, [0]
    while waiting:
        at = waiting.pop()
        opcode, _, offset, _ = code[at]
        following = [] if opcode == 0x95 else [at + 1, *([at + 1 + offset] if opcode == 0x56 else [])]
        waiting += [one for one in following if one not in reached]
        reached.update(following)
    assert reached == set(range(len(code)))


def test_what_every_container_has_lets_it_make_any_node_and_open_few() -> None:
    program = assemble(BASE)
    assert run(program, 2, 1, 1, 11) == 1, "mknod"
    assert run(program, 2, 2, 1, 11) == 0, "reading /dev/kmsg"
    assert run(program, 2, 6, 1, 3) == 1, "/dev/null"


@pytest.mark.parametrize("text", ["", "c", "c 1:3", "x 1:3 r", "c 1:3 x", "c 1 r"])
def test_what_is_no_entry_is_named(text: str) -> None:
    with pytest.raises(ValueError, match="is no entry of a device cgroup"):
        parse_entry(text)
