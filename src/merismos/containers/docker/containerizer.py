"""The Docker containerizer: tasks' containers are Docker's, created, watched and removed by the Engine API.

Rules: performs the core's container effects and answers each with its event; nothing waits for an Engine that doesn't answer: what
is asked for then fails, and a kill is repeated once it does. Exits are heard on the Engine's event stream, and looked for whenever
it is opened anew, so that none is missed. A container is over once its output is in the sandbox. What couldn't be undone because
the Engine went away is removed when it is back.
"""

from __future__ import annotations

import asyncio
import contextlib
import os
from collections.abc import Callable, Coroutine
from pathlib import Path
from signal import SIGKILL, SIGTERM
from typing import Any

import msgspec
import structlog

from merismos.containers.docker.client import Engine, EngineDown, EngineError, named
from merismos.containers.docker.logs import STREAMS, LogFollower, expect_output, is_expected
from merismos.containers.docker.pulls import have_image
from merismos.containers.docker.states import (
    EngineEvent,
    Exec,
    Found,
    Row,
    finished_age_s,
    held_of,
    limitation_of,
    status_of,
)
from merismos.containers.images.credentials import Login
from merismos.containers.images.documents import ImageError
from merismos.core.agent import effects, events
from merismos.core.containers.docker_plan import LABEL_CONTAINER, LABEL_WORK_DIR, NAME_PREFIX, DockerCreate, DockerExec
from merismos.core.kernel import Event

TICK_S = 5.0
DRAIN_S = 5.0
CLOSE_S = 10.0
UNWANTED_S = 60.0
AGAIN_S = 1.0
_CONFLICT = 409
_NOT_FOUND = 404
_INSPECTED_AT_ONCE = 8


class DockerSetup(msgspec.Struct, frozen=True, kw_only=True):
    """Where the Engine is, and how it is used.

    Shapes: `records` is a directory for what is known of outputs.
    """

    socket: str
    work_dir: str
    records: Path
    timeout_s: float
    stall_s: float
    remove_delay_s: float
    logins: dict[str, Login]


class _Container:
    """One container that is being launched, or runs."""

    def __init__(self, container_id: str, directory: str) -> None:
        self.name = NAME_PREFIX + container_id
        self.container_id = container_id
        self.directory = directory
        self.runs = False
        self.created = False  # by an earlier agent, and never started
        self.ended_ago_s = 0.0
        self.ending = False
        self.wanted = 0  # the signal that it shall have, and hasn't for sure
        self.stop_signal = "SIGTERM"
        self.pulling: asyncio.Task[None] | None = None
        self.followers: list[LogFollower] = []


