"""For people who write executors: subscribed to the agent, task after task, until the agent says that it is over.

Rules: subclass `Executor` and override `launch`, `kill` and `message`; each runs as a task of its own, so that a long one keeps
nobody waiting. An update is kept until the agent has acknowledged it, and a task until one of its updates was: both are told
again after a lost connection. An executor whose framework checkpoints comes back for as long as MESOS_RECOVERY_TIMEOUT says;
any other ends with its connection. After SHUTDOWN the agent waits for its grace, then kills what is left.
"""

from __future__ import annotations

import abc
import asyncio
import os
import secrets
import time
from typing import TYPE_CHECKING, Final

from merismos.protocol import json, recordio
from merismos.protocol.errors import DecodeError
from merismos.protocol.v1 import executor as api
from merismos.protocol.v1 import mesos
from merismos.sdk import address
from merismos.sdk.connection import Connection
from merismos.sdk.http import JSON, BrokenAnswerError
from merismos.shell.quantities import parse_duration_s

if TYPE_CHECKING:
    from collections.abc import Coroutine, Mapping

_TARGET: Final = "/api/v1/executor"
_UUID_BYTES: Final = 16
_HTTP_OK: Final = 200
_HTTP_ACCEPTED: Final = 202
_NANOSECONDS: Final = 1_000_000_000
_RETRY_S_MAX: Final = 2.0
_LOST = (OSError, BrokenAnswerError, DecodeError)


class ExecutorError(Exception):
    """The agent won't have this call, or this isn't an executor's environment."""


