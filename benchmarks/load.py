"""The bench's scheduler: many frameworks in one process, raw HTTP on real sockets.

`python -m benchmarks.load HOST PORT '{"frameworks":10,"tasks":20000,...}'` prints one JSON line of what it saw.
Rules: ten tasks an ACCEPT; all ACKNOWLEDGEs of one received batch leave in one write (mode `saturated`), or each call waits
for its answer before the next (mode `one_at_a_time`). `idle` launches one task after another and times each. `chain` declines
every offer for an hour, and times how long the freed resources take to be offered to the next framework that waits.
"""

from __future__ import annotations

import asyncio
import json
import sys
import time
from typing import Any, cast

import msgspec

from benchmarks.limits import raise_file_limit, uvloop_runner

TASKS_AN_ACCEPT = 10
ACCEPTED = b"HTTP/1.1 202"
LABEL = "x" * 330  # brings a TaskInfo to 700 bytes


class _Value(msgspec.Struct, gc=False):
    value: str


class _Scalar(msgspec.Struct, gc=False):
    value: float


class _Resource(msgspec.Struct, gc=False):
    name: str
    scalar: _Scalar | None = None


class _Offer(msgspec.Struct, gc=False):
    id: _Value
    agent_id: _Value
    resources: list[_Resource] = []

    def tasks(self) -> int:
        """Return how many tasks of 0.1 CPUs it has room for."""
        return max(
            (int(part.scalar.value * 10) for part in self.resources if part.name == "cpus" and part.scalar), default=0
        )


class _Offers(msgspec.Struct, gc=False):
    offers: list[_Offer] = []


class _Status(msgspec.Struct, gc=False):
    task_id: _Value
    state: str
    agent_id: _Value
    uuid: str | None = None
    message: str = ""


class _Update(msgspec.Struct, gc=False):
    status: _Status


class _Subscribed(msgspec.Struct, gc=False):
    framework_id: _Value


class _Event(msgspec.Struct, gc=False):
    type: str
    offers: _Offers | None = None
    update: _Update | None = None
    subscribed: _Subscribed | None = None


EVENT = msgspec.json.Decoder(_Event)


def task_info(task_id: str, agent_id: str, command: str, container: str = "") -> bytes:
    """Return a TaskInfo of about 700 bytes; `container` is the JSON of its field, empty for none."""
    more = f',"container":{container}' if container else ""
    return (
        f'{{"name":"bench","task_id":{{"value":"{task_id}"}},"agent_id":{{"value":"{agent_id}"}},"resources":['
        '{"name":"cpus","type":"SCALAR","scalar":{"value":0.1}},{"name":"mem","type":"SCALAR","scalar":{"value":32.0}}],'
        f'"command":{{"shell":true,"value":"{command}"}},"labels":{{"labels":[{{"key":"pad","value":"{LABEL}"}}]}}{more}}}'
    ).encode()


class Stream(asyncio.Protocol):
    """Cuts a chunked RecordIO stream into events."""

    def __init__(self, framework: Framework) -> None:
        self._framework = framework
        self._buffer = b""
        self._in_body = False

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Subscribe."""
        cast("asyncio.Transport", transport).write(self._framework.subscription())

    def data_received(self, data: bytes) -> None:
        """Hand on the events that `data` completes, as one batch."""
        buffer = self._buffer + data
        if not self._in_body:
            head, separator, buffer = buffer.partition(b"\r\n\r\n")
            if not separator:
                self._buffer = head
                return
            if b" 200 " not in head.split(b"\r\n")[0]:
                sys.exit(f"not subscribed: {head!r} {buffer!r}")
            self._framework.stream_id = head.lower().split(b"mesos-stream-id: ")[1].split(b"\r\n")[0].decode()
            self._in_body = True
        start, events = 0, []
        while True:
            end = buffer.find(b"\r\n", start)
            if end < 0:
                break
            size = int(buffer[start:end], 16)
            after = end + 2 + size
            if len(buffer) < after + 2:
                break
            record = buffer[end + 2 : after]
            events.append(EVENT.decode(record[record.index(b"\n") + 1 :]))
            start = after + 2
        self._buffer = buffer[start:]
        if events:
            self._framework.received(events)

    def connection_lost(self, exc: Exception | None) -> None:
        """A lost stream ends the bench."""
        if not self._framework.load.done.is_set():
            sys.exit(f"stream lost: {exc}")


class Calls(asyncio.Protocol):
    """The connection for calls: writes them, counts the answers."""

    def __init__(self, *, one_at_a_time: bool) -> None:
        self._one_at_a_time = one_at_a_time
        self._waiting: list[bytes] = []
        self._busy = False
        self._tail = b""
        self.answers = 0

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Keep the transport."""
        self._transport = cast("asyncio.Transport", transport)

    def send(self, calls: list[bytes]) -> None:
        """Write the calls at once, or one by one as their answers come."""
        if not self._one_at_a_time:
            self._transport.write(b"".join(calls))
            return
        self._waiting += calls
        self._next()

    def _next(self) -> None:
        if self._waiting and not self._busy:
            self._busy = True
            self._transport.write(self._waiting.pop(0))

    def data_received(self, data: bytes) -> None:
        """Count answers, also those cut in two; a refusal ends the bench."""
        data = self._tail + data
        self._tail = data[1 - len(ACCEPTED) :]
        if b"HTTP/1.1 4" in data or b"HTTP/1.1 5" in data:
            sys.exit(f"refused: {data[:300]!r}")
        answers = data.count(ACCEPTED)
        self.answers += answers
        if answers:
            self._busy = False
            self._next()


