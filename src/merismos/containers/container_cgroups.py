"""The cgroups of native containers while they live: entered, watched, emptied, removed.

Rules: a process enters by a few words of shell that then become the task, so nothing of it is ever outside. A container is over only
once its cgroup is empty, double forks and fork bombs included: they are held still, killed, and looked for again, for at most
--cgroups_destroy_timeout. Its cgroup stays until its end is written down, since it alone knows whether memory ran out. One that
can't be removed is named, and tried again each second; nobody waits for it. At the start the cgroups of containers that are held
are kept, and all others emptied and removed, but for those whose processes have another agent's supervisor above them.
Source: Mesos, docs/isolators/cgroups-mem.md, for the message of a limit.
"""

from __future__ import annotations

import asyncio
import shlex
import time
from collections.abc import Callable, Coroutine

import structlog

from merismos.adapters.linux.cgroups import Cgroups
from merismos.containers import supervisor
from merismos.containers.prologue import ENTER_CGROUPS
from merismos.core.agent.events import HeldContainer, Limitation
from merismos.core.containers.cgroup_plan import CgroupPlan, CgroupWrite
from merismos.core.containers.entry_plan import Rank, Step
from merismos.protocol.v1 import mesos
from merismos.shell.quantities import format_bytes

RETRY_S = 1.0
_POLL_S = 0.005
_FREEZE_POLLS = 40
_OOM_POLLS = 400
_MB = 1 << 20
_SCORE = 'echo "$1" >/proc/self/oom_score_adj; shift; '


