"""The link's frames: batches of messages over any cut of the byte stream."""

from __future__ import annotations

import struct

import pytest
from hypothesis import given
from hypothesis import strategies as st

from merismos.protocol import link

MESSAGES: list[link.Message] = [
    link.Hello(epoch=3, master_id="m"),
    link.RegisterAgent(b"{}", "1.12.0", "slave(1)@127.0.0.1:5051"),
    link.ReregisterAgent(
        "S1", b"{}", "1.12.0", "slave(1)@h:1", tasks=[link.TaskRecord("F", b"{}", "*", "TASK_RUNNING")]
    ),
    link.UpdateStatus("F", "t", "TASK_RUNNING", "TASK_RUNNING", bytes(16), b"{}"),
    link.RunTasks("F", b"{}", "eng", [b"{}", b"{}"]),
    link.KillTask("F", "t", 2.5),
    link.AcknowledgeStatus("F", "t", bytes(16)),
    link.Ping(7),
    link.ShutdownAgent("gone"),
]


@given(st.lists(st.sampled_from(MESSAGES)), st.lists(st.integers(1, 40)))
def test_messages_arrive_in_order_whatever_the_pieces(messages: list[link.Message], cuts: list[int]) -> None:
    encoder = link.FrameEncoder()
    data = b"".join(encoder.encode([message]) for message in messages)
    decoder = link.FrameDecoder()
    arrived: list[link.Message] = []
    for cut in cuts:
        arrived += decoder.feed(data[:cut])
        data = data[cut:]
    arrived += decoder.feed(data)
    assert arrived == messages


def test_a_batch_is_one_frame() -> None:
    frame = link.FrameEncoder().encode(MESSAGES)
    assert struct.unpack(">IQ", frame[: link.HEADER_BYTES]) == (len(frame) - link.HEADER_BYTES, 0)
    assert link.FrameDecoder().feed(frame) == MESSAGES


def test_a_frame_that_comes_again_is_dropped() -> None:
    encoder, decoder = link.FrameEncoder(), link.FrameDecoder()
    first, second = encoder.encode([link.Ping(1)]), encoder.encode([link.Ping(2)])
    assert decoder.feed(first + first) == [link.Ping(1)]
    assert decoder.feed(second + first + second) == [link.Ping(2)]


def test_a_frame_that_comes_before_its_turn_ends_the_link() -> None:
    encoder, decoder = link.FrameEncoder(), link.FrameDecoder()
    encoder.encode([link.Ping(1)])
    with pytest.raises(link.LinkError, match="frame 1 came where 0 was due"):
        decoder.feed(encoder.encode([link.Ping(2)]))


def test_what_is_too_much_for_one_frame_leaves_in_several() -> None:
    messages: list[link.Message] = [link.MessageExecutor("F", "e", bytes(link.FRAME_BYTES_MAX // 2)) for _ in range(3)]
    frames = link.FrameEncoder().encode(messages)
    assert link.FrameDecoder().feed(frames) == messages


def test_a_frame_over_the_limit_is_refused_before_it_is_read() -> None:
    with pytest.raises(link.LinkError, match="1073741824 bytes"):
        link.FrameDecoder().feed(struct.pack(">IQ", 1 << 30, 0))


@given(st.binary(max_size=300))
def test_garbage_is_a_link_error_or_waits_for_more(data: bytes) -> None:
    decoder = link.FrameDecoder(bytes_max=200)
    try:
        decoder.feed(data)
    except link.LinkError:
        return


@given(st.binary(min_size=1, max_size=100))
def test_a_whole_frame_of_garbage_never_escapes_as_another_error(body: bytes) -> None:
    try:
        messages = link.FrameDecoder().feed(struct.pack(">IQ", len(body), 0) + body)
    except link.LinkError:
        return
    assert all(isinstance(message, link.Message) for message in messages)
