"""A candidacy in ZooKeeper: an ephemeral, numbered node, and the proof, renewed all the time, that it is still there.

Rules: a leader proves its leadership by a reading that went through the ensemble's own leader, several times a session timeout.
It may decide until a part of the timeout after it *sent* the last one that was answered: before the ensemble can have given its
node up. A node whose making was cut off is looked for before another is made.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Final

from kazoo.exceptions import KazooException, NoNodeError

from merismos.adapters.zookeeper.group import LOOK_AGAIN_S, RETRY_S
from merismos.adapters.zookeeper.session import LOGGER, Denied, Disconnected, Session, State
from merismos.core.election import PREFIX, Candidacy, Place, sequence_of
from merismos.ports.contender import Standing
from merismos.shell.lease import awake_or_not_s

if TYPE_CHECKING:
    from kazoo.protocol.states import WatchedEvent

# Followers pass signs of life on to the ensemble's leader once a tick, and a session is at least two ticks long.
LEASE_PART: Final = 2 / 3
PROOFS_A_TIMEOUT: Final = 5
WITHDRAW_LIMIT_S: Final = 2.0

log = logging.getLogger(LOGGER)


class ZooKeeperContender:
    """One master's candidacy."""

    def __init__(self, session: Session) -> None:
        self._session = session
        self._loop = asyncio.get_running_loop()
        self._candidacy = Candidacy()
        self._candidate = b""
        self._on_standing: Callable[[Standing], None] = lambda standing: None  # noqa: ARG005 - the signature is given
        self._stale = asyncio.Event()
        self._task: asyncio.Task[None] | None = None
        self._lapse: asyncio.TimerHandle | None = None
        self._may_decide_until = 0.0
        self._cut_off = False
        self._complaint = ""

    @property
    def node(self) -> str | None:
        """The path of our node; None while there is none."""
        name = self._candidacy.name
        return None if name is None or self._candidacy.place is Place.OVER else f"{self._session.address.path}/{name}"

    def contend(self, candidate: bytes, on_standing: Callable[[Standing], None]) -> None:
        """Stand."""
        self._candidate = candidate
        self._on_standing = on_standing
        self._session.watchers.append(self._on_state)
        self._session.start()
        self._task = self._loop.create_task(self._run())

    def may_decide(self) -> bool:
        """Say whether the last proof is fresh enough."""
        return awake_or_not_s() < self._may_decide_until

    async def close(self) -> None:
        """Withdraw."""
        if self._task is None:
            return
        self._session.watchers.remove(self._on_state)
        self._task.cancel()
        await asyncio.gather(self._task, return_exceptions=True)
        self._task = None
        self._stop_deciding()
        if self.node is not None:
            with contextlib.suppress(Disconnected, Denied, KazooException):
                await self._session.call(lambda client: client.delete_async(self.node), WITHDRAW_LIMIT_S)
        await self._session.close()

    def _on_state(self, state: State) -> None:
        self._stale.set()
        if state is State.SUSPENDED:
            self._stop_deciding()
            self._tell(self._candidacy.doubted("the connection to ZooKeeper is lost"))
        elif state is State.LOST:
            self._stop_deciding()
            self._cut_off = False
            self._tell(self._candidacy.lost("the ZooKeeper session is over"))

    def _watched(self, event: WatchedEvent) -> None:  # noqa: ARG002 - kazoo's signature
        with contextlib.suppress(RuntimeError):  # the loop is closed
            self._loop.call_soon_threadsafe(self._stale.set)

    def _tell(self, standings: Sequence[Standing]) -> None:
        for standing in standings:
            self._on_standing(standing)

    async def _run(self) -> None:
        while self._candidacy.place is not Place.OVER:
            await self._session.connected()
            self._stale.clear()
            try:
                if self._candidacy.place is Place.OUTSIDE:
                    await self._join()
                await self._prove()
            except (Disconnected, Denied, KazooException) as error:
                self._complain(error)
                await asyncio.sleep(min(RETRY_S, self._session.timeout_s / PROOFS_A_TIMEOUT))
                continue
            self._complaint = ""
            if self._candidacy.place is Place.OUTSIDE:
                continue
            led = self._candidacy.place in {Place.LEADING, Place.SUSPENDED}
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(self._session.timeout_s / PROOFS_A_TIMEOUT if led else LOOK_AGAIN_S):
                    await self._stale.wait()

    async def _join(self) -> None:
        session, path = self._session, self._session.address.path
        await session.make_path(path)
        name = await self._find_own() if self._cut_off else None
        if name is None:
            self._cut_off = True
            made = await session.call(
                lambda client: client.create_async(
                    f"{path}/{PREFIX}", self._candidate, acl=session.open_acl(), ephemeral=True, sequence=True
                )
            )
            name = str(made).rpartition("/")[2]
        self._cut_off = False
        self._candidacy.joined(name)
        log.info("standing for election as %s", self.node)

    async def _find_own(self) -> str | None:
        path, call = self._session.address.path, self._session.call
        for name in await call(lambda client: client.get_children_async(path)):
            if sequence_of(name) is None:
                continue
            with contextlib.suppress(NoNodeError):
                _, stat = await call(lambda client, name=name: client.get_async(f"{path}/{name}"))  # type: ignore[misc]
                if stat.ephemeralOwner == self._session.id:
                    return str(name)
        return None

    async def _prove(self) -> None:
        session, path = self._session, self._session.address.path
        asked_at, asked_as = awake_or_not_s(), session.id
        await session.call(lambda client: client.sync_async(path))
        names, stat = await session.call(
            lambda client: client.get_children_async(path, watch=self._watched, include_data=True)
        )
        if session.id != asked_as or session.state is not State.CONNECTED:
            raise Disconnected("the session changed meanwhile")
        if not self.may_decide():
            self._tell(self._candidacy.doubted("the election was not confirmed in time"))
        if self.node is not None:
            self._may_decide_until = asked_at + session.timeout_s * LEASE_PART
            self._watch_lapse()
        self._tell(self._candidacy.seen(names, stat.ctime // 1000))
        if self._candidacy.place is not Place.LEADING:
            self._stop_deciding()

    def _watch_lapse(self) -> None:
        if self._lapse is not None:
            self._lapse.cancel()
        self._lapse = self._loop.call_later(max(0.0, self._may_decide_until - awake_or_not_s()), self._on_lapse)

    def _on_lapse(self) -> None:
        if not self.may_decide():
            self._tell(self._candidacy.doubted("the election was not confirmed in time"))

    def _stop_deciding(self) -> None:
        self._may_decide_until = 0.0
        if self._lapse is not None:
            self._lapse.cancel()
            self._lapse = None

    def _complain(self, error: Exception) -> None:
        text = str(error) or type(error).__name__
        if text != self._complaint:
            self._complaint = text
            log.warning("the candidacy at %s can't be confirmed: %s", self._session.address, text)
