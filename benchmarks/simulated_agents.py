"""A process full of simulated agents: real sockets and link frames, no containers.

`python -m benchmarks.simulated_agents HOST PORT COUNT MODE` registers COUNT agents and prints `ready` once all are admitted.
Rules: a task is answered at once: TASK_RUNNING (mode `running`), then on its acknowledgement TASK_FINISHED (mode `finished`);
mode `starting` sends TASK_STARTING first, as the built-in executor does.
"""

from __future__ import annotations

import asyncio
import base64
import itertools
import struct
import sys
import time
from typing import cast

import msgspec

from benchmarks.limits import raise_file_limit, uvloop_runner
from merismos.protocol import link

NEXT = {
    "running": {"": "TASK_RUNNING"},
    "finished": {"": "TASK_RUNNING", "TASK_RUNNING": "TASK_FINISHED"},
    "starting": {"": "TASK_STARTING", "TASK_STARTING": "TASK_RUNNING"},
    "whole": {"": "TASK_STARTING", "TASK_STARTING": "TASK_RUNNING", "TASK_RUNNING": "TASK_FINISHED"},
}
RESOURCES = [("cpus", 100000.0), ("mem", 100000000.0), ("disk", 100000000.0)]


class _Value(msgspec.Struct, gc=False):
    value: str


class _TaskId(msgspec.Struct, gc=False):
    task_id: _Value


TASK_ID = msgspec.json.Decoder(_TaskId)


def agent_info(hostname: str) -> bytes:
    """Return the AgentInfo that a simulated agent registers with."""
    resources: list[dict[str, object]] = [
        {"name": name, "type": "SCALAR", "scalar": {"value": value}} for name, value in RESOURCES
    ]
    resources.append({"name": "ports", "type": "RANGES", "ranges": {"range": [{"begin": 31000, "end": 32000}]}})
    return msgspec.json.encode({"hostname": hostname, "port": 5051, "resources": resources})


class SimulatedAgent(asyncio.Protocol):
    """One agent's end of the link."""

    counter = itertools.count(1)

    def __init__(self, number: int, mode: str, admitted: asyncio.Event, left: list[int]) -> None:
        self._number = number
        self._next = NEXT[mode]
        self._admitted = admitted
        self._left = left
        self._decoder = link.FrameDecoder()
        self._encoder = link.FrameEncoder()
        self._upgraded = False
        self._states: dict[str, str] = {}
        self._agent_id = ""
        self._head = b""

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Ask for the link."""
        self._transport = cast("asyncio.Transport", transport)
        self._transport.write(
            b"GET /link HTTP/1.1\r\nHost: bench\r\nConnection: Upgrade\r\nUpgrade: merismos-link/1\r\n\r\n"
            + self._encoder.encode([link.Hello()])
        )

    def data_received(self, data: bytes) -> None:
        """Answer every message of what came, in one frame."""
        if not self._upgraded:
            self._head += data
            head, separator, data = self._head.partition(b"\r\n\r\n")
            if not separator:
                return
            if b" 101 " not in head.split(b"\r\n")[0]:
                sys.exit(f"no link: {head[:200]!r}")
            self._upgraded = True
            info = agent_info(f"agent{self._number}.local")
            pid = f"slave(1)@127.0.0.1:{10000 + self._number % 50000}"
            self._transport.write(self._encoder.encode([link.RegisterAgent(info, "1.12.0", pid)]))
        answers: list[link.Message] = []
        for message in self._decoder.feed(data):
            self._answer(message, answers)
        if answers:
            self._transport.write(self._encoder.encode(answers))

    def _answer(self, message: link.Message, answers: list[link.Message]) -> None:
        match message:
            case link.AcknowledgeStatus():
                state = self._next.get(self._states[message.task_id])
                if state is None:
                    self._states.pop(message.task_id, None)
                else:
                    answers.append(self._update(message.framework_id, message.task_id, state))
            case link.RunTasks():
                first = self._next[""]
                answers += [
                    self._update(message.framework_id, TASK_ID.decode(raw).task_id.value, first)
                    for raw in message.tasks
                ]
            case link.Ping():
                answers.append(link.Pong(message.sequence))
            case link.AgentRegistered():
                self._agent_id = message.agent_id
                self._left[0] -= 1
                if not self._left[0]:
                    self._admitted.set()
            case _:
                pass

    def _update(self, framework_id: str, task_id: str, state: str) -> link.UpdateStatus:
        self._states[task_id] = state
        uuid = struct.pack(">QQ", self._number, next(self.counter))
        status = (
            f'{{"task_id":{{"value":"{task_id}"}},"state":"{state}","source":"SOURCE_EXECUTOR",'
            f'"agent_id":{{"value":"{self._agent_id}"}},"executor_id":{{"value":"{task_id}"}},"timestamp":{time.time()},'
            f'"uuid":"{base64.b64encode(uuid).decode()}","container_status":{{"container_id":{{"value":'
            f'"404379e4-6f0a-4642-b0ac-f714aad49677"}},"network_infos":[{{"ip_addresses":[{{"protocol":"IPv4",'
            f'"ip_address":"127.0.0.1"}}]}}],"executor_pid":4711}}}}'
        ).encode()
        return link.UpdateStatus(framework_id, task_id, state, state, uuid, status)

    def connection_lost(self, exc: Exception | None) -> None:
        """Say so: a bench without its agents measures nothing."""
        if not self._transport.is_closing():
            sys.exit(f"link lost: {exc}")


async def run(host: str, port: int, count: int, mode: str) -> None:
    """Register `count` agents and answer until the process is ended."""
    loop = asyncio.get_running_loop()
    admitted, left = asyncio.Event(), [count]
    for number in range(count):
        await loop.create_connection(lambda number=number: SimulatedAgent(number, mode, admitted, left), host, port)  # type: ignore[misc]
    await admitted.wait()
    sys.stdout.write("ready\n")
    sys.stdout.flush()
    await asyncio.Event().wait()


if __name__ == "__main__":
    raise_file_limit()
    uvloop_runner(run(sys.argv[1], int(sys.argv[2]), int(sys.argv[3]), sys.argv[4]))
