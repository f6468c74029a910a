"""Runs one task on the cluster to its end: waits for an offer, launches, copies the output, works out the exit code.

Rules: the first signal ends the task and waits for its end; the second leaves at once. A launch that was dropped before it started
(its offer was gone by then) is tried again on another offer. Once it runs, no more offers are wanted.
"""

from __future__ import annotations

import asyncio
import json
import signal
import time
from typing import TYPE_CHECKING, Any, Final
from urllib.parse import urlencode

import msgspec

from merismos.cli import constraints, sandbox
from merismos.cli.errors import CommandError
from merismos.cli.follower import DIRECT, Follower, Source
from merismos.sdk import address
from merismos.sdk.connection import Connection
from merismos.sdk.framework import Framework, FrameworkError
from merismos.sdk.http import BrokenAnswerError

if TYPE_CHECKING:
    from merismos.cli.reporter import Reporter
    from merismos.sdk.offer import Offer
    from merismos.sdk.task import Task
    from merismos.sdk.update import Update

TIMED_OUT: Final = 124
NOT_RUN: Final = 125
KILLED: Final = 137
TERMINATED: Final = 143
OF_A_SIGNAL: Final = 128
EXPLAIN_AFTER_S: Final = 1.0
EXPLAIN_EVERY_S: Final = 5.0
SUBSCRIBE_S_MAX: Final = 10.0
_OK: Final = 200