class ContainerCgroups:
    """What a native containerizer does with cgroups."""

    def __init__(
        self, cgroups: Cgroups, destroy_timeout_s: float, on_limited: Callable[[str, Limitation], None]
    ) -> None:
        self.cgroups = cgroups
        self._destroy_timeout_s = destroy_timeout_s
        self._on_limited = on_limited
        self._known: dict[str, None] = {}
        self._emptying: dict[str, list[Callable[[], None]]] = {}
        self._stuck: dict[str, None] = {}
        self._removing: list[str] = []
        self._remover_runs = False
        self._tasks: set[asyncio.Task[None]] = set()
        self._retrying: asyncio.TimerHandle | None = None

    def recover(self, held: list[HeldContainer], supervisor_pid: int) -> None:
        """Keep the cgroups of what is held, and know what of it was out of memory; end what nobody holds."""
        for container_id in self.cgroups.containers():
            members = [one for one in held if f"{one.container_id}.".startswith(f"{container_id}.")]
            if not members:
                self._end_orphan(container_id, supervisor_pid)
                continue
            self._known[container_id] = None
            limitation = self.limitation_of(container_id)
            for one in members:
                one.limitation = one.limitation or limitation
            if any(one.status is None for one in members):
                self._watch(container_id)

    def _end_orphan(self, container_id: str, supervisor_pid: int) -> None:
        if container_id in self._known:
            return
        members = self.cgroups.members(container_id)
        if any(_supervisor_above(pid) not in {0, supervisor_pid} for pid in members):
            what = "it is left alone; give each agent of a machine its own --cgroups_root"
            structlog.get_logger().warning("a cgroup belongs to another agent", container=container_id, what=what)
            return
        structlog.get_logger().info("removing an orphan's cgroup", container=container_id, processes=len(members))
        self._known[container_id] = None
        self.destroy(container_id)

    def enter(self, plan: CgroupPlan) -> Step:
        """Make the cgroup of a container; return the step into it.

        Errors: OSError that names the file.
        """
        container_id = plan.container_id
        if not plan.joins:
            self._make(plan)
        score = [str(plan.oom_score)] if plan.oom_score else []
        script = (_SCORE if score else "") + ENTER_CGROUPS
        entrances = self.cgroups.entrances(container_id)
        before = [f"echo {plan.oom_score} >/proc/self/oom_score_adj"] if plan.oom_score else []
        before += [f"echo 0 >{shlex.quote(entrance)} || exit 125" for entrance in entrances]
        return Step(Rank.CGROUP, "cgroups", (*score, *entrances, "--"), script, before)

    def create(self, plan: CgroupPlan) -> None:
        """Make a cgroup that containers will join, or leave the one that is there.

        Errors: OSError that names the file.
        """
        if plan.container_id not in self._known:
            self._make(plan)

    def _make(self, plan: CgroupPlan) -> None:
        self._known[plan.container_id] = None
        self.cgroups.create(plan.container_id, plan.writes)
        self._watch(plan.container_id)

    def counted_for(self, container_id: str) -> str:
        """Return the container whose cgroup a container is in: its own, or one of those that it is nested in."""
        counted = container_id
        while counted not in self._known and "." in counted:
            counted = counted.rpartition(".")[0]
        return counted

    def update(self, container_id: str, writes: list[CgroupWrite]) -> None:
        """Give a container other limits; what can't be had is named, and the old ones stay."""
        if container_id not in self._known:
            return
        try:
            self.cgroups.write(container_id, writes)
        except OSError as error:
            structlog.get_logger().warning("a container keeps its limits", container=container_id, why=str(error))

    def kill(self, container_id: str) -> None:
        """Kill all that is in a container, however it forks."""
        if container_id in self._known and container_id not in self._emptying:
            self._begin_emptying(container_id)

    def when_empty(self, container_id: str, then: Callable[[], None]) -> None:
        """Call `then` as soon as nothing of a container lives, at once where that is so."""
        waiting = self._emptying.get(container_id)
        if container_id not in self._known or (waiting is None and self.cgroups.is_empty(container_id)):
            then()
            return
        if waiting is None:
            waiting = self._begin_emptying(container_id)
        waiting.append(then)

    def _begin_emptying(self, container_id: str) -> list[Callable[[], None]]:
        waiting = self._emptying[container_id] = []
        self._start(self._empty(container_id))
        return waiting

    def _start(self, work: Coroutine[None, None, None]) -> None:
        task = asyncio.get_running_loop().create_task(work)
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    async def _empty(self, container_id: str) -> None:
        until = time.monotonic() + self._destroy_timeout_s
        while not self.cgroups.is_empty(container_id) and time.monotonic() < until:
            for _ in range(_FREEZE_POLLS):
                if self.cgroups.freeze(container_id):
                    break
                await asyncio.sleep(_POLL_S)
            self.cgroups.kill(container_id)
            self.cgroups.thaw(container_id)
            await asyncio.sleep(_POLL_S)
        if not self.cgroups.is_empty(container_id):
            what = "its processes are stuck in the kernel, look at /proc/PID/stack; they are killed again each second"
            structlog.get_logger().error("a container can't be emptied", container=container_id, what=what)
        for then in self._emptying.pop(container_id):
            then()

    def limitation_of(self, container_id: str) -> Limitation | None:
        """Return what a container took too much of, if it did."""
        if container_id not in self._known or not self.cgroups.oom_kills(container_id):
            return None
        report = self.cgroups.memory_report(container_id)
        limit = "unlimited" if report.limit_bytes is None else format_bytes(report.limit_bytes)
        message = (
            f"Memory limit exceeded: Requested: {limit} Maximum Used: {format_bytes(report.used_bytes)}\n"
            f"\nMEMORY STATISTICS: \n{report.statistics}"
        )
        scalar = mesos.Value_Scalar(value=report.used_bytes / _MB)
        mem = mesos.Resource(name="mem", type=mesos.Value_Type.SCALAR, scalar=scalar, role="*")
        return Limitation("REASON_CONTAINER_LIMITATION_MEMORY", message, [mem])

    def remove(self, container_id: str) -> None:
        """Remove the cgroup of a container that is over, in a thread: the kernel may keep who asks waiting."""
        if container_id in self._known:
            del self._known[container_id]
            self.cgroups.unwatch_memory(container_id)
            self._removing.append(container_id)
            if len(self._removing) == 1 and not self._remover_runs:
                self._remover_runs = True
                self._start(self._remove_all())

    async def _remove_all(self) -> None:
        try:
            while self._removing:
                batch, self._removing = self._removing, []
                for container_id in await asyncio.to_thread(self._remove_each, batch):
                    self._retry_later(container_id)
        finally:
            self._remover_runs = False

    def _remove_each(self, container_ids: list[str]) -> list[str]:
        """Return those that can't be removed yet."""
        return [container_id for container_id in container_ids if not self.cgroups.remove(container_id)]

    def destroy(self, container_id: str) -> None:
        """Empty the cgroup of a container, and remove it."""
        self.when_empty(container_id, lambda: self.remove(container_id))

    def destroy_all(self) -> None:
        """Empty and remove every cgroup: what held the containers is gone."""
        for container_id in list(self._known):
            self.destroy(container_id)

    async def close(self, *, end: bool) -> None:
        """Let go; with `end` nothing is left, as far as the kernel lets it go."""
        if self._retrying is not None:
            self._retrying.cancel()
        if end:
            self.destroy_all()
            while self._tasks:
                await asyncio.wait(self._tasks)
            for container_id in self._stuck:
                self.cgroups.remove(container_id)
            self.cgroups.remove_root()
        for task in self._tasks:
            task.cancel()
        self.cgroups.close()

    def _watch(self, container_id: str) -> None:
        try:
            self.cgroups.watch_memory(container_id, self._on_memory_event)
        except OSError as error:
            structlog.get_logger().warning("memory isn't watched", container=container_id, why=str(error))

    def _on_memory_event(self, container_id: str) -> None:
        self._look_at_memory(container_id, _OOM_POLLS)

    def _look_at_memory(self, container_id: str, polls: int) -> None:
        limitation = self.limitation_of(container_id)
        if limitation is not None:
            self._on_limited(container_id, limitation)
        elif container_id in self._known and polls:
            # version 1 tells before it kills
            asyncio.get_running_loop().call_later(_POLL_S, self._look_at_memory, container_id, polls - 1)

    def _retry_later(self, container_id: str) -> None:
        what = "it is tried again each second; a process is in it, or something else holds it"
        structlog.get_logger().warning("a cgroup can't be removed yet", container=container_id, what=what)
        self._stuck[container_id] = None
        if self._retrying is None:
            self._retrying = asyncio.get_running_loop().call_later(RETRY_S, self._retry)

    def _retry(self) -> None:
        self._retrying = None
        for container_id in list(self._stuck):
            self.cgroups.kill(container_id)
            if self.cgroups.remove(container_id):
                del self._stuck[container_id]
        if self._stuck:
            self._retrying = asyncio.get_running_loop().call_later(RETRY_S, self._retry)


def _supervisor_above(pid: int) -> int:
    """Return the pid of the supervisor that a process descends from, 0 for none."""
    row = supervisor.read_proc(pid)
    while row is not None and row.ppid > 1:
        pid = row.ppid
        with_name = read_command(pid)
        if any(part.endswith(b"/supervisor.py") for part in with_name):
            return pid
        row = supervisor.read_proc(pid)
    return 0


def read_command(pid: int) -> list[bytes]:
    """Return the arguments of a process."""
    try:
        with open(f"/proc/{pid}/cmdline", "rb") as file:  # noqa: PTH123 - no Path to build
            return file.read().split(b"\0")
    except OSError:
        return []
