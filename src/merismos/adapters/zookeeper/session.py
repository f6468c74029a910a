"""A ZooKeeper session for the event loop: kazoo runs in threads of its own, everything it says arrives as a call on the loop.

Rules: nothing here blocks the loop; each request has a limit and is refused at once while there is no connection. Trying to connect
never ends: a session that is over is followed by a new one, a client whose thread died by a new client. A session that can't be
resumed for longer than its timeout forgets what it has seen, because an ensemble that lost its data refuses clients that have
seen more, without a word, for ever.
"""

from __future__ import annotations

import asyncio
import contextlib
import enum
import logging
from collections.abc import Callable
from typing import TYPE_CHECKING, Any, Final, TypeVar

from kazoo.client import KazooClient
from kazoo.exceptions import (
    ConnectionClosedError,
    ConnectionLoss,
    KazooException,
    NoAuthError,
    OperationTimeoutError,
    SessionExpiredError,
)
from kazoo.protocol.states import KazooState, KeeperState
from kazoo.retry import KazooRetry
from kazoo.security import make_acl

if TYPE_CHECKING:
    from kazoo.interfaces import IAsyncResult

    from merismos.adapters.zookeeper.address import ZooKeeperAddress

RECONNECT_S_FIRST: Final = 0.05
RECONNECT_S_MAX: Final = 1.0
REQUEST_LIMIT_S_MIN: Final = 5.0
CLOSE_LIMIT_S: Final = 5.0

LOGGER: Final = "merismos.zookeeper"
log = logging.getLogger(LOGGER)
log.setLevel(logging.INFO)
Result = TypeVar("Result")
_UNDECIDED = (ConnectionLoss, ConnectionClosedError, OperationTimeoutError, SessionExpiredError)


class State(enum.Enum):
    """What a session is worth at the moment."""

    CONNECTED = "connected"
    SUSPENDED = "suspended"
    LOST = "lost"


class Disconnected(Exception):
    """The request wasn't tried, or nobody knows whether it was carried out."""


class Denied(Exception):
    """ZooKeeper's access control says no; the text says what to change."""


class _Client(KazooClient):  # type: ignore[misc]  # kazoo has no types
    """Notes the session timeout that the server granted, which may be shorter than asked for."""

    def __init__(self, **settings: Any) -> None:  # noqa: ANN401 - kazoo's own
        super().__init__(**settings)
        self.granted_s: float = settings["timeout"]
        connect = self._connection._connect  # noqa: SLF001 - kazoo tells the granted timeout nowhere else

        def noting(host: str, ip: str, port: int) -> tuple[float, float]:
            read_timeout_ms, connect_timeout_ms = connect(host, ip, port)
            self.granted_s = read_timeout_ms * 1.5 / 1000.0
            return read_timeout_ms, connect_timeout_ms

        self._connection._connect = noting  # noqa: SLF001 - likewise