class Framework:
    """One framework: accepts every offer with ten tasks while tasks are left to launch."""

    def __init__(self, load: Load, number: int) -> None:
        self.load = load
        self.number = number
        self.id = ""
        self.stream_id = ""
        self.calls: Calls
        self._head = b""
        self.suppressed = False

    def subscription(self) -> bytes:
        """Return the SUBSCRIBE request."""
        capabilities = [{"type": name} for name in ("MULTI_ROLE", "RESERVATION_REFINEMENT", "PARTITION_AWARE")]
        role = f"bench{self.number}" if self.load.options.get("role_each") else "bench"
        info = {"user": "root", "name": f"bench{self.number}", "roles": [role], "capabilities": capabilities}
        body = json.dumps({"type": "SUBSCRIBE", "subscribe": {"framework_info": info}}).encode()
        head = "POST /api/v1/scheduler HTTP/1.1\r\nHost: bench\r\nContent-Type: application/json\r\n"
        return f"{head}Accept: application/json\r\nContent-Length: {len(body)}\r\n\r\n".encode() + body

    def request(self, body: bytes) -> bytes:
        """Return a call's request."""
        if not self._head:
            self._head = (
                "POST /api/v1/scheduler HTTP/1.1\r\nHost: bench\r\nContent-Type: application/json\r\n"
                f"Accept: application/json\r\nMesos-Stream-Id: {self.stream_id}\r\nContent-Length: "
            ).encode()
        return self._head + str(len(body)).encode() + b"\r\n\r\n" + body

    def received(self, events: list[_Event]) -> None:
        """Answer a batch of events in one write."""
        calls: list[bytes] = []
        load = self.load
        for event in events:
            if event.update is not None:
                status = event.update.status
                load.saw(status)
                if status.uuid:
                    calls.append(self._acknowledge(status))
            elif event.offers is not None:
                calls += self._answers(event.offers.offers)
            elif event.subscribed is not None:
                self.id = event.subscribed.framework_id.value
        if calls:
            load.calls += len(calls)
            self.calls.send(calls)
        load.check()

    def _acknowledge(self, status: _Status) -> bytes:
        return self.request(
            f'{{"framework_id":{{"value":"{self.id}"}},"type":"ACKNOWLEDGE","acknowledge":{{"agent_id":{{"value":'
            f'"{status.agent_id.value}"}},"task_id":{{"value":"{status.task_id.value}"}},"uuid":"{status.uuid}"}}}}'.encode()
        )

    def _answers(self, offers: list[_Offer]) -> list[bytes]:
        """Accept while tasks are left to launch; then decline the rest at once and ask for no more, as a good scheduler does."""
        load, calls, unused = self.load, [], []
        for offer in offers:
            if load.chain:
                load.passed_on()
            count = load.take(min(TASKS_AN_ACCEPT, offer.tasks()))
            if count:
                calls.append(self._accept(offer, count))
            else:
                unused.append(offer)
        if unused:
            ids = ",".join(f'{{"value":"{offer.id.value}"}}' for offer in unused)
            filters = '"filters":{"refuse_seconds":3600.0}'
            calls.append(self._call("DECLINE", f'"decline":{{"offer_ids":[{ids}],{filters}}}'))
            if not load.left and not load.one_by_one and not load.chain and not self.suppressed:
                self.suppressed = True
                calls.append(self._call("SUPPRESS", '"suppress":{}'))
        return calls

    def _call(self, kind: str, content: str) -> bytes:
        return self.request(f'{{"framework_id":{{"value":"{self.id}"}},"type":"{kind}",{content}}}'.encode())

    def _accept(self, offer: _Offer, count: int) -> bytes:
        agent_id, command, container = offer.agent_id.value, self.load.command, self.load.container
        tasks = b",".join(task_info(self.load.next_task_id(), agent_id, command, container) for _ in range(count))
        return self.request(
            f'{{"framework_id":{{"value":"{self.id}"}},"type":"ACCEPT","accept":{{"offer_ids":[{{"value":'
            f'"{offer.id.value}"}}],"operations":[{{"type":"LAUNCH","launch":{{"task_infos":['.encode()
            + tasks
            + b']}}],"filters":{"refuse_seconds":0.0}}}'
        )


