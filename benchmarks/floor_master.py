"""The floor under the master's rows: what uvloop, httptools and msgspec alone cost for the same traffic.

`python -m benchmarks.floor_master` prints its port. It offers, forwards and acknowledges without keeping or checking anything:
no states, no resources, no validation, no fairness. What Merismos costs above it is Merismos' own.
"""

from __future__ import annotations

import asyncio
import base64
import sys
from typing import cast

import httptools
import msgspec

from benchmarks.limits import raise_file_limit, uvloop_runner
from merismos.protocol import link

ANSWER = b"HTTP/1.1 202 Accepted\r\nContent-Length: 0\r\n\r\n"


class _Value(msgspec.Struct, gc=False):
    value: str


class _Launch(msgspec.Struct, gc=False):
    task_infos: list[msgspec.Raw] = []


class _Operation(msgspec.Struct, gc=False):
    launch: _Launch | None = None


class _Accept(msgspec.Struct, gc=False):
    offer_ids: list[_Value] = []
    operations: list[_Operation] = []


class _Acknowledge(msgspec.Struct, gc=False):
    agent_id: _Value
    task_id: _Value
    uuid: str


class _Call(msgspec.Struct, gc=False):
    type: str
    framework_id: _Value | None = None
    accept: _Accept | None = None
    acknowledge: _Acknowledge | None = None


CALL = msgspec.json.Decoder(_Call)


class Floor:
    """All that the floor knows: streams by framework, links by agent."""

    def __init__(self) -> None:
        self.streams: list[Connection] = []
        self.links: list[Connection] = []
        self.offers = 0
        self.turn = 0

    def offer(self, agent: int) -> None:
        """Offer an agent to the next framework."""
        if not self.streams:
            return
        self.turn += 1
        stream = self.streams[self.turn % len(self.streams)]
        offer = (
            f'{{"type":"OFFERS","offers":{{"offers":[{{"id":{{"value":"O{agent}"}},"framework_id":{{"value":"F"}},"agent_id":'
            f'{{"value":"S{agent}"}},"hostname":"h","resources":[{{"name":"cpus","type":"SCALAR","scalar":{{"value":4.0}}}}]}}]}}}}'
        ).encode()
        stream.record(offer)


class Connection(asyncio.Protocol):
    """One connection, whatever it turns out to be."""

    def __init__(self, floor: Floor) -> None:
        self._floor = floor
        self._parser = httptools.HttpRequestParser(self)
        self._frames: link.FrameDecoder | None = None
        self._encoder = link.FrameEncoder()
        self._batch: list[link.Message] = []
        self._out = bytearray()
        self._url = b""
        self._body = b""
        self._headers: dict[bytes, bytes] = {}
        self.number = 0

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Keep the transport."""
        self._transport = cast("asyncio.Transport", transport)

    def record(self, body: bytes) -> None:
        """Write one RecordIO record as one chunk, at the end of the turn."""
        record = b"%d\n%b" % (len(body), body)
        self._write(b"%x\r\n%b\r\n" % (len(record), record))

    def send(self, message: link.Message) -> None:
        """Add a message to the turn's frame."""
        if not self._batch:
            asyncio.get_running_loop().call_soon(self._flush_batch)
        self._batch.append(message)

    def _flush_batch(self) -> None:
        self._transport.write(self._encoder.encode(self._batch))
        self._batch = []

    def _write(self, data: bytes) -> None:
        if not self._out:
            asyncio.get_running_loop().call_soon(self._flush)
        self._out += data

    def _flush(self) -> None:
        self._transport.write(bytes(self._out))
        self._out.clear()

    def data_received(self, data: bytes) -> None:
        """Parse, and answer."""
        if self._frames is not None:
            for message in self._frames.feed(data):
                self._message(message)
            return
        try:
            self._parser.feed_data(data)
        except httptools.HttpParserUpgrade as upgrade:
            self._frames = link.FrameDecoder()
            self._transport.write(b"HTTP/1.1 101 Switching Protocols\r\n\r\n" + self._encoder.encode([link.Hello()]))
            self.data_received(data[upgrade.args[0] :])

    def on_message_begin(self) -> None:
        """Start a request."""
        self._body = b""
        self._headers = {}

    def on_url(self, url: bytes) -> None:
        """Keep the path."""
        self._url = url

    def on_header(self, name: bytes, value: bytes) -> None:
        """Keep a header."""
        self._headers[name.lower()] = value

    def on_body(self, body: bytes) -> None:
        """Keep the body."""
        self._body += body

    def on_message_complete(self) -> None:
        """Do what the call asks, without a look."""
        if self._frames is not None or self._url == b"/link":
            return
        call = CALL.decode(self._body)
        floor = self._floor
        if call.accept is not None:
            agent = int(call.accept.offer_ids[0].value[1:])
            tasks = [
                bytes(task)
                for operation in call.accept.operations
                if operation.launch
                for task in operation.launch.task_infos
            ]
            framework = str(self._headers[b"mesos-stream-id"], "ascii")
            floor.links[agent].send(link.RunTasks(framework, b"{}", "bench", tasks))
            floor.offer(agent)
        elif call.acknowledge is not None:
            acknowledged = call.acknowledge
            uuid = base64.b64decode(acknowledged.uuid)
            framework = str(self._headers[b"mesos-stream-id"], "ascii")
            message = link.AcknowledgeStatus(framework, acknowledged.task_id.value, uuid)
            floor.links[int(acknowledged.agent_id.value[1:])].send(message)
        elif call.type == "SUBSCRIBE":
            self._subscribe()
            return
        self._write(ANSWER)

    def _subscribe(self) -> None:
        floor = self._floor
        head = b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\nMesos-Stream-Id: %d\r\n\r\n" % len(floor.streams)
        self._write(head)
        self.record(b'{"type":"SUBSCRIBED","subscribed":{"framework_id":{"value":"F"}}}')
        floor.streams.append(self)
        for agent in range(len(floor.links)):
            if agent % 10 == len(floor.streams) % 10:
                floor.offer(agent)

    def _message(self, message: link.Message) -> None:
        if isinstance(message, link.UpdateStatus):
            stream = self._floor.streams[int(message.framework_id)]
            stream.record(b'{"type":"UPDATE","update":{"status":' + message.status + b"}}")
        elif isinstance(message, link.RegisterAgent):
            self.number = len(self._floor.links)
            self._floor.links.append(self)
            self.send(link.AgentRegistered(f"S{self.number}"))


async def run() -> None:
    """Serve until ended."""
    floor = Floor()
    server = await asyncio.get_running_loop().create_server(lambda: Connection(floor), "127.0.0.1", 0, backlog=4096)
    sys.stdout.write(f"{server.sockets[0].getsockname()[1]}\n")
    sys.stdout.flush()
    await server.serve_forever()


if __name__ == "__main__":
    raise_file_limit()
    uvloop_runner(run())