class Session:
    """One client of an ensemble.

    Shapes: `watchers` hear each change of state, from the loop. Several may share it: each calls `start` once and `close` once.
    """

    def __init__(self, address: ZooKeeperAddress, timeout_s: float) -> None:
        self.address = address
        self.state = State.LOST
        self.watchers: list[Callable[[State], None]] = []
        self._timeout_s = timeout_s
        self._loop = asyncio.get_running_loop()
        self._client: _Client | None = None
        self._forgetting: asyncio.TimerHandle | None = None
        self._restarting: asyncio.TimerHandle | None = None
        self._closing = False
        self._users = 0
        self._up = asyncio.Event()

    @property
    def timeout_s(self) -> float:
        """How long after its last sign of life the server ends this session."""
        return self._timeout_s if self._client is None else min(self._timeout_s, self._client.granted_s)

    @property
    def id(self) -> int:
        """The session's id at the ensemble; 0 while there is none."""
        known = None if self._client is None else self._client.client_id
        return 0 if known is None else int(known[0] or 0)

    def start(self) -> None:
        """Use the session, which begins to connect."""
        self._users += 1
        self._open()

    async def connected(self) -> None:
        """Wait until there is a connection."""
        await self._up.wait()

    async def call(self, begin: Callable[[KazooClient], IAsyncResult], limit_s: float = 0.0) -> Any:  # noqa: ANN401 - kazoo's
        """Return what a request of kazoo's `*_async` kind comes to.

        Errors: Disconnected, Denied; KazooException for ZooKeeper's own answers (no node, bad version, ...).
        """
        client = self._client
        if client is None or self.state is not State.CONNECTED:
            raise Disconnected(f"no connection to {self.address}")
        answered: asyncio.Future[Any] = self._loop.create_future()
        begin(client).rawlink(lambda result: self._from_thread(_settle, answered, result))
        limit_s = limit_s or max(self._timeout_s, REQUEST_LIMIT_S_MIN)
        try:
            async with asyncio.timeout(limit_s):
                return await answered
        except TimeoutError:
            raise Disconnected(f"{self.address} gave no answer within {limit_s:g} s") from None
        except _UNDECIDED as error:
            raise Disconnected(f"{self.address}: {type(error).__name__}") from error
        except NoAuthError as error:
            user = self.address.credentials.partition(":")[0] or "anybody"
            raise Denied(
                f"{self.address} doesn't allow that to {user}; give the credentials that made the path, or change its ACL"
            ) from error

    async def make_path(self, path: str, acl: list[Any] | None = None) -> None:
        """Create `path` and what is above it, where missing.

        Errors: as `call`.
        """
        await self.call(lambda client: client.ensure_path_async(path, acl or self.open_acl()))

    def open_acl(self) -> list[Any]:
        """Return who may do what with nodes that anybody may read."""
        if not self.address.credentials:
            return [make_acl("world", "anyone", all=True)]
        return [make_acl("auth", "", all=True), make_acl("world", "anyone", read=True)]

    def private_acl(self) -> list[Any]:
        """Return who may do what with nodes that are nobody else's business."""
        return [make_acl("auth", "", all=True)] if self.address.credentials else self.open_acl()

    async def close(self) -> None:
        """Use it no more; with its last user the session ends, and its nodes go at once."""
        self._users -= 1
        if self._users > 0:
            return
        self._closing = True
        for timer in (self._forgetting, self._restarting):
            if timer is not None:
                timer.cancel()
        client, self._client = self._client, None
        self.state = State.LOST
        self._up.clear()
        if client is not None:
            with contextlib.suppress(TimeoutError):
                await asyncio.wait_for(asyncio.to_thread(_end, client), CLOSE_LIMIT_S)

    def _open(self) -> None:
        if self._client is None and not self._closing:
            self._client = client = self._make()
            client.start_async()

    def _make(self) -> _Client:
        logger = logging.getLogger("merismos.kazoo")
        logger.setLevel(logging.ERROR)
        credentials = self.address.credentials
        client = _Client(
            hosts=",".join(self.address.hosts),
            timeout=self._timeout_s,
            auth_data=[("digest", credentials)] if credentials else None,
            connection_retry=KazooRetry(max_tries=-1, delay=RECONNECT_S_FIRST, max_delay=RECONNECT_S_MAX),
            logger=logger,
        )
        client.add_listener(lambda state: self._from_thread(self._changed, client, state))
        return client

    def _from_thread(self, work: Callable[..., None], *arguments: object) -> None:
        with contextlib.suppress(RuntimeError):  # the loop is closed: nobody is left to be told
            self._loop.call_soon_threadsafe(work, *arguments)

    def _changed(self, client: _Client, state: str) -> None:
        if client is not self._client:
            return
        now = {KazooState.CONNECTED: State.CONNECTED, KazooState.SUSPENDED: State.SUSPENDED}.get(state, State.LOST)
        if now is self.state:
            return
        log.info("the session %#x at %s is %s", self.id, self.address, now.value)
        self.state = now
        if self._forgetting is not None:
            self._forgetting.cancel()
            self._forgetting = None
        if now is State.CONNECTED:
            self._up.set()
        else:
            self._up.clear()
            self._forgetting = self._loop.call_later(self.timeout_s, self._forget, client)
        if now is State.LOST and client.client_state in {KeeperState.CLOSED, KeeperState.AUTH_FAILED}:
            self._restarting = self._loop.call_later(RECONNECT_S_MAX, self._restart, client)
        for watcher in list(self.watchers):
            watcher(now)

    def _forget(self, client: _Client) -> None:
        client.last_zxid = 0
        self._forgetting = self._loop.call_later(self.timeout_s, self._forget, client)

    def _restart(self, client: _Client) -> None:
        if client is self._client and not self._closing:
            self._client = None
            self._loop.run_in_executor(None, _end, client)
            self._open()


def _settle(answered: asyncio.Future[Any], result: IAsyncResult) -> None:
    if answered.done():
        return
    if result.exception is None:
        answered.set_result(result.value)
    else:
        answered.set_exception(result.exception)


def _end(client: KazooClient) -> None:
    with contextlib.suppress(KazooException, OSError, AttributeError):
        client.stop()
        client.close()
