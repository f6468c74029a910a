"""What agent and supervisor say to each other survives any cutting into pieces."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from merismos.containers.supervisor import FrameReader, Proc, descendants_of, encode_reply

fields = st.lists(st.binary(max_size=40).map(lambda field: field.replace(b"\0", b"0")), min_size=1, max_size=6)


@given(st.lists(fields, max_size=5), st.lists(st.integers(1, 7), min_size=1))
def test_frames_come_out_as_they_went_in_whatever_the_pieces(messages: list[list[bytes]], sizes: list[int]) -> None:
    data = b"".join(encode_reply(b"S", *message) for message in messages)
    reader = FrameReader()
    found = []
    turn = 0
    while data:
        size = sizes[turn % len(sizes)]
        found += reader.feed(data[:size])
        data = data[size:]
        turn += 1
    assert found == [(b"S", message) for message in messages]


def test_a_field_with_a_nul_is_refused_rather_than_split() -> None:
    with pytest.raises(ValueError, match="NUL"):
        encode_reply(b"S", b"a\0b", b"c")


def test_descendants_are_found_over_any_number_of_generations() -> None:
    rows = [Proc(2, 1, 2), Proc(3, 2, 2), Proc(4, 3, 4), Proc(9, 8, 9)]
    assert sorted(descendants_of(1, rows)) == [2, 3, 4]
    assert descendants_of(4, rows) == []