class Load:
    """What all frameworks of the process share: how many tasks are left, and what came back."""

    def __init__(self, options: dict[str, Any]) -> None:
        self.options = options
        self.left = int(options["tasks"])
        self.wanted = int(options["tasks"])
        self.command = str(options.get("command", "true"))
        self.container = json.dumps(options["container"]) if options.get("container") else ""
        self.final = str(options.get("final", "TASK_RUNNING"))
        self.launched = 0
        self.finished = 0
        self.calls = 0
        self.launched_at: dict[str, float] = {}
        self.latencies_s: list[float] = []
        self.one_by_one = bool(options.get("idle"))
        self.chain = bool(options.get("chain"))
        self.freed_at = 0.0
        self.done = asyncio.Event()
        self.started_at = 0.0

    def passed_on(self) -> None:
        """Time the way of freed resources from one framework's DECLINE to the next one's offer."""
        now = time.perf_counter()
        if self.freed_at:
            self.latencies_s.append(now - self.freed_at)
            self.finished += 1
        self.freed_at = now

    def take(self, count: int) -> int:
        """Return how many tasks the next ACCEPT launches."""
        if self.chain:
            return 0
        if self.one_by_one:
            count = 1 if not self.launched_at else 0
        count = min(count, self.left)
        self.left -= count
        return count

    def next_task_id(self) -> str:
        """Return a new task id."""
        if not self.launched:
            self.started_at = time.perf_counter()
        self.launched += 1
        task_id = f"bench-{self.launched:09d}"
        if self.one_by_one:
            self.launched_at[task_id] = time.perf_counter()
        return task_id

    def saw(self, status: _Status) -> None:
        """Count a task that reached its final state."""
        if status.state == self.final:
            self.finished += 1
            at = self.launched_at.pop(status.task_id.value, None)
            if at is not None:
                self.latencies_s.append(time.perf_counter() - at)
        elif status.state not in ("TASK_STARTING", "TASK_RUNNING", "TASK_FINISHED"):
            sys.exit(f"a task went wrong: {status}")

    def check(self) -> None:
        """End when every task has come back."""
        if self.finished >= self.wanted:
            self.done.set()


async def run(host: str, port: int, options: dict[str, Any]) -> None:
    """Subscribe the frameworks, launch all tasks, print what was seen; then wait to be ended, so that tasks stay."""
    loop = asyncio.get_running_loop()
    load = Load(options)
    frameworks = [Framework(load, number) for number in range(int(options["frameworks"]))]
    for framework in frameworks:
        _, framework.calls = await loop.create_connection(
            lambda: Calls(one_at_a_time=bool(options.get("one_at_a_time"))), host, port
        )
    for framework in frameworks:
        await loop.create_connection(lambda framework=framework: Stream(framework), host, port)  # type: ignore[misc]
    if options.get("quiet"):
        while not all(framework.id for framework in frameworks):
            await asyncio.sleep(0.01)
    else:
        try:
            await asyncio.wait_for(load.done.wait(), timeout=float(options.get("limit_s", 120)))
        except TimeoutError:
            sys.exit(f"not done in time: {load.launched} launched, {load.finished} of {load.wanted} came back")
    elapsed = time.perf_counter() - load.started_at
    expected = sum(framework.calls.answers for framework in frameworks)
    while expected < load.calls:
        await asyncio.sleep(0.01)
        expected = sum(framework.calls.answers for framework in frameworks)
    sys.stdout.write(json.dumps({"elapsed_s": elapsed, "calls": load.calls, "latencies_s": load.latencies_s}) + "\n")
    sys.stdout.flush()
    await asyncio.Event().wait()


if __name__ == "__main__":
    raise_file_limit()
    uvloop_runner(run(sys.argv[1], int(sys.argv[2]), json.loads(sys.argv[3])))
