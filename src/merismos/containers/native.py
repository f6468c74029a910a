"""The native containerizer: a container is a process tree in its sandbox, held by the supervisor.

Rules: performs the core's container effects and answers each with its event; a sandbox that can't be made whole is removed, so that
nothing starts in it. Another user is taken on by `setpriv`, only where it is not ours. A supervisor that died is replaced.
"""

from __future__ import annotations

import asyncio
import errno
import os
from collections.abc import Callable

from merismos.containers.sandbox import Sandboxes, find_user
from merismos.containers.supervisor_link import SupervisorLink
from merismos.core.agent import effects, events
from merismos.core.kernel import Event
from merismos.shell.turn import Turn

RESTART_S = 1.0
_EXEC_ERRORS = frozenset(
    {errno.ENOENT, errno.EACCES, errno.ENOEXEC, errno.ENOTDIR, errno.ELOOP, errno.ENAMETOOLONG, errno.EISDIR}
)


class NativeContainerizer:
    """Launches, signals and watches process trees."""

    def __init__(self, post: Callable[[Event], None], sandboxes: Sandboxes, turn: Turn) -> None:
        self._post = post
        self._sandboxes = sandboxes
        self._turn = turn
        self._supervisor: SupervisorLink | None = None
        self._directories: dict[str, str] = {}
        self._restarting: asyncio.Task[None] | None = None

    async def start(self) -> None:
        """Start the supervisor.

        Errors: OSError where no process can be started.
        """
        supervisor = SupervisorLink(self, self._turn)
        await supervisor.start()
        self._supervisor = supervisor

    async def close(self) -> None:
        """End every container."""
        if self._restarting is not None:
            self._restarting.cancel()
        if self._supervisor is not None:
            await self._supervisor.close()

    def create_sandbox(self, effect: effects.CreateSandbox) -> None:
        """Make a sandbox."""
        try:
            self._sandboxes.create(effect.directory, effect.user)
        except (OSError, LookupError) as error:
            self._sandboxes.remove(effect.directory)
            text = f"cannot create the sandbox {effect.directory}: {error}"
            self._post(events.ContainerLaunchFailed(effect.container_id, text))

    def launch(self, effect: effects.LaunchContainer) -> None:
        """Start a process."""
        if self._supervisor is None:
            self._post(events.ContainerLaunchFailed(effect.container_id, "the supervisor is being restarted"))
            return
        arguments, argv0 = effect.arguments, effect.argv0
        try:
            if effect.user is not None and needs_switch(effect.user):
                arguments, argv0 = switch_user(effect.user, arguments), "setpriv"
            self._supervisor.spawn(effect.container_id, effect.directory, arguments, argv0, effect.environment)
        except (LookupError, ValueError) as error:
            self._post(events.ContainerLaunchFailed(effect.container_id, str(error)))
        else:
            self._directories[effect.container_id] = effect.directory

    def signal(self, effect: effects.SignalContainer) -> None:
        """Send a signal to every process of a container."""
        if self._supervisor is not None:
            self._supervisor.signal(effect.container_id, effect.signal)

    def on_started(self, container_id: str, pid: int) -> None:
        """Pass it on."""
        self._post(events.ContainerLaunched(container_id, pid))

    def on_failed(self, container_id: str, code: int, text: str) -> None:
        """Pass it on; a command that can't be executed says so in the task's stderr."""
        directory = self._directories.pop(container_id, "")
        exec_failed = code in _EXEC_ERRORS and os.path.isdir(directory)  # noqa: PTH112 - one system call, no Path to build
        if exec_failed:
            with open(f"{directory}/stderr", "a", encoding="utf-8") as stderr:  # noqa: PTH123 - one system call, no Path to build
                stderr.write(f"Failed to execute the command: {text}\n")
        self._post(events.ContainerLaunchFailed(container_id, text, exec_failed))

    def on_exited(self, container_id: str, status: int) -> None:
        """Pass it on."""
        self._directories.pop(container_id, None)
        self._post(events.ContainerExited(container_id, status))

    def on_lost(self, reason: str) -> None:
        """Start another supervisor, then say what was lost."""
        self._supervisor = None
        self._directories.clear()
        self._post(events.ContainersLost(reason))
        self._turn.at_end(self._restart)

    def _restart(self) -> None:
        self._restarting = asyncio.get_running_loop().create_task(self._start_again())

    async def _start_again(self) -> None:
        while self._supervisor is None:
            try:
                await self.start()
            except OSError:
                await asyncio.sleep(RESTART_S)


def needs_switch(user: str) -> bool:
    """Say whether `user` is another than the agent's own."""
    return find_user(user).pw_uid != os.geteuid()


def switch_user(user: str, arguments: list[str]) -> list[str]:
    """Return the command that becomes `user` and then runs `arguments`, under their own name."""
    entry = find_user(user)
    return ["setpriv", f"--reuid={entry.pw_uid}", f"--regid={entry.pw_gid}", "--init-groups", "--", *arguments]
