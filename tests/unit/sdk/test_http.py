from __future__ import annotations

from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from merismos.sdk.http import AnswerReader, BrokenAnswerError, render_request

BODIES = st.binary(max_size=300)


def cut(data: bytes, at: list[int]) -> list[bytes]:
    edges = [0, *sorted(one % (len(data) + 1) for one in at), len(data)]
    return [data[start:end] for start, end in pairwise(edges) if end > start]


def read(pieces: list[bytes]) -> tuple[AnswerReader, bytes]:
    reader = AnswerReader()
    body = b"".join(part for piece in pieces for part in reader.feed(piece))
    return reader, body


@given(BODIES, st.lists(st.integers(min_value=0), max_size=8))
def test_a_counted_answer_comes_out_whole_whatever_its_pieces(body: bytes, at: list[int]) -> None:
    reader, got = read(cut(b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\nA: b\r\n\r\n%b" % (len(body), body), at))
    assert (reader.status, reader.headers["a"], got, reader.complete) == (200, "b", body, True)
    assert reader.reusable


@given(st.lists(BODIES.filter(bool), max_size=5), st.lists(st.integers(min_value=0), max_size=8))
def test_a_chunked_answer_comes_out_whole_whatever_its_pieces(chunks: list[bytes], at: list[int]) -> None:
    framed = b"".join(b"%x\r\n%b\r\n" % (len(chunk), chunk) for chunk in chunks) + b"0\r\n\r\n"
    reader, got = read(cut(b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n" + framed, at))
    assert (got, reader.complete) == (b"".join(chunks), True)


def test_an_answer_without_a_length_ends_with_its_connection() -> None:
    reader, got = read([b"HTTP/1.1 200 OK\r\n\r\nall of it"])
    assert (got, reader.complete) == (b"all of it", False)
    reader.end()
    assert reader.complete


@pytest.mark.parametrize("head", [b"Content-Length: 10", b"Transfer-Encoding: chunked"])
def test_a_connection_that_ends_inside_an_answer_is_an_error(head: bytes) -> None:
    reader, _ = read([b"HTTP/1.1 200 OK\r\n%b\r\n\r\n5\r\nab" % head])
    with pytest.raises(BrokenAnswerError, match="ended before the answer did"):
        reader.end()


def test_what_is_no_http_is_an_error() -> None:
    with pytest.raises(BrokenAnswerError, match="not HTTP"):
        AnswerReader().feed(b"SSH-2.0-OpenSSH_9.2\r\n")


def test_an_answer_that_closes_is_not_reusable() -> None:
    reader, _ = read([b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\nConnection: close\r\n\r\n"])
    assert reader.complete
    assert not reader.reusable


def test_a_request_counts_its_body_and_a_get_has_none() -> None:
    assert render_request("POST", "h:1", "/x", body=b"ab", headers={"A": "b"}) == (
        b"POST /x HTTP/1.1\r\nHost: h:1\r\nA: b\r\nContent-Length: 2\r\n\r\nab"
    )
    assert render_request("GET", "h:1", "/x") == b"GET /x HTTP/1.1\r\nHost: h:1\r\n\r\n"
