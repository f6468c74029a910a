"""The candidates under a path, looked at again whenever they may have changed.

Rules: a look is one reading of the names and of the first one's introduction. Looks follow watches, reconnections and, for a
watch that got lost, time; one that fails is repeated for ever, so that nothing that waits for an answer waits in vain.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
from collections.abc import Callable
from typing import TYPE_CHECKING, Final, NamedTuple

from kazoo.exceptions import KazooException, NoNodeError

from merismos.adapters.zookeeper.session import LOGGER, Denied, Disconnected, Session, State
from merismos.core import election

if TYPE_CHECKING:
    from kazoo.protocol.states import WatchedEvent

LOOK_AGAIN_S: Final = 30.0
RETRY_S: Final = 0.5

log = logging.getLogger(LOGGER)


class Sighting(NamedTuple):
    """What was seen.

    Shapes: `first` is what the leading candidate says of itself; None where there is no candidate.
    Units: `born_at_s` is the wall time at which the path was created.
    """

    names: list[str]
    born_at_s: int
    leading: str | None
    first: bytes | None


class Group:
    """Follows the candidates; `on_seen` is called from the loop after each look."""

    def __init__(self, session: Session, on_seen: Callable[[Sighting], None]) -> None:
        self._session = session
        self._on_seen = on_seen
        self._loop = asyncio.get_running_loop()
        self._stale = asyncio.Event()
        self._task: asyncio.Task[None] | None = None
        self._complaint = ""

    def start(self) -> None:
        """Begin to look."""
        self._session.watchers.append(self._on_state)
        self._task = self._loop.create_task(self._run())

    async def close(self) -> None:
        """Look no more."""
        if self._task is not None:
            self._session.watchers.remove(self._on_state)
            self._task.cancel()
            await asyncio.gather(self._task, return_exceptions=True)

    def _on_state(self, state: State) -> None:
        if state is State.CONNECTED:
            self._stale.set()

    def _watched(self, event: WatchedEvent) -> None:  # noqa: ARG002 - kazoo's signature
        with contextlib.suppress(RuntimeError):  # the loop is closed
            self._loop.call_soon_threadsafe(self._stale.set)

    async def _run(self) -> None:
        while True:
            await self._session.connected()
            self._stale.clear()
            try:
                sighting = await self._look()
            except (Disconnected, Denied, KazooException) as error:
                self._complain(error)
                await asyncio.sleep(RETRY_S)
                continue
            self._complaint = ""
            self._on_seen(sighting)
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(LOOK_AGAIN_S):
                    await self._stale.wait()

    async def _look(self) -> Sighting:
        path, call = self._session.address.path, self._session.call
        while True:
            try:
                names, stat = await call(
                    lambda client: client.get_children_async(path, watch=self._watched, include_data=True)
                )
            except NoNodeError:
                if await call(lambda client: client.exists_async(path, watch=self._watched)) is None:
                    return Sighting([], 0, None, None)
                continue
            leading = election.leading(names)
            if leading is None:
                return Sighting(names, stat.ctime // 1000, None, None)
            with contextlib.suppress(NoNodeError):  # it went in between: look again
                data, _ = await call(lambda client, at=f"{path}/{leading}": client.get_async(at))  # type: ignore[misc]
                return Sighting(names, stat.ctime // 1000, leading, data)

    def _complain(self, error: Exception) -> None:
        text = str(error) or type(error).__name__
        if text != self._complaint:
            self._complaint = text
            log.warning("who leads can't be seen at %s: %s", self._session.address, text)
