"""Two containerizers as one: containers of Docker go to Docker, all others to the supervisor of processes.

Rules: who launched a container, or had it from an earlier agent, gets what is said about it; what nobody knows goes to the native
containerizer, which takes an unknown id as one that has ended.
"""

from __future__ import annotations

from merismos.containers.docker.containerizer import DockerContainerizer
from merismos.containers.native import NativeContainerizer
from merismos.core.agent import effects


class ComposingContainerizer:
    """Hands each effect to the containerizer of its container; `docker` is None where there is none."""

    def __init__(self, native: NativeContainerizer, docker: DockerContainerizer | None) -> None:
        self._native = native
        self._docker = docker

    async def start(self) -> None:
        """Take over what an earlier agent left.

        Errors: OSError where no process can be started.
        """
        await self._native.start()

    def tell_held(self) -> None:
        """Say what is held; what Docker holds follows when Docker answers."""
        self._native.tell_held()
        if self._docker is not None:
            self._docker.start()

    async def close(self, *, end: bool) -> None:
        """Let go of the containers; with `end`, end them."""
        if self._docker is not None:
            await self._docker.close(end=end)
        await self._native.close(end=end)

    def metrics(self) -> dict[str, float]:
        """Return what an operator may want to know."""
        return {} if self._docker is None else self._docker.metrics()

    def create_sandbox(self, effect: effects.CreateSandbox) -> None:
        """Make a sandbox."""
        self._native.create_sandbox(effect)

    def launch(self, effect: effects.LaunchContainer) -> None:
        """Launch a container."""
        if effect.docker is None:
            self._native.launch(effect)
        else:
            assert self._docker is not None, "such a task is refused where there is no Docker"
            self._docker.launch(effect)

    def signal(self, effect: effects.SignalContainer) -> None:
        """Send a signal."""
        if self._docker is not None and self._docker.owns(effect.container_id):
            self._docker.signal(effect)
        else:
            self._native.signal(effect)

    def create_cgroup(self, effect: effects.CreateCgroup) -> None:
        """Have a cgroup there that several share."""
        self._native.create_cgroup(effect)

    def destroy_cgroup(self, effect: effects.DestroyCgroup) -> None:
        """Empty a cgroup, and remove it."""
        self._native.destroy_cgroup(effect)

    def update(self, effect: effects.UpdateContainer) -> None:
        """Give a running container other limits."""
        self._native.update(effect)

    def collect(self, effect: effects.CollectContainer) -> None:
        """Forget an exit status that is written down."""
        if self._docker is not None and self._docker.owns(effect.container_id):
            self._docker.collect(effect)
        else:
            self._native.collect(effect)

    def leave_networks(self, effect: effects.LeaveNetworks) -> None:
        """Let go of the network that the tasks of a group shared."""
        self._native.leave_networks(effect)

    def kill_remains(self, effect: effects.KillRemains) -> None:
        """Kill what a supervisor that is gone has left."""
        self._native.kill_remains(effect)
