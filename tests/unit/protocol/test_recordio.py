"""RecordIO, both ways, in pieces."""

from __future__ import annotations

import pytest

from merismos.protocol import recordio
from merismos.protocol.errors import DecodeError


def test_a_record_is_its_length_a_newline_and_its_bytes() -> None:
    assert recordio.encode(b'{"type":"HEARTBEAT"}') == b'20\n{"type":"HEARTBEAT"}'


def test_several_records_in_one_piece_come_in_order() -> None:
    assert recordio.Decoder().feed(b"1\na2\nbc0\n") == [b"a", b"bc", b""]


def test_a_record_may_come_a_byte_at_a_time() -> None:
    decoder = recordio.Decoder()
    pieces = [decoder.feed(bytes([byte])) for byte in b"12\nhello\nworld!3\nabc"]
    assert [record for piece in pieces for record in piece] == [b"hello\nworld!", b"abc"]
    decoder.end()


def test_a_record_may_contain_what_looks_like_records() -> None:
    assert recordio.Decoder().feed(recordio.encode(b"3\nabc")) == [b"3\nabc"]


@pytest.mark.parametrize(
    "data", [b"x", b"-1\n", b"+1\na", b" 1\na", b"1 \na", b"\n", b"0x10\n", b"1_0\n", b"12345678901", b"\xb2\n"]
)
def test_what_is_no_length_is_refused(data: bytes) -> None:
    with pytest.raises(DecodeError, match="is not the length of a record"):
        recordio.Decoder().feed(data)


def test_a_record_over_the_bound_is_refused_before_any_of_it_came() -> None:
    with pytest.raises(DecodeError, match="a record of 1000000000 bytes is over the limit of 67108864"):
        recordio.Decoder().feed(b"1000000000\n")
    assert recordio.Decoder(bytes_max=3).feed(b"3\nabc") == [b"abc"]
    with pytest.raises(DecodeError):
        recordio.Decoder(bytes_max=2).feed(b"3\nabc")


def test_a_broken_stream_stays_broken() -> None:
    decoder = recordio.Decoder()
    with pytest.raises(DecodeError):
        decoder.feed(b"nonsense\n")
    with pytest.raises(DecodeError, match="nonsense"):
        decoder.feed(b"1\na")
    with pytest.raises(DecodeError, match="nonsense"):
        decoder.end()


@pytest.mark.parametrize("data", [b"1", b"3\n", b"3\nab", b"0"])
def test_a_stream_that_ends_inside_a_record_is_an_error(data: bytes) -> None:
    decoder = recordio.Decoder()
    assert decoder.feed(data) == []
    with pytest.raises(DecodeError, match="ended inside a record"):
        decoder.end()


def test_an_empty_stream_may_end() -> None:
    recordio.Decoder().end()