class DockerContainerizer:
    """Launches, signals and watches the containers of one agent."""

    def __init__(self, post: Callable[[Event], None], setup: DockerSetup) -> None:
        self._post = post
        self._setup = setup
        self._engine = Engine(setup.socket, setup.timeout_s, self._tell)
        self._containers: dict[str, _Container] = {}
        self._execs: dict[str, asyncio.Task[None]] = {}
        self._exec_ids: dict[str, str] = {}
        self._unwanted: dict[str, float] = {}  # names, and until when they may still come into being
        self._removals: dict[str, float] = {}  # names, and when they are due
        self._tasks: set[asyncio.Task[None]] = set()
        self._told = False
        self._again_at: float | None = None  # when to look at all containers again

    # ------------------------------------------------------------------ what is asked for

    def owns(self, container_id: str) -> bool:
        """Say whether a container, or a process in one, is Docker's."""
        return container_id in self._containers or container_id in self._execs

    def start(self) -> None:
        """Begin to watch the Engine; `DockerRecovered` follows as soon as it answers."""
        self._spawn(self._watch())

    def launch(self, effect: effects.LaunchContainer) -> None:
        """Create and start a container, or a process in one."""
        plan = effect.docker
        if isinstance(plan, DockerExec):
            self._execs[effect.container_id] = self._spawn(self._exec(effect.container_id, plan))
        elif isinstance(plan, DockerCreate):
            container = self._containers[effect.container_id] = _Container(effect.container_id, effect.directory)
            self._spawn(self._launch(container, plan))

    def signal(self, effect: effects.SignalContainer) -> None:
        """Send a signal to the first process of a container; one that is still being made isn't started."""
        if effect.container_id in self._execs:
            self._spawn(self._kill_exec(effect.container_id))
            return
        container = self._containers[effect.container_id]
        container.wanted = effect.signal
        if container.runs:
            self._spawn(self._signal(container))
        elif container.pulling is not None:
            container.pulling.cancel()
        elif container.created:
            self._discard(container.name)
            self._fail(container, "it was killed before it was started")

    def collect(self, effect: effects.CollectContainer) -> None:
        """Remove a container once it has been there for long enough."""
        container = self._containers.pop(effect.container_id, None)
        if container is not None:
            self._removals[container.name] = self._now() + self._setup.remove_delay_s - container.ended_ago_s

    def metrics(self) -> dict[str, float]:
        """Return what an operator may want to know."""
        return {
            "containerizer/docker/degraded": float(self._engine.breaker.why is not None),
            "containerizer/docker/degradations": float(self._engine.breaker.opened),
            "containerizer/docker/call_timeouts": float(self._engine.timeouts),
            "containerizer/docker/containers": float(len(self._containers)),
        }

    async def close(self, *, end: bool) -> None:
        """Let go of the containers; with `end` those that have ended are removed now."""
        if end:
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(CLOSE_S):
                    for name in list(self._removals):
                        await self._remove(name)
        for container in self._containers.values():
            for follower in container.followers:
                await follower.stop()
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)
        await self._engine.close()

    def _spawn(self, work: Coroutine[Any, Any, None]) -> asyncio.Task[None]:
        task = asyncio.get_running_loop().create_task(work)
        self._tasks.add(task)
        task.add_done_callback(self._forget)
        return task

    def _forget(self, task: asyncio.Task[None]) -> None:
        self._tasks.discard(task)
        if not task.cancelled() and (error := task.exception()) is not None:
            structlog.get_logger().error("our bug in the docker containerizer", exc_info=error)

    def _now(self) -> float:
        return asyncio.get_running_loop().time()

    def _tell(self, why: str | None) -> None:
        log = structlog.get_logger()
        if why is None:
            log.info("DEGRADED no more: the Docker Engine answers again", socket=self._setup.socket)
        else:
            what = "tasks of type DOCKER can't be launched or killed until it does; those that run go on"
            log.error("DEGRADED: the Docker Engine does not answer", socket=self._setup.socket, why=why, what=what)

    # ------------------------------------------------------------------ launching

    async def _launch(self, container: _Container, plan: DockerCreate) -> None:
        try:
            container.pulling = asyncio.current_task()
            setup = self._setup
            await have_image(self._engine, plan, container.directory, setup.logins, setup.stall_s)
            container.pulling = None
            found, inspected = await self._create(container, plan)
        except asyncio.CancelledError:
            if not container.wanted:
                raise
            self._fail(container, "it was killed before it was started")
        except (EngineError, EngineDown, ImageError, OSError) as error:
            self._fail(container, str(error))
        else:
            container.stop_signal = found.config.stop_signal or "SIGTERM"
            container.runs = True
            as_its_command = b"[%s]" % inspected  # `docker inspect` prints a list
            address = found.address()
            launched = events.ContainerLaunched(container.container_id, found.state.pid, address, data=as_its_command)
            self._post(launched)
            self._follow(container)
            if container.wanted:
                await self._signal(container)
            if not found.state.running:
                self._end_soon(container)

    async def _create(self, container: _Container, plan: DockerCreate) -> tuple[Found, bytes]:
        try:
            try:
                await self._engine.ask("POST", "/containers/create", {"name": plan.name}, plan.body, is_slow=True)
            except EngineError as error:
                if error.status != _CONFLICT:  # else an earlier agent has created it
                    raise
            expect_output(plan.name, container.directory, self._setup.records)
            await self._engine.ask("POST", f"{named(plan.name)}/start", is_slow=True)
            inspected = await self._engine.read("GET", f"{named(plan.name)}/json")
            found = self._engine.decoded(inspected, Found)
        except (EngineError, EngineDown, OSError):
            self._discard(container.name)
            raise
        return found, inspected

    def _discard(self, name: str) -> None:
        """Have a container removed, also if an Engine that didn't answer makes it later."""
        self._unwanted[name] = self._now() + UNWANTED_S
        self._spawn(self._remove(name))

    def _fail(self, container: _Container, why: str) -> None:
        self._containers.pop(container.container_id, None)
        self._post(events.ContainerLaunchFailed(container.container_id, why))

    def _follow(self, container: _Container) -> None:
        if not container.directory:
            return  # somebody else made it under a name of ours: it has no sandbox
        records = self._setup.records
        container.followers = [
            LogFollower(self._engine, container.name, stream, container.directory, records) for stream in STREAMS
        ]

    async def _signal(self, container: _Container) -> None:
        number = container.wanted
        name = container.stop_signal if number == SIGTERM else str(number)
        try:
            await self._engine.ask("POST", f"{named(container.name)}/kill", {"signal": name})
        except EngineError as error:
            self._end_soon(container)  # it isn't there, or doesn't run any more
            if error.status not in {_NOT_FOUND, _CONFLICT}:
                structlog.get_logger().warning(
                    "a container can't be signalled", container=container.name, why=str(error)
                )
                self._look_again()
                return
        except EngineDown:
            self._look_again()
            return
        if container.wanted == number:
            container.wanted = 0

    # ------------------------------------------------------------------ processes in containers

    async def _exec(self, run_id: str, plan: DockerExec) -> None:
        container = NAME_PREFIX + plan.container_id
        try:
            made: Exec = await self._engine.ask("POST", f"{named(container)}/exec", body=plan.body, kind=Exec)
            exec_id = self._exec_ids[run_id] = made.id
            path, body = f"/exec/{exec_id}", {"Detach": False, "Tty": False}
            async with self._engine.stream("POST", f"{path}/start", body=body) as pieces:
                async for _ in pieces:
                    pass
            found: Exec = await self._engine.ask("GET", f"{path}/json", kind=Exec)
            self._post(events.ContainerExited(run_id, (found.exit_code or 0) << 8))
        except EngineError as error:
            self._post(events.ContainerLaunchFailed(run_id, str(error)))
        except EngineDown as error:
            self._post(events.ContainerLaunchFailed(run_id, str(error), unasked=True))
        finally:
            self._execs.pop(run_id, None)
            self._exec_ids.pop(run_id, None)

    async def _kill_exec(self, run_id: str) -> None:
        """Kill a process in a container, which the API has no call for: by its pid, which is the machine's."""
        exec_id, task = self._exec_ids.get(run_id), self._execs.get(run_id)
        with contextlib.suppress(EngineError, EngineDown, OSError):
            if exec_id is not None:
                found: Exec = await self._engine.ask("GET", f"/exec/{exec_id}/json", kind=Exec)
                if found.running and found.pid > 0:
                    os.kill(found.pid, SIGKILL)
        if task is not None:
            task.cancel()

    # ------------------------------------------------------------------ watching

    async def _watch(self) -> None:
        while True:
            try:
                await self._engine.ask("GET", "/_ping", is_probe=True)
                await self._follow_events()
            except (EngineDown, EngineError) as error:
                structlog.get_logger().debug("the Docker Engine's events are lost", why=str(error))
                await asyncio.sleep(TICK_S if self._engine.breaker.why is not None else 0.1)

    async def _follow_events(self) -> None:
        """Hear of ends from now on, having looked for those before.

        Errors: EngineError, EngineDown.
        """
        filters = msgspec.json.encode({"type": ["container"]}).decode()
        async with self._engine.stream("GET", "/events", {"filters": filters}) as pieces:
            await self._reconcile()
            waiting = asyncio.ensure_future(anext(pieces))
            try:
                rest = b""
                while True:
                    done, _ = await asyncio.wait({waiting}, timeout=self._until_next())
                    if done:
                        *lines, rest = (rest + waiting.result()).split(b"\n")
                        waiting = asyncio.ensure_future(anext(pieces))
                        for line in lines:
                            self._hear(line)
                    else:
                        await self._engine.ask("GET", "/_ping")
                    await self._sweep()
                    if self._again_at is not None and self._again_at <= self._now():
                        await self._reconcile()
            except StopAsyncIteration:
                raise EngineDown("the events have ended") from None
            finally:
                waiting.cancel()
                await asyncio.gather(waiting, return_exceptions=True)

    def _look_again(self) -> None:
        """Have all containers looked at a little later: something was asked for, and not done."""
        self._again_at = self._now() + AGAIN_S

    def _until_next(self) -> float:
        due = min(self._removals.values(), default=self._now() + TICK_S)
        if self._again_at is not None:
            due = min(due, self._again_at)
        return min(max(due - self._now(), 0.01), TICK_S)

    def _hear(self, line: bytes) -> None:
        try:
            event = msgspec.json.decode(line, type=EngineEvent)
        except (msgspec.DecodeError, UnicodeDecodeError):
            return
        labels = event.actor.attributes
        if event.action in {"die", "died"} and labels.get(LABEL_WORK_DIR) == self._setup.work_dir:
            container = self._containers.get(labels.get(LABEL_CONTAINER, ""))
            if container is not None:
                self._end_soon(container, _exit_code(labels))

    async def _reconcile(self) -> None:
        """Look at all that Docker has of ours: what ended, what is new to us, what nobody wants.

        Errors: EngineError, EngineDown.
        """
        self._again_at = None
        known = dict(self._containers)
        filters = msgspec.json.encode({"label": [f"{LABEL_WORK_DIR}={self._setup.work_dir}"]}).decode()
        query = {"all": "1", "filters": filters}
        rows: list[Row] = await self._engine.ask("GET", "/containers/json", query, kind=list[Row])
        states = {row.labels.get(LABEL_CONTAINER, ""): row.state for row in rows}
        for container in known.values():
            state = states.get(container.container_id)
            if container.runs and state not in {"running", "paused", "restarting"}:
                self._end_soon(container)
            elif container.runs and container.wanted:
                self._spawn(self._signal(container))
        if not self._told:
            new = [one for one in states if one not in known and NAME_PREFIX + one not in self._unwanted]
            await self._tell_held(new)

    async def _tell_held(self, container_ids: list[str]) -> None:
        bound = asyncio.Semaphore(_INSPECTED_AT_ONCE)

        async def inspect(container_id: str) -> Found | None:
            async with bound:
                return await self._inspect(NAME_PREFIX + container_id)

        found = await asyncio.gather(*(inspect(one) for one in container_ids))
        held = []
        for container_id, one in zip(container_ids, found, strict=True):
            if one is None:
                continue
            directory = one.sandbox()
            container = self._containers[container_id] = _Container(container_id, directory)
            container.stop_signal = one.config.stop_signal or "SIGTERM"
            if one.state.running:
                container.runs = True
                self._follow(container)
            elif one.state.status == "created":
                container.created = True
            else:
                container.ended_ago_s = finished_age_s(one)
                if is_expected(container.name, self._setup.records):
                    self._follow(container)
                    await self._drain(container)
            held.append(held_of(container_id, one))
        self._told = True
        self._post(events.DockerRecovered(tuple(held)))

    async def _inspect(self, name: str) -> Found | None:
        try:
            found: Found = await self._engine.ask("GET", f"{named(name)}/json", kind=Found)
        except EngineError as error:
            if error.status == _NOT_FOUND:
                return None
            raise
        return found

    async def _drain(self, container: _Container) -> None:
        for follower in container.followers:
            await follower.end(DRAIN_S)

    def _end_soon(self, container: _Container, exit_code: int | None = None) -> None:
        if not container.ending and container.runs:
            container.ending = True
            self._spawn(self._end(container, exit_code))

    async def _end(self, container: _Container, exit_code: int | None) -> None:
        try:
            found = await self._inspect(container.name)
        except (EngineDown, EngineError):
            container.ending = False
            self._look_again()
            return
        if found is not None and found.state.running:
            container.ending = False
            return
        await self._drain(container)
        limitation = None if found is None else limitation_of(found)
        if limitation is not None:
            self._post(events.ContainerLimited(container.container_id, limitation))
        status = status_of(found, exit_code)
        container.runs = False
        self._post(events.ContainerExited(container.container_id, status))

    # ------------------------------------------------------------------ removing

    async def _sweep(self) -> None:
        now = self._now()
        for name in [*self._unwanted, *(name for name, due in self._removals.items() if due <= now)]:
            await self._remove(name)

    async def _remove(self, name: str) -> None:
        """Remove a container, whatever it does; one that can't be reached is tried again."""
        try:
            await self._engine.ask("DELETE", named(name), {"force": "1", "v": "1"}, is_slow=True)
        except EngineDown:
            return
        except EngineError as error:
            if error.status == _CONFLICT:  # its removal is under way
                return
            if error.status != _NOT_FOUND:
                structlog.get_logger().warning("a container can't be removed", container=name, why=str(error))
        if self._unwanted.get(name, 0.0) <= self._now():
            self._unwanted.pop(name, None)
        self._removals.pop(name, None)


def _exit_code(attributes: dict[str, str]) -> int | None:
    text = attributes.get("exitCode") or attributes.get("containerExitCode") or ""
    return int(text) if text.isdigit() else None
