"""The fast lane against a machine that answers as told."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

import pytest

from merismos.adapters.http.lane import Limits
from merismos.core.master import effects, events
from merismos.protocol.v1 import mesos, scheduler

if TYPE_CHECKING:
    from tests.unit.http.conftest import Call, Harness, Serve

SUBSCRIBE = b'{"type":"SUBSCRIBE","subscribe":{"framework_info":{"user":"u","name":"n"}}}'


def test_a_call_is_answered_202_with_a_date_and_without_a_content_type(serve: Serve, call: Call) -> None:
    async def scenario(harness: Harness) -> None:
        client = await harness.connect()
        status, headers, body = await client.ask(call(headers="Mesos-Stream-Id: s-1\r\n"))
        assert (status, body) == ("202 Accepted", b"")
        assert list(headers) == ["date", "content-length"]
        (event,) = harness.machine.seen
        assert event.call.type == "REVIVE"
        assert event.stream_id == "s-1"

    serve(scenario)


@pytest.mark.parametrize("path", ["/api/v1/scheduler/", "/master/api/v1/scheduler", "/master/api/v1/scheduler/any?x=1"])
def test_every_spelling_of_the_path_reaches_the_scheduler_api(serve: Serve, call: Call, path: str) -> None:
    async def scenario(harness: Harness) -> None:
        client = await harness.connect()
        assert (await client.ask(call(path=path)))[0] == "202 Accepted"

    serve(scenario)


def test_pipelined_calls_are_answered_in_order_whatever_the_pieces(serve: Serve, call: Call) -> None:
    async def scenario(harness: Harness) -> None:
        harness.machine.answers[events.SchedulerCalled] = lambda event: [
            effects.Respond(
                event.request, 202 if event.call.type == "REVIVE" else 400, "" if event.call.type == "REVIVE" else "no"
            )
        ]
        data = b"".join(call(b'{"type":"%b"}' % name) for name in [b"REVIVE", b"SUPPRESS", b"REVIVE", b"SUPPRESS"] * 25)
        client = await harness.connect()
        for size in (1, 7, 64, 1000, len(data)):
            for start in range(0, len(data), size):
                client.writer.write(data[start : start + size])
                if size < 64 and start % 512 == 0:
                    await client.writer.drain()
            statuses = [(await client.answer())[0] for _ in range(100)]
            assert statuses == ["202 Accepted", "400 Bad Request"] * 50

    serve(scenario, Limits())


def test_a_head_and_its_body_may_come_apart(serve: Serve, call: Call) -> None:
    async def scenario(harness: Harness) -> None:
        client = await harness.connect()
        head, _, body = call().partition(b"\r\n\r\n")
        client.writer.write(head + b"\r\n\r\n")
        await client.writer.drain()
        await asyncio.sleep(0)
        assert (await client.ask(body))[0] == "202 Accepted"

    serve(scenario)


def test_a_chunked_body_is_a_body_and_what_follows_it_is_the_next_request(serve: Serve, call: Call) -> None:
    async def scenario(harness: Harness) -> None:
        head = (
            b"POST /api/v1/scheduler HTTP/1.1\r\nContent-Type: application/json\r\nTransfer-Encoding: chunked\r\n\r\n"
        )
        chunked = head + b'5\r\n{"typ\r\nd;x=y\r\ne":"SUPPRESS"\r\n1\r\n}\r\n0\r\nTrailer: x\r\n\r\n'
        client = await harness.connect()
        for size in (1, 3, 1000):
            data = chunked + call() + chunked
            for start in range(0, len(data), size):
                client.writer.write(data[start : start + size])
            for _ in range(3):
                assert (await client.answer())[0] == "202 Accepted"
        assert [event.call.type for event in harness.machine.seen] == ["SUPPRESS", "REVIVE", "SUPPRESS"] * 3

    serve(scenario)


def test_an_expected_continue_is_given_before_the_body(serve: Serve, call: Call) -> None:
    async def scenario(harness: Harness) -> None:
        client = await harness.connect()
        head, _, body = call(headers="Expect: 100-continue\r\n").partition(b"\r\n\r\n")
        client.writer.write(head + b"\r\n\r\n")
        assert await client.reader.readuntil(b"\r\n\r\n") == b"HTTP/1.1 100 Continue\r\n\r\n"
        assert (await client.ask(body))[0] == "202 Accepted"

    serve(scenario)


def test_a_connection_moves_to_the_slow_lane_and_can_still_call(serve: Serve, call: Call) -> None:
    async def scenario(harness: Harness) -> None:
        client = await harness.connect()
        client.writer.write(call() + call(b"hello", path="/echo") + call() + call(b"bye", path="/master/echo/any/"))
        answers = [await client.answer() for _ in range(4)]
        assert [status for status, _, _ in answers] == ["202 Accepted", "200 OK", "202 Accepted", "200 OK"]
        assert [body for _, _, body in answers] == [b"", b"POST hello", b"", b"POST bye"]

    serve(scenario)


def test_a_subscription_opens_a_chunked_stream_of_one_record_a_chunk(serve: Serve, call: Call) -> None:
    async def scenario(harness: Harness) -> None:
        client = await harness.connect()
        client.writer.write(call(SUBSCRIBE, headers="Connection: close\r\n"))
        head = (await client.reader.readuntil(b"\r\n\r\n")).decode()
        (event,) = harness.machine.seen
        assert head.startswith("HTTP/1.1 200 OK\r\nDate: ")
        assert (
            f"\r\nTransfer-Encoding: chunked\r\nMesos-Stream-Id: {event.stream_id}\r\nContent-Type: application/json\r\n\r\n"
            in head
        )
        error = scheduler.Event(type=scheduler.Event_Type.ERROR, error=scheduler.Event_Error(message="héllo\n"))
        harness.exchange.send_event(effects.SendEvent(event.stream, error))
        harness.exchange.send_update(effects.SendUpdate(event.stream, '{"message":"ü"}'.encode()))
        harness.exchange.send_heartbeat(effects.SendHeartbeat([event.stream, 999]))
        harness.exchange.close_stream(effects.CloseStream(event.stream))
        assert await client.chunk() == b'51\n{"type":"ERROR","error":{"message":"h\\u00e9llo\\n"}}'
        assert await client.chunk() == b'58\n{"type":"UPDATE","update":{"status":{"message":"\\u00fc"}}}'
        assert await client.chunk() == b'20\n{"type":"HEARTBEAT"}'
        assert await client.end() == b"0\r\n\r\n"
        assert harness.machine.count(events.StreamClosed) == 0

    serve(scenario)


def test_a_protobuf_stream_carries_protobuf_records(serve: Serve, call: Call) -> None:
    async def scenario(harness: Harness) -> None:
        from merismos.protocol import protobuf

        client = await harness.connect()
        client.writer.write(call(SUBSCRIBE, headers="Accept: application/x-protobuf\r\n"))
        assert b"Content-Type: application/x-protobuf\r\n" in await client.reader.readuntil(b"\r\n\r\n")
        stream = harness.machine.seen[0].stream
        harness.exchange.send_heartbeat(effects.SendHeartbeat([stream]))
        harness.exchange.send_update(effects.SendUpdate(stream, b'{"task_id":{"value":"t"},"state":"TASK_RUNNING"}'))
        assert await client.chunk() == b"2\n\x08\x08"
        record = (await client.chunk()).partition(b"\n")[2]
        update = protobuf.decode(scheduler.Event, record).update
        assert update is not None
        assert update.status.state == mesos.TaskState.TASK_RUNNING

    serve(scenario)


def test_a_lost_stream_is_told_once_and_what_is_sent_on_it_later_is_dropped(serve: Serve, call: Call) -> None:
    async def scenario(harness: Harness) -> None:
        client = await harness.connect()
        client.writer.write(call(SUBSCRIBE))
        await client.reader.readuntil(b"\r\n\r\n")
        stream = harness.machine.seen[0].stream
        client.writer.transport.abort()
        await harness.until(lambda: harness.machine.count(events.StreamClosed) > 0)
        harness.exchange.send_heartbeat(effects.SendHeartbeat([stream]))
        harness.exchange.close_stream(effects.CloseStream(stream))
        assert [event.stream for event in harness.machine.seen if isinstance(event, events.StreamClosed)] == [stream]

    serve(scenario)


def test_calls_behind_an_open_stream_are_held_back_until_it_ends(serve: Serve, call: Call) -> None:
    async def scenario(harness: Harness) -> None:
        client = await harness.connect()
        client.writer.write(call(SUBSCRIBE) + call() + call()[:20])
        await client.reader.readuntil(b"\r\n\r\n")
        client.writer.write(call()[20:])
        stream = harness.machine.seen[0].stream
        await harness.until(lambda: len(harness.server.connections) == 1)
        assert harness.machine.count(events.SchedulerCalled) == 0
        harness.exchange.close_stream(effects.CloseStream(stream))
        assert await client.reader.readexactly(5) == b"0\r\n\r\n"
        assert [(await client.answer())[0] for _ in range(2)] == ["202 Accepted"] * 2

    serve(scenario)


def test_a_master_that_recovers_answers_503_and_a_standby_names_the_leader(serve: Serve, call: Call) -> None:
    async def scenario(harness: Harness) -> None:
        client = await harness.connect()
        harness.gate.recovered = False
        assert (await client.ask(call()))[::2] == ("503 Service Unavailable", b"Master has not finished recovery")
        harness.gate.leads = False
        assert (await client.ask(call()))[0] == "503 Service Unavailable"
        harness.gate.leader = "other:5050"
        status, headers, _ = await client.ask(call(path="/api/v1/scheduler?a=b"))
        assert (status, headers["location"]) == ("307 Temporary Redirect", "//other:5050/api/v1/scheduler?a=b")

    serve(scenario)


@pytest.mark.parametrize("slowly", [False, True])
def test_a_master_that_stops_breaks_its_streams_off_without_a_last_chunk(
    serve: Serve, call: Call, slowly: bool
) -> None:
    async def scenario(harness: Harness) -> None:
        client = await harness.connect()
        if slowly:
            assert (await client.ask(call(path="/echo")))[0] == "200 OK"
        client.writer.write(call(SUBSCRIBE))
        await client.reader.readuntil(b"\r\n\r\n")
        harness.exchange.send_heartbeat(effects.SendHeartbeat([harness.machine.seen[0].stream]))
        assert await client.chunk() == b'20\n{"type":"HEARTBEAT"}'
        harness.exchange.close()
        assert await client.end() == b""

    serve(scenario)


def test_what_is_written_in_the_turn_in_which_a_connection_breaks_hurts_no_other(serve: Serve, call: Call) -> None:
    async def scenario(harness: Harness) -> None:
        clients = [await harness.connect() for _ in range(2)]
        for client in clients:
            client.writer.write(call(SUBSCRIBE))
            await client.reader.readuntil(b"\r\n\r\n")
        streams = [event.stream for event in harness.machine.seen]
        harness.exchange.send_heartbeat(effects.SendHeartbeat(streams))
        next(iter(harness.server.connections)).cut()
        assert await clients[1].chunk() == b'20\n{"type":"HEARTBEAT"}'
        harness.exchange.send_heartbeat(effects.SendHeartbeat(streams))
        assert await clients[1].chunk() == b'20\n{"type":"HEARTBEAT"}'

    serve(scenario)
