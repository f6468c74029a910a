"""The native containerizer: a container is a process tree in its sandbox, held by the supervisor, which outlives the agent.

Rules: performs the core's container effects and answers each with its event; a sandbox that can't be made whole is removed, so that
nothing starts in it. Another user is taken on by `setpriv`, only where it is not ours. A supervisor that died is replaced; what is
asked for meanwhile waits. With cgroups a container is over only once its cgroup is empty.
"""

from __future__ import annotations

import asyncio
import errno
import functools
import os
from collections.abc import Callable, Sequence
from pathlib import Path
from signal import SIGKILL

import structlog

from merismos.adapters.linux.cgroups import Cgroups
from merismos.containers.container_cgroups import ContainerCgroups
from merismos.containers.held_variables import hold
from merismos.containers.native_entry import NativeEntry
from merismos.containers.networked import NetworkedContainers
from merismos.containers.networks import ContainerNetworks
from merismos.containers.prologue import with_steps
from merismos.containers.rooted import RootedContainers
from merismos.containers.runtimes import Runtimes
from merismos.containers.sandbox import Sandboxes, find_user, is_us
from merismos.containers.seccomp import SeccompProfiles
from merismos.containers.supervisor_link import SupervisorLink, kill_remains
from merismos.containers.supervisor_socket import NAME, PATH
from merismos.core.agent import effects, events
from merismos.core.containers.entry_plan import Command, Rank, Step
from merismos.core.kernel import Event
from merismos.shell.turn import Turn

RESTART_S = 1.0
_EXEC_ERRORS = frozenset(
    {errno.ENOENT, errno.EACCES, errno.ENOEXEC, errno.ENOTDIR, errno.ELOOP, errno.ENAMETOOLONG, errno.EISDIR}
)


