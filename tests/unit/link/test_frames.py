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
    data = b"".join(link.encode_frame([message]) for message in messages)
    decoder = link.FrameDecoder()
    arrived: list[link.Message] = []
    for cut in cuts:
        arrived += decoder.feed(data[:cut])
        data = data[cut:]
    arrived += decoder.feed(data)
    assert arrived == messages


def test_a_batch_is_one_frame() -> None:
    frame = link.encode_frame(MESSAGES)
    assert struct.unpack(">I", frame[:4]) == (len(frame) - 4,)
    assert link.FrameDecoder().feed(frame) == MESSAGES


def test_a_frame_over_the_limit_is_refused_before_it_is_read() -> None:
    with pytest.raises(link.LinkError, match="1073741824 bytes"):
        link.FrameDecoder().feed(struct.pack(">I", 1 << 30))


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
        messages = link.FrameDecoder().feed(struct.pack(">I", len(body)) + body)
    except link.LinkError:
        return
    assert all(isinstance(message, link.Message) for message in messages)
