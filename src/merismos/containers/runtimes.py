"""The runtimes of one agent that run containers with a root of their own: an OCI runtime, LXC, or both.

Rules: a container is the runtime's that its plan names; afterwards it is that one's which has its bundle. Only LXC's containers end
otherwise than their program.
"""

from __future__ import annotations

import asyncio
from collections.abc import Container, Sequence

from merismos.containers.lxc import LxcRuntime
from merismos.containers.oci import OciRuntime
from merismos.core.agent import effects, events


class Runtimes:
    """Hands each container to its runtime; None where there is no such one."""

    def __init__(self, oci: OciRuntime | None, lxc: LxcRuntime | None) -> None:
        self._oci = oci
        self._lxc = lxc
        self._all: list[OciRuntime] = [one for one in (oci, lxc) if one is not None]

    def begin(self, held: Sequence[events.HeldContainer]) -> None:
        """Remove everything but what belongs to the containers that are held, and say how those of them ended that did.

        Errors: OSError where the directories can't be had.
        """
        running = [one.container_id for one in held if one.status is None]
        for runtime in self._all:
            runtime.open()
            runtime.sweep(running)
        if self._lxc is not None:
            self._lxc.keep_logs([one.container_id for one in held])
            self._lxc.rest()
        for one in held:
            if one.status is not None:
                one.status = self.status_of(one.container_id, one.status)

    def end(self) -> None:
        """Remove everything."""
        for runtime in self._all:
            runtime.sweep(())
        if self._lxc is not None:
            self._lxc.keep_logs(())
        self.rest()

    def rest(self) -> None:
        """Nobody runs anything here for now."""
        if self._lxc is not None:
            self._lxc.rest()

    async def settle(self, effect: effects.LaunchContainer) -> None:
        """Wait until nothing is left of an earlier container of this id.

        Errors: ImageError where the layers went with it.
        """
        for runtime in self._all:
            await runtime.settle(effect)

    def prepare(self, effect: effects.LaunchContainer) -> list[str]:
        """Make a container; return the command that runs it."""
        assert effect.root is not None
        runtime = self._lxc if effect.root.lxc else self._oci
        assert runtime is not None, "what no runtime takes is refused before"
        return runtime.prepare(effect)

    def enter(self, effect: effects.LaunchContainer) -> None:
        """Make the launch of a process in a container one of the command that gets it there.

        Errors: LookupError where its user is none of the agent's, or there is no such container; OSError.
        """
        runtime = next((one for one in self._all if one.has(effect.inside)), None)
        if runtime is None:
            raise LookupError(f"container {effect.inside} has no root of its own on this agent any more")
        runtime.enter(effect)

    def status_of(self, container_id: str, status: int) -> int:
        """Return how a container ended, in wait(2) form, from how its program did."""
        return status if self._lxc is None else self._lxc.status_of(container_id, status)

    def forget(self, container_id: str) -> None:
        """A container's end is written down."""
        if self._lxc is not None:
            self._lxc.forget(container_id)

    def thaw(self, container_id: str) -> None:
        """Let a container that is frozen go on, so that it can end."""
        if self._lxc is not None and self._lxc.has(container_id):
            self._lxc.thaw(container_id)

    def clean(self, container_id: str) -> None:
        """Remove what is left of a container that is over, beside the loop."""
        for runtime in self._all:
            runtime.clean(container_id)

    def clean_all(self, but: Container[str]) -> None:
        """Remove what is left of every container but those, beside the loop."""
        for runtime in self._all:
            runtime.clean_all(but)

    async def cleaned(self) -> None:
        """Wait until everything is removed that is being removed."""
        await asyncio.gather(*(runtime.cleaned() for runtime in self._all))