class Executor(abc.ABC):
    """An executor of one framework on one agent; what it is comes from the environment that the agent gave it."""

    def __init__(self, environment: Mapping[str, str] = os.environ) -> None:
        try:
            self.framework_id = environment["MESOS_FRAMEWORK_ID"]
            self.executor_id = environment["MESOS_EXECUTOR_ID"]
            self.agent = address.parse(environment["MESOS_AGENT_ENDPOINT"])
        except KeyError as missing:
            raise ExecutorError(f"{missing.args[0]} is not set: an executor is started by an agent") from missing
        checkpoints = environment.get("MESOS_CHECKPOINT") == "1"
        self.recovery_s = parse_duration_s(environment.get("MESOS_RECOVERY_TIMEOUT", "15mins")) if checkpoints else 0.0
        self.subscribed: api.Event_Subscribed | None = None
        self._headers = {"Content-Type": JSON, "Accept": JSON}
        token = environment.get("MESOS_EXECUTOR_AUTHENTICATION_TOKEN")
        if token:
            self._headers["Authorization"] = f"Bearer {token}"
        self._socket = environment.get("MESOS_DOMAIN_SOCKET", "")
        self._calls = Connection(self.agent, socket=self._socket)
        self._tasks: dict[str, mesos.TaskInfo] = {}
        self._updates: dict[bytes, mesos.TaskStatus] = {}
        self._running: list[asyncio.Task[None]] = []
        self._over = False

    # what a subclass does

    @abc.abstractmethod
    async def launch(self, task: mesos.TaskInfo) -> None:
        """Run a task: send its updates, the last one terminal."""

    async def launch_group(self, tasks: list[mesos.TaskInfo]) -> None:
        """Run tasks that belong together; here, each on its own."""
        await asyncio.gather(*(self.launch(task) for task in tasks))

    @abc.abstractmethod
    async def kill(self, task_id: str, grace_s: float | None) -> None:
        """End a task; `grace_s` where the scheduler gave a grace of its own."""

    async def message(self, data: bytes) -> None:  # noqa: B027 - who gets no messages needn't have it
        """Take what the scheduler sent."""

    async def shutdown(self) -> None:  # noqa: B027 - who has nothing to clear up needn't have it
        """End what is left; the process should end after this."""

    # what it may say

    async def update(self, task_id: str, state: str, message: str = "", data: bytes | None = None) -> None:
        """Say how a task is; it is told again until the agent has it."""
        status = mesos.TaskStatus(
            task_id=mesos.TaskID(value=task_id),
            state=mesos.TaskState(state),
            message=message or None,
            source=mesos.TaskStatus_Source.SOURCE_EXECUTOR,
            data=data,
            executor_id=mesos.ExecutorID(value=self.executor_id),
            timestamp=time.time(),
            uuid=secrets.token_bytes(_UUID_BYTES),
        )
        assert status.uuid is not None
        self._updates[status.uuid] = status
        await self._send(api.Call_Type.UPDATE, update=api.Call_Update(status=status))

    async def send(self, data: bytes) -> None:
        """Send bytes to the scheduler; they may get lost."""
        await self._send(api.Call_Type.MESSAGE, message=api.Call_Message(data=data))

    # the connection

    async def run(self) -> None:
        """Serve until the agent says SHUTDOWN, or is gone for too long.

        Errors: ExecutorError where the agent refuses a call; what a subclass' method raises.
        """
        lost_at = time.monotonic()
        try:
            while not self._over:
                try:
                    await self._follow()
                    lost_at = time.monotonic()
                except _LOST:
                    lost_at = lost_at if self.subscribed is None else time.monotonic()
                if time.monotonic() - lost_at >= self.recovery_s:
                    break
                await asyncio.sleep(secrets.SystemRandom().uniform(0.1, _RETRY_S_MAX))
            await self.shutdown()
        finally:
            for one in self._running:
                one.cancel()
            await self._calls.close()

    async def _follow(self) -> None:
        """Subscribe and take events to the end of the stream."""
        updates = [api.Call_Update(status=status) for status in self._updates.values()]
        subscribe = api.Call_Subscribe(unacknowledged_tasks=list(self._tasks.values()), unacknowledged_updates=updates)
        connection = Connection(self.agent, socket=self._socket)
        try:
            body = self._encode(api.Call_Type.SUBSCRIBE, subscribe=subscribe)
            stream = await connection.open_stream(_TARGET, body=body, headers=self._headers)
            if stream.status != _HTTP_OK:
                text = (await stream.body()).decode("utf-8", "replace")
                raise ExecutorError(f"the agent answered {stream.status}: {text}")
            records = recordio.Decoder()
            async for piece in stream.pieces():
                for record in records.feed(piece):
                    self._take(json.decode(api.Event, record))
                if self._over:
                    return
        finally:
            connection.abandon()

    def _take(self, event: api.Event) -> None:
        self._running = [one for one in self._running if not _is_over(one)]
        if event.subscribed is not None:
            self.subscribed = event.subscribed
        elif event.launch is not None:
            self._tasks[event.launch.task.task_id.value] = event.launch.task
            self._begin(self.launch(event.launch.task))
        elif event.launch_group is not None:
            tasks = event.launch_group.task_group.tasks
            self._tasks |= {task.task_id.value: task for task in tasks}
            self._begin(self.launch_group(tasks))
        elif event.kill is not None:
            policy = event.kill.kill_policy
            grace = None if policy is None or policy.grace_period is None else policy.grace_period.nanoseconds
            self._begin(self.kill(event.kill.task_id.value, None if grace is None else grace / _NANOSECONDS))
        elif event.message is not None:
            self._begin(self.message(event.message.data))
        elif event.acknowledged is not None:
            self._updates.pop(event.acknowledged.uuid, None)
            self._tasks.pop(event.acknowledged.task_id.value, None)
        elif event.type is api.Event_Type.SHUTDOWN:
            self._over = True

    def _begin(self, work: Coroutine[None, None, None]) -> None:
        self._running.append(asyncio.get_running_loop().create_task(work))

    def _encode(self, kind: api.Call_Type, **fields: object) -> bytes:
        call = api.Call(
            type=kind,
            framework_id=mesos.FrameworkID(value=self.framework_id),
            executor_id=mesos.ExecutorID(value=self.executor_id),
        )
        for name, value in fields.items():
            setattr(call, name, value)
        return json.encode(call)

    async def _send(self, kind: api.Call_Type, **fields: object) -> None:
        try:
            answer = await self._calls.ask("POST", _TARGET, body=self._encode(kind, **fields), headers=self._headers)
        except _LOST:
            return  # an update is told again with the next subscription; a message may get lost
        if answer.status not in {_HTTP_OK, _HTTP_ACCEPTED}:
            raise ExecutorError(f"the agent answered {answer.status}: {answer.text()}")


def _is_over(work: asyncio.Task[None]) -> bool:
    """Say whether a piece of work is over.

    Errors: what it raised.
    """
    if work.done() and not work.cancelled():
        work.result()
    return work.done()