class NativeContainerizer:
    """Launches, signals and watches process trees."""

    def __init__(
        self,
        post: Callable[[Event], None],
        sandboxes: Sandboxes,
        turn: Turn,
        runtime_dir: Path,
        timeout_s: float,
        *,
        cgroups: Cgroups | None = None,
        destroy_timeout_s: float = 60.0,
        runtimes: Runtimes | None = None,
        networks: ContainerNetworks | None = None,
        profiles: SeccompProfiles | None = None,
        scope: Sequence[str] = (),
    ) -> None:
        self._post = post
        self._sandboxes = sandboxes
        self._turn = turn
        self._socket = runtime_dir / NAME
        self._timeout_s = timeout_s
        self._scope = scope
        self._cgroups = None
        if cgroups is not None:
            self._cgroups = ContainerCgroups(cgroups, destroy_timeout_s, self._on_limited)
        self._rooted = None if runtimes is None else RootedContainers(runtimes, self._spawn_rooted, self._fail)
        self._networked = None
        if networks is not None:
            self._networked = NetworkedContainers(networks, self._launch, self._fail)
        self._entry = NativeEntry(runtime_dir / "secrets", profiles)
        self._supervisor: SupervisorLink | None = None
        self._waiting: list[Callable[[], None]] = []
        self._restarting: asyncio.Task[None] | None = None
        self._first = True

    async def start(self) -> None:
        """Take over the supervisor that is there, or start one.

        Errors: OSError where no process can be started.
        """
        supervisor = SupervisorLink(self, self._turn, self._socket, self._timeout_s, self._scope)
        await supervisor.start()
        if self._cgroups is not None:
            self._cgroups.recover(supervisor.held, supervisor.pid)
        if self._networked is not None:
            await self._networked.networks.recover(supervisor.held)
        if self._first:
            self._entry.begin(one.container_id for one in supervisor.held)
        if self._rooted is not None and self._first:
            await asyncio.to_thread(self._rooted.begin, supervisor.held)
        self._first = False
        self._supervisor = supervisor

    def tell_held(self) -> None:
        """Say what the supervisor held when we came."""
        assert self._supervisor is not None, "start comes first"
        self._post(events.ContainersRecovered(self._supervisor.holder, tuple(self._supervisor.held)))

    async def close(self, *, end: bool) -> None:
        """Let go of the containers; with `end`, end them."""
        if self._restarting is not None:
            self._restarting.cancel()
        if self._supervisor is not None:
            await self._supervisor.close(end=end)
        if self._rooted is not None:
            await self._rooted.close(end=end)
        if self._networked is not None:
            await self._networked.close(end=end)
        if self._cgroups is not None:
            await self._cgroups.close(end=end)

    def create_sandbox(self, effect: effects.CreateSandbox) -> None:
        """Make a sandbox."""
        boxes = self._sandboxes
        create, remove = (boxes.create_inner, boxes.remove_inner) if effect.is_inner else (boxes.create, boxes.remove)
        try:
            create(effect.directory, effect.user)
        except (OSError, LookupError) as error:
            remove(effect.directory)
            text = f"cannot create the sandbox {effect.directory}: {error}"
            self._post(events.ContainerLaunchFailed(effect.container_id, text))

    def launch(self, effect: effects.LaunchContainer) -> None:
        """Start a process, in its network where it has one of its own."""
        if effect.network is None:
            self._launch(effect)
        else:
            assert self._networked is not None, "a task with a network is refused where there are none"
            self._networked.launch(effect)

    def leave_networks(self, effect: effects.LeaveNetworks) -> None:
        """Let go of the network that the tasks of a group shared."""
        if self._networked is not None:
            self._networked.leave(effect.container_id)

    def _launch(self, effect: effects.LaunchContainer) -> None:
        if self._supervisor is None:
            self._waiting.append(functools.partial(self.launch, effect))
            return
        if effect.root is not None:
            assert self._rooted is not None, "a task with an image is refused where there are none"
            self._rooted.launch(effect)
            return
        try:
            command = self._enter(effect)
            if command is None:
                self.on_failed(effect.container_id, errno.ENOENT, os.strerror(errno.ENOENT), effect.directory)
                return
            boxed = effect.native is not None and effect.native.own_pids
            self._supervisor.spawn(effect.container_id, effect.directory, *command, effect.environment, boxed=boxed)
        except (LookupError, ValueError, OSError) as error:
            self.on_failed(effect.container_id, errno.EINVAL, str(error), effect.directory)

    def _enter(self, effect: effects.LaunchContainer) -> Command | None:
        """Return the command that gets a process where it belongs, and then is the task's; None where its program isn't there.

        Errors: LookupError, ValueError, OSError where that can't be.
        """
        steps = self._entry.steps(effect, switches=effect.user is not None and needs_switch(effect.user))
        arguments = list(effect.arguments)
        last = steps[-1] if steps else None
        if last is None or last.script or last.rank is Rank.CALLS:  # else the last of them looks for the program
            program = find_program(
                arguments[0], effect.directory, PATH if last is None else path_of(effect.environment)
            )
            if program is None and not effect.wrapper:
                is_apart = steps or effect.network is not None
                return None if is_apart else Command(arguments, effect.argv0)  # the supervisor finds out why, as ever
            arguments[0] = program or arguments[0]
        if steps and os.geteuid() == 0:
            effect.environment, back = hold(effect.environment)
            steps += back
        if effect.wrapper:
            steps.append(Step(Rank.STREAMS, "streams", tuple(effect.wrapper)))
        if effect.network is not None and self._networked is not None:
            steps += self._networked.enter(effect.network.owner)
        if effect.cgroup is not None and self._cgroups is not None:
            steps.append(self._cgroups.enter(effect.cgroup))
        return with_steps(steps, arguments, effect.argv0)

    def _spawn_rooted(self, effect: effects.LaunchContainer, arguments: list[str]) -> None:
        if self._supervisor is None:
            self._fail(effect, "what holds the containers was lost meanwhile")
            return
        try:
            steps = []
            if effect.cgroup is not None and self._cgroups is not None:
                steps.append(self._cgroups.enter(effect.cgroup))
            arguments, argv0 = with_steps(steps, arguments, arguments[0])
            self._supervisor.spawn(
                effect.container_id, effect.directory, arguments, argv0, [f"PATH={PATH}"], boxed=True
            )
        except (ValueError, OSError) as error:
            self._fail(effect, str(error))

    def _fail(self, effect: effects.LaunchContainer, text: str) -> None:
        self.on_failed(effect.container_id, errno.EINVAL, text, effect.directory)

    def signal(self, effect: effects.SignalContainer) -> None:
        """Send a signal to every process of a container."""
        if self._networked is not None and self._networked.cancel(effect.container_id):
            return
        if self._rooted is not None and self._rooted.cancel(effect.container_id):
            return
        if self._supervisor is None:
            self._waiting.append(functools.partial(self.signal, effect))
        else:
            if effect.signal == SIGKILL and self._rooted is not None:
                self._rooted.before_kill(effect.container_id)
            self._supervisor.signal(effect.container_id, effect.signal)
            if effect.signal == SIGKILL and self._cgroups is not None:
                self._cgroups.kill(effect.container_id)

    def create_cgroup(self, effect: effects.CreateCgroup) -> None:
        """Have a cgroup there that several share."""
        if self._cgroups is not None:
            try:
                self._cgroups.create(effect.plan)
            except OSError as error:
                self._post(events.ContainerLaunchFailed(effect.plan.container_id, str(error)))

    def destroy_cgroup(self, effect: effects.DestroyCgroup) -> None:
        """Empty a cgroup, and remove it."""
        if self._cgroups is not None:
            self._cgroups.destroy(effect.container_id)

    def update(self, effect: effects.UpdateContainer) -> None:
        """Give a running container other limits."""
        if self._cgroups is not None:
            self._cgroups.update(effect.container_id, effect.writes)

    def collect(self, effect: effects.CollectContainer) -> None:
        """Forget an exit status that is written down."""
        if self._supervisor is not None:
            self._supervisor.collect(effect.container_id)
        if self._cgroups is not None:
            self._cgroups.remove(effect.container_id)
        if self._rooted is not None:
            self._rooted.on_collected(effect.container_id)

    def kill_remains(self, effect: effects.KillRemains) -> None:
        """Kill what a supervisor that is gone has left."""
        kill_remains([container_id.encode() for container_id in effect.container_ids], [])
        if self._cgroups is not None:
            for container_id in effect.container_ids:
                self._cgroups.destroy(container_id)

    def on_started(self, container_id: str, pid: int) -> None:
        """Pass it on."""
        networks = () if self._networked is None else self._networked.networks.told(container_id)
        self._post(events.ContainerLaunched(container_id, pid, networks=networks))

    def on_failed(self, container_id: str, code: int, text: str, directory: str) -> None:
        """Pass it on; a command that can't be executed says so in the task's stderr."""
        if self._cgroups is not None:
            self._cgroups.remove(container_id)
        if self._rooted is not None:
            self._rooted.on_over(container_id)
        self._entry.on_over(container_id)
        exec_failed = code in _EXEC_ERRORS and os.path.isdir(directory)  # noqa: PTH112 - one system call, no Path to build
        if exec_failed:
            with open(f"{directory}/stderr", "a", encoding="utf-8") as stderr:  # noqa: PTH123 - one system call, no Path to build
                stderr.write(f"Failed to execute the command: {text}\n")
        failed = events.ContainerLaunchFailed(container_id, text, exec_failed)
        self._when_left(container_id, functools.partial(self._post, failed))

    def on_exited(self, container_id: str, status: int) -> None:
        """Pass it on, once nothing of the container is left."""
        over = functools.partial(self._when_left, container_id, functools.partial(self._end, container_id, status))
        if self._cgroups is None:
            over()
        else:
            self._cgroups.when_empty(container_id, over)

    def _when_left(self, container_id: str, then: Callable[[], None]) -> None:
        if self._networked is None:
            then()
        else:
            self._networked.when_left(container_id, then)

    def _end(self, container_id: str, status: int) -> None:
        if self._cgroups is not None:
            counted = self._cgroups.counted_for(container_id)
            limitation = self._cgroups.limitation_of(counted)
            if limitation is not None:
                self._on_limited(counted, limitation)
        if self._rooted is not None:
            status = self._rooted.status_of(container_id, status)
        self._entry.on_over(container_id)
        self._post(events.ContainerExited(container_id, status))
        if self._rooted is not None:
            self._rooted.on_over(container_id)

    def _on_limited(self, container_id: str, limitation: events.Limitation) -> None:
        self._post(events.ContainerLimited(container_id, limitation))

    def on_lost(self, reason: str) -> None:
        """Start another supervisor, then say what was lost."""
        self._supervisor = None
        if self._cgroups is not None:
            self._cgroups.destroy_all()
        if self._rooted is not None:
            self._rooted.on_all_lost()
        if self._networked is not None:
            self._networked.on_all_lost()
        self._post(events.ContainersLost(reason))
        self._turn.at_end(self._restart)

    def on_taken_over(self) -> None:
        """Pass it on."""
        self._post(events.ContainersTakenOver())

    def _restart(self) -> None:
        self._restarting = asyncio.get_running_loop().create_task(self._start_again())

    async def _start_again(self) -> None:
        while self._supervisor is None:
            try:
                await self.start()
            except OSError as error:
                structlog.get_logger().error("no supervisor can be started; trying again", why=str(error))
                await asyncio.sleep(RESTART_S)
        self.tell_held()
        waiting, self._waiting = self._waiting, []
        for work in waiting:
            work()


def path_of(environment: list[str]) -> str:
    """Return the folders in which a process with this environment looks for programs."""
    return next((one[5:] for one in reversed(environment) if one.startswith("PATH=")), PATH)


def find_program(program: str, directory: str, path: str = PATH) -> str | None:
    """Return the program that would be started, with its folder; None where it isn't there, or can't be executed."""
    folders = [directory] if "/" in program else path.split(":")
    for folder in folders:
        path = os.path.join(folder, program)  # noqa: PTH118 - no Path to build
        if os.access(path, os.X_OK) and os.path.isfile(path):  # noqa: PTH113 - no Path to build
            return program if "/" in program else path
    return None


def needs_switch(user: str) -> bool:
    """Say whether `user` is another than the agent's own."""
    return not is_us(user) and find_user(user).pw_uid != os.geteuid()
