"""The life of containers with a root of their own, as far as it differs from that of others: made before they start, removed afterwards.

Rules: a container that is to end while it is being made never starts. The containerizer says when the agent begins, when a container is over and when all are
lost; what then is left on the machine is removed beside the loop.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Sequence

from merismos.containers.runtimes import Runtimes
from merismos.core.agent import effects, events

Spawn = Callable[[effects.LaunchContainer, list[str]], None]
Fail = Callable[[effects.LaunchContainer, str], None]
_UNWANTED = "ended before it started"


class RootedContainers:
    """Makes, starts and removes containers that have a root of their own."""

    def __init__(self, runtime: Runtimes, spawn: Spawn, fail: Fail) -> None:
        self._runtime = runtime
        self._spawn = spawn
        self._fail = fail
        self._making: dict[str, asyncio.Task[None]] = {}
        self._unwanted: dict[str, None] = {}

    def begin(self, held: Sequence[events.HeldContainer]) -> None:
        """Remove everything but what belongs to the containers that are held, and say how those of them ended that did.

        Errors: OSError where the directories can't be had.
        """
        self._runtime.begin(held)

    def launch(self, effect: effects.LaunchContainer) -> None:
        """Make a container, then have it started."""
        self._making[effect.container_id] = asyncio.get_running_loop().create_task(self._make(effect))

    def cancel(self, container_id: str) -> bool:
        """Let a container that is being made never start; False where it isn't being made."""
        if container_id in self._making:
            self._unwanted[container_id] = None
        return container_id in self._making

    def before_kill(self, container_id: str) -> None:
        """All of a container is to end now, whoever has frozen it."""
        self._runtime.thaw(container_id)

    def status_of(self, container_id: str, status: int) -> int:
        """Return how a container ended, from how the program did that ran it."""
        return self._runtime.status_of(container_id, status)

    def on_collected(self, container_id: str) -> None:
        """The end of a container is written down."""
        self._runtime.forget(container_id)

    def on_over(self, container_id: str) -> None:
        """Nothing of a container runs any more."""
        self._runtime.clean(container_id)

    def on_all_lost(self) -> None:
        """What held the containers is gone, and they with it."""
        self._unwanted |= dict.fromkeys(self._making)
        self._runtime.clean_all(dict.fromkeys(self._making))

    async def close(self, *, end: bool) -> None:
        """Wait for what is being made and removed; with `end` nothing is left."""
        self._unwanted |= dict.fromkeys(self._making)
        await asyncio.gather(*self._making.values())
        await self._runtime.cleaned()
        await asyncio.to_thread(self._runtime.end if end else self._runtime.rest)

    async def _make(self, effect: effects.LaunchContainer) -> None:
        container_id = effect.container_id
        try:
            await self._runtime.settle(effect)
            command = await asyncio.to_thread(self._runtime.prepare, effect)
        except Exception as error:  # noqa: BLE001 - whatever an image's words make the system raise fails the task, not the agent
            self._fail(effect, str(error) or type(error).__name__)
            return
        finally:
            del self._making[container_id]
            unwanted = container_id in self._unwanted
            self._unwanted.pop(container_id, None)
        if unwanted:
            self._runtime.clean(container_id)
            self._fail(effect, _UNWANTED)
        else:
            self._spawn(effect, [*effect.wrapper, *command])
