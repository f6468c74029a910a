"""Custom executors that are played: processes that speak the executor API with the agent of their host.

Rules: an executor lives as long as its container, also while no agent is there; it subscribes again with all that it has not seen
acknowledged. By chance it never subscribes, or too late, loses its connection, says something twice, or ignores SHUTDOWN.
A calm one does what it is told, and ends once it has nothing to do.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import msgspec

from merismos.core.agent import effects, events
from merismos.protocol import json
from merismos.protocol.v1 import executor as api
from merismos.protocol.v1 import mesos
from merismos.simulation.checkers import Violation
from merismos.simulation.network import Pipe

if TYPE_CHECKING:
    from collections.abc import Callable

    from merismos.core.kernel import Effect
    from merismos.simulation.containers import Container
    from merismos.simulation.hosts import AgentHost

BAD_REQUEST = 400
FORBIDDEN = 403
LOOK_S = 10.0
NEVER_PERCENT = 4
LATE_PERCENT = 8
OF_EXECUTORS = (
    effects.AnswerExecutor,
    effects.OpenExecutorStream,
    effects.SendExecutorEvent,
    effects.CloseExecutorStream,
)
ENDINGS = (mesos.TaskState.TASK_FINISHED, mesos.TaskState.TASK_FINISHED, mesos.TaskState.TASK_FAILED)


class PlayedExecutor:
    """One executor in one container."""

    def __init__(self, executors: Executors, container: Container, framework_id: str, executor_id: str) -> None:
        self.executors = executors
        self.container = container
        self.stream = 0
        self._world = executors.host.world
        self._framework_id = mesos.FrameworkID(value=framework_id)
        self._executor_id = mesos.ExecutorID(value=executor_id)
        self._is_subscribed = False
        self._tasks: dict[str, mesos.TaskInfo] = {}
        self._untold: dict[str, mesos.TaskInfo] = {}  # tasks of which no update was acknowledged
        self._updates: dict[bytes, api.Call_Update] = {}
        self._later(LOOK_S, self._look)
        draw = NEVER_PERCENT if self._is_calm() else self._world.dice.below(100)
        if draw >= LATE_PERCENT or self._is_calm():
            self._later(self._world.dice.uniform(0.01, 1.0), self.subscribe)
        elif draw >= NEVER_PERCENT:
            self._later(self._world.dice.uniform(55.0, 65.0), self.subscribe)

    def _is_calm(self) -> bool:
        return self._world.weather.calm

    def _later(self, delay_s: float, action: Callable[[], None]) -> None:
        self._world.agenda.after(delay_s, lambda: None if self.container.is_over else action())

    # ------------------------------------------------------------ calls
    def subscribe(self) -> None:
        """Ask for events; again and again until an agent is there."""
        host = self.executors.host
        if host.down_until is not None or not host.is_recovered:
            self._later(self._world.dice.uniform(0.1, 3.0), self.subscribe)
            return
        unacknowledged = api.Call_Subscribe(
            unacknowledged_tasks=list(self._untold.values()), unacknowledged_updates=list(self._updates.values())
        )
        self.stream = self.executors.open(self)
        raw = self._said(api.Call_Type.SUBSCRIBE, subscribe=unacknowledged)
        call = json.decode(api.Call, raw)
        host.handle(events.ExecutorSubscribed(self.executors.ask(self), self.stream, call), raw)

    def _said(
        self,
        kind: api.Call_Type,
        *,
        subscribe: api.Call_Subscribe | None = None,
        update: api.Call_Update | None = None,
        message: api.Call_Message | None = None,
    ) -> bytes:
        call = api.Call(executor_id=self._executor_id, framework_id=self._framework_id, type=kind)
        return json.encode(msgspec.structs.replace(call, subscribe=subscribe, update=update, message=message))

    def _call(self, raw: bytes) -> None:
        host = self.executors.host
        if self._is_subscribed and host.down_until is None and host.is_recovered:
            host.handle(events.ExecutorCalled(self.executors.ask(self), json.decode(api.Call, raw)), raw)

    def answered(self, status: int) -> None:
        """Take note of an answer; who may not subscribe has nothing to live for."""
        if status == FORBIDDEN:
            self.lost(self.stream)
        elif status == BAD_REQUEST and not self._is_subscribed:
            self._later(1.0, self._exit)

    # ------------------------------------------------------------ events
    def received(self, stream: int, event: api.Event) -> None:
        """Do what the agent says."""
        if stream != self.stream or self.container.is_over:
            return
        dice = self._world.dice
        match event.type:
            case api.Event_Type.SUBSCRIBED:
                self._is_subscribed = True
                for update in list(self._updates.values()):
                    self._call(self._said(api.Call_Type.UPDATE, update=update))
            case api.Event_Type.LAUNCH:
                assert event.launch is not None
                self._launch(event.launch.task)
            case api.Event_Type.KILL:
                assert event.kill is not None
                task_id = event.kill.task_id.value
                self._later(dice.uniform(0.0, 1.0), lambda: self._end(task_id, mesos.TaskState.TASK_KILLED))
            case api.Event_Type.ACKNOWLEDGED:
                assert event.acknowledged is not None
                self._updates.pop(event.acknowledged.uuid, None)
                self._untold.pop(event.acknowledged.task_id.value, None)
            case api.Event_Type.MESSAGE:
                assert event.message is not None
                self._call(self._said(api.Call_Type.MESSAGE, message=api.Call_Message(data=b"heard")))
            case api.Event_Type.SHUTDOWN:
                if self._is_calm() or dice.chance(80):
                    self._later(dice.uniform(0.0, 2.0), self._exit)
            case _:
                pass

    def lost(self, stream: int) -> None:
        """Subscribe again: the connection is gone."""
        if stream == self.stream and not self.container.is_over:
            self._is_subscribed = False
            self.stream = 0
            self._later(self._world.dice.uniform(0.01, 3.0), self.subscribe)

    # ------------------------------------------------------------ tasks
    def _launch(self, task: mesos.TaskInfo) -> None:
        dice = self._world.dice
        task_id = task.task_id.value
        self._tasks[task_id] = self._untold[task_id] = task
        if dice.chance(50):
            self._update(task_id, mesos.TaskState.TASK_STARTING)
        self._later(dice.uniform(0.0, 2.0), lambda: self._update(task_id, mesos.TaskState.TASK_RUNNING))
        if dice.chance(70):
            ending = dice.pick(ENDINGS)
            self._later(dice.uniform(2.0, 60.0), lambda: self._end(task_id, ending))

    def _end(self, task_id: str, state: mesos.TaskState) -> None:
        self._update(task_id, state)
        self._tasks.pop(task_id, None)

    def _update(self, task_id: str, state: mesos.TaskState) -> None:
        if task_id not in self._tasks:
            return
        uuid = self._world.dice.uuid_bytes()
        status = mesos.TaskStatus(
            task_id=mesos.TaskID(value=task_id),
            state=state,
            uuid=uuid,
            source=mesos.TaskStatus_Source.SOURCE_EXECUTOR,
        )
        self._updates[uuid] = update = api.Call_Update(status=status)
        raw = self._said(api.Call_Type.UPDATE, update=update)
        self._call(raw)
        if not self._is_calm() and self._world.dice.chance(5):
            self._later(self._world.dice.uniform(0.0, 3.0), lambda: self._call(raw))

    def _look(self) -> None:
        """End where there is nothing to do; mostly only once all is calm."""
        is_idle = self._is_subscribed and not self._tasks and not self._updates
        if is_idle and (self._is_calm() or self._world.dice.chance(20)):
            self._exit()
        else:
            self._later(LOOK_S, self._look)

    def _exit(self) -> None:
        self.executors.host.containers.end(self.container, 0)


class Executors:
    """All executors of one host, and their connections to its agent."""

    def __init__(self, host: AgentHost) -> None:
        self.host = host
        self._asked: dict[int, PlayedExecutor] = {}
        self._streams: dict[int, tuple[PlayedExecutor, Pipe[api.Event | None]]] = {}
        self._opened: dict[int, None] = {}

    def start(self, container: Container, framework_id: str, executor_id: str) -> None:
        """Let an executor run in a container that has just started."""
        PlayedExecutor(self, container, framework_id, executor_id)

    def ask(self, executor: PlayedExecutor) -> int:
        """Return the number of a new request."""
        world = self.host.world
        world.next_token += 1
        self._asked[world.next_token] = executor
        return world.next_token

    def open(self, executor: PlayedExecutor) -> int:
        """Return the number of a stream that the agent may open."""
        world = self.host.world
        world.next_token += 1
        token = world.next_token
        pipe: Pipe[api.Event | None] = Pipe(world.agenda, world.weather, lambda event: self._arrive(token, event))
        self._streams[token] = (executor, pipe)
        return token

    def _arrive(self, token: int, event: api.Event | None) -> None:
        executor, _ = self._streams[token]
        if event is None:
            self._forget(token)
            executor.lost(token)
        else:
            executor.received(token, event)

    def _forget(self, token: int) -> None:
        _, pipe = self._streams.pop(token)
        self._opened.pop(token, None)
        pipe.cut()

    def lose_all(self) -> None:
        """Break every connection: the agent ends."""
        self._asked.clear()
        for token, (executor, _) in list(self._streams.items()):
            self._forget(token)
            executor.lost(token)

    def lose_one(self) -> None:
        """Break a connection by chance."""
        world = self.host.world
        if self._streams and self.host.is_recovered and self.host.down_until is None:
            token = world.dice.pick(list(self._streams))
            executor, _ = self._streams[token]
            was_open = token in self._opened
            self._forget(token)
            if was_open:
                self.host.handle(events.ExecutorStreamLost(token))
            executor.lost(token)

    def perform(self, effect: Effect) -> None:
        """Do what an agent asks for; what doesn't concern executors is nothing here."""
        match effect:
            case effects.AnswerExecutor():
                self._answered(effect.request).answered(effect.status)
            case effects.OpenExecutorStream():
                self._answered(effect.request)
                self._open(effect.stream)
            case effects.SendExecutorEvent():
                if effect.stream in self._streams:
                    event = json.decode(api.Event, json.encode(effect.event))
                    self._streams[effect.stream][1].send(event)
            case effects.CloseExecutorStream():
                if effect.stream in self._streams:
                    self._streams[effect.stream][1].send(None)
            case _:
                pass

    def _open(self, token: int) -> None:
        if token in self._streams:
            self._opened[token] = None
        else:
            self.host.world.agenda.after(0.0, lambda: self._tell_lost(token))

    def _tell_lost(self, token: int) -> None:
        self.host.post(events.ExecutorStreamLost(token))

    def _answered(self, request: int) -> PlayedExecutor:
        executor = self._asked.pop(request, None)
        if executor is None:
            raise Violation("answers", f"{self.host.name} answers the executor's request {request} twice")
        return executor