class Runner:
    """One run of one task.

    Errors: CommandError out of `run` when there is no master, or it refuses.
    """

    def __init__(
        self, framework: Framework, task: Task, rules: list[constraints.Constraint], reporter: Reporter
    ) -> None:
        self._framework = framework
        self._task = task
        self._rules = rules
        self._reporter = reporter
        self._offer: Offer | None = None
        self._last: Update | None = None
        self._followers: list[Follower] = []
        self._copying: list[asyncio.Task[None]] = []
        self._calls: set[asyncio.Task[None]] = set()
        self._done = asyncio.Event()
        self._unfit = asyncio.Event()
        self._lost = False
        self._ended_from_outside = False
        self._signal: int | None = None
        self._failure: CommandError | None = None
        self._started_at = time.monotonic()
        framework.on_offer(self._on_offer)
        framework.on_update(self._on_update)
        framework.on_subscribed(self._on_subscribed)
        framework.on_disconnected(self._on_disconnected)

    async def run(self, wait_s_max: float | None = None) -> int:
        """Run it; return the exit code."""
        loop = asyncio.get_running_loop()
        for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
            loop.add_signal_handler(number, self._on_signal, number)
        following = asyncio.create_task(self._framework.run())
        explaining = asyncio.create_task(self._explain(wait_s_max))
        done = asyncio.create_task(self._done.wait())
        try:
            await asyncio.wait({following, done}, return_when=asyncio.FIRST_COMPLETED)
            explaining.cancel()
            if following.done():
                following.result()
            await self._drain()
        except FrameworkError as error:
            if self._offer is None:
                raise CommandError(str(error), code=NOT_RUN) from error
            self._reporter.note(f"the task is ended: {error}")
            self._ended_from_outside = True
        finally:
            self._framework.stop()
            for task in (explaining, done, *self._copying):
                task.cancel()
            await asyncio.gather(following, explaining, done, *self._copying, return_exceptions=True)
        if self._failure is not None:
            raise self._failure
        code = self._exit_code()
        self._reporter.ended(code)
        return code

    # ------------------------------------------------------------ events
    def _on_offer(self, offer: Offer) -> None:
        if self._offer is not None or self._signal is not None:
            return
        if not constraints.accepts(self._rules, offer) or not offer.fits(self._task):
            self._unfit.set()
            return
        self._offer = offer
        offer.launch(self._task)
        self._reporter.launched(offer, self._task.id)

    def _on_update(self, update: Update) -> None:
        if update.task_id != self._task.id or self._done.is_set():
            return
        self._reporter.updated(update)
        never_started = self._last is None
        self._last = update
        if update.state == "TASK_DROPPED" and never_started and self._signal is None:
            self._launch_again()
            return
        if never_started:
            self._call(self._framework.suppress())
            if self._signal is not None:
                self._call(self._framework.kill(self._task.id))
        if not self._followers and update.status.container_status is not None:
            self._follow(update)
        if update.is_terminal:
            self._done.set()

    def _on_disconnected(self, reason: str) -> None:
        if self._framework.id:
            if not self._lost:
                self._reporter.note(f"lost the master at {reason}; trying again, the task goes on meanwhile")
            self._lost = True
        elif "answered 503" not in reason or time.monotonic() - self._started_at > SUBSCRIBE_S_MAX:
            todo = (
                "Start a cluster here with: merismos up    or name its master: --master HOST:PORT (or MERISMOS_MASTER)"
            )
            self._fail(f"no master answers at {reason}", todo)

    def _on_subscribed(self, _framework_id: str) -> None:
        if self._lost:
            self._reporter.note("the master is back")
        self._lost = False
        if self._offer is None:
            self._call(self._framework.request(self._task.needs))

    def _on_signal(self, number: int) -> None:
        if self._signal is not None or self._offer is None:
            self._signal = number
            self._done.set()
            return
        self._signal = number
        self._reporter.note(f"ending {self._task.id}; once more leaves without waiting for it")
        self._call(self._framework.kill(self._task.id))

    # ------------------------------------------------------------ what follows
    def _call(self, call: Any) -> None:  # noqa: ANN401 - a coroutine
        task = asyncio.create_task(call)
        self._calls.add(task)
        task.add_done_callback(self._calls.discard)

    def _fail(self, what: str, todo: str = "") -> None:
        self._failure = CommandError(what, todo, code=NOT_RUN)
        self._done.set()

    def _launch_again(self) -> None:
        self._task = msgspec.structs.replace(self._task, id="")
        self._task.__post_init__()
        self._offer = None
        self._last = None
        self._call(self._framework.revive())

    def _follow(self, update: Update) -> None:
        assert self._offer is not None, "an update of a task that was never launched"
        status = update.status
        executor_id = status.executor_id.value if status.executor_id is not None else update.task_id
        container = status.container_status.container_id if status.container_status is not None else None
        for name in ("stdout", "stderr"):
            path = sandbox.path_of(
                self._framework.id, executor_id, container.value if container is not None else "", name
            )
            follower = Follower(self._sources, path, lambda data, name=name: self._write(name, data))  # type: ignore[misc]
            self._followers.append(follower)
            self._copying.append(asyncio.create_task(follower.run()))

    def _sources(self) -> list[Source]:
        """Return who may be asked for the task's output."""
        assert self._offer is not None, "an update of a task that was never launched"
        direct = Source(self._offer.address, DIRECT)
        return [direct, Source(address.parse(self._framework.master), sandbox.target_of(self._offer.agent_id))]

    def _write(self, name: str, data: bytes) -> None:
        try:
            self._reporter.write(name, data)
        except BrokenPipeError:
            self._on_signal(signal.SIGPIPE)

    async def _drain(self) -> None:
        for follower in self._followers:
            follower.end()
        if self._last is None or not self._last.is_terminal:
            return  # left, not ended
        for copied in await asyncio.gather(*self._copying, return_exceptions=True):
            if isinstance(copied, CommandError):
                self._reporter.note(copied.what)
            elif isinstance(copied, BaseException):
                raise copied

    async def _explain(self, wait_s_max: float | None) -> None:
        said = None
        connection: Connection | None = None
        while self._offer is None:
            waited_s = time.monotonic() - self._started_at
            if wait_s_max is not None and waited_s >= wait_s_max:
                self._fail(
                    f"{self._task.name} waited {wait_s_max:g} s, and no offer fits yet",
                    "See: merismos why, or wait longer: --wait",
                )
                return
            if not self._framework.id and waited_s >= SUBSCRIBE_S_MAX:
                self._fail(
                    f"no master took the framework within {SUBSCRIBE_S_MAX:g} s: {self._framework.master}",
                    "See whether one leads: merismos agents",
                )
                return
            if self._framework.id and (self._unfit.is_set() or waited_s >= EXPLAIN_AFTER_S):
                if connection is None or str(connection.address) != self._framework.master:
                    connection = Connection(address.parse(self._framework.master))
                why = await self._ask_why(connection)
                if why is not None and why.get("summary") != said:
                    said = why.get("summary")
                    self._reporter.waiting(why)
                await self._sleep(EXPLAIN_EVERY_S, wait_s_max)
            else:
                await asyncio.wait({asyncio.create_task(self._unfit.wait())}, timeout=0.1)

    async def _sleep(self, pause_s: float, wait_s_max: float | None) -> None:
        left_s = pause_s if wait_s_max is None else wait_s_max - (time.monotonic() - self._started_at)
        await asyncio.sleep(max(min(pause_s, left_s), 0.0))

    async def _ask_why(self, connection: Connection) -> dict[str, Any] | None:
        wanted = ";".join(f"{name}:{amount:g}" for name, amount in self._task.needs.items())
        query = urlencode({"framework": self._framework.id, "resources": wanted})
        try:
            answer = await connection.ask("GET", f"/why?{query}")
            found: dict[str, Any] = json.loads(answer.body)
        except (OSError, BrokenAnswerError, ValueError):
            return None
        return found if answer.status == _OK else None

    def _exit_code(self) -> int:
        last = self._last
        if self._signal is not None:
            return OF_A_SIGNAL + self._signal
        if self._ended_from_outside:
            return KILLED
        if last is None:
            return NOT_RUN
        if last.reason == "REASON_MAX_COMPLETION_TIME_REACHED":
            self._reporter.note(f"{last.task_id} took longer than --timeout allows")
            return TIMED_OUT
        if last.state == "TASK_KILLED":
            why = f" ({last.reason})" if last.reason else ""
            self._reporter.note(f"{last.task_id} was killed{why}: {last.message or 'nobody says why'}")
            return killed_code(last)
        if last.exit_code is not None:
            return last.exit_code
        if last.state == "TASK_FINISHED":
            return 0
        self._reporter.note(f"{last.state} {last.reason} {last.message}".replace("  ", " "))
        return NOT_RUN


def killed_code(update: Update) -> int:
    """Return the exit code of a task that was killed: 143 where it went politely, 137 where it was forced or can't be asked.

    Rules: a task that catches the polite signal and exits with a code of its own was killed all the same.
    """
    code = update.exit_code
    if code is None:
        return KILLED
    return code if code > OF_A_SIGNAL else TERMINATED
