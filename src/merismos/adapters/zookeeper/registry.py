"""The registry in ZooKeeper, below the path of the election.

Rules: every write is fenced twice: by the versions of the znodes that it replaces, and by the writer's own node in the election,
which goes with its session. A write that was cut off is looked up before it is tried again. All that was asked for while one write
was under way goes into the next, a bucket once; after a big write the next waits a moment, for the ensemble's disks. After a conflict nothing is written any more: another master leads.
Source: docs/decisions/0041-registry-in-zookeeper.md.
"""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Callable, Iterable
from typing import TYPE_CHECKING, Any, Final

from kazoo.exceptions import KazooException, NodeExistsError, NoNodeError, RolledBackError, RuntimeInconsistency

from merismos.adapters.zookeeper.buckets import bucket_of, in_transactions, pack, unpack
from merismos.adapters.zookeeper.session import Denied, Disconnected, Session
from merismos.ports.registry import Entry, RegistryError

if TYPE_CHECKING:
    from kazoo.client import KazooClient
    from kazoo.interfaces import IAsyncResult

NODE: Final = "log_replicas"  # the one name beside the candidates that Mesos' own clients know to leave out
FORMAT: Final = b"merismos registry 1"
FETCH_LIMIT_S: Final = 60.0
CLOSE_LIMIT_S: Final = 5.0
IDLE_S_MIN: Final = 0.005
BYTES_A_SECOND: Final = 32 * 1024 * 1024
NOT_THERE: Final = -1
Done = Callable[[RegistryError | None], None]


class Bucket:
    """One znode's content as this master knows it; `version` is NOT_THERE before it is created."""

    __slots__ = ("entries", "name", "version")

    def __init__(self, name: str) -> None:
        self.name = name
        self.version = NOT_THERE
        self.entries: dict[tuple[str, str], bytes] = {}

    def change(self, table: str, key: str, value: bytes) -> None:
        """Take one entry; an empty value deletes."""
        if value:
            self.entries[table, key] = value
        else:
            self.entries.pop((table, key), None)


class Write:
    """A bucket's new bytes, to replace what is there at `version`."""

    __slots__ = ("bucket", "data", "version")

    def __init__(self, bucket: Bucket, data: bytes) -> None:
        self.bucket = bucket
        self.data = data
        self.version = bucket.version


class ZooKeeperRegistry:
    """Entries in znodes under `<path>/log_replicas`.

    Shapes: `fence` returns the path of the node that must exist for a write to count, None when this master leads no more.
    Units: reading takes at most `fetch_limit_s`.
    """

    def __init__(
        self, session: Session, fence: Callable[[], str | None], *, fetch_limit_s: float = FETCH_LIMIT_S
    ) -> None:
        self._session = session
        self._fence = fence
        self._fetch_limit_s = fetch_limit_s
        self._root = f"{session.address.path}/{NODE}"
        self._buckets: dict[str, Bucket] = {}
        self._waiting: list[tuple[list[Entry], Done]] = []
        self._writing: asyncio.Task[None] | None = None
        self._broken: RegistryError | None = None
        self._idle_s = 0.0
        self._closing = False

    async def load(self) -> list[Entry]:
        """Return every entry, as the ensemble's leader knows them.

        Errors: RegistryError.
        """
        try:
            async with asyncio.timeout(self._fetch_limit_s):
                return await self._load()
        except TimeoutError:
            raise RegistryError(
                f"{self._session.address} gave no registry within {self._fetch_limit_s:g} s (--registry_fetch_timeout)"
            ) from None
        except (Disconnected, Denied, KazooException) as error:
            raise RegistryError(
                f"the registry at {self._root} can't be read: {error or type(error).__name__}"
            ) from error

    def store(self, changes: list[Entry], done: Done) -> None:
        """Write `changes` with the next transaction."""
        self._waiting.append((changes, done))
        if self._writing is None:
            self._writing = asyncio.get_running_loop().create_task(self._write())

    async def close(self) -> None:
        """Write what waits, as long as there is somebody to take it."""
        self._closing = True
        if self._writing is not None:
            with contextlib.suppress(TimeoutError):
                await asyncio.wait_for(self._writing, CLOSE_LIMIT_S)

    async def _load(self) -> list[Entry]:
        session, call = self._session, self._session.call
        with contextlib.suppress(NodeExistsError):
            await call(lambda client: client.create_async(self._root, FORMAT, acl=session.private_acl()))
        await call(lambda client: client.sync_async(self._root))
        form, _ = await call(lambda client: client.get_async(self._root))
        if form != FORMAT:
            raise RegistryError(f"{self._root} holds {form[:40]!r}, not {FORMAT!r}: it is no registry of this version")
        names = await call(lambda client: client.get_children_async(self._root))
        found = await asyncio.gather(
            *(call(lambda client, name=name: client.get_async(f"{self._root}/{name}")) for name in names)  # type: ignore[misc]
        )
        read = [(name, data, stat.version) for name, (data, stat) in zip(names, found, strict=True)]
        self._buckets = await asyncio.to_thread(_buckets_of, read)
        return [(*at, value) for bucket in self._buckets.values() for at, value in bucket.entries.items()]

    async def _write(self) -> None:
        while self._waiting:
            if self._idle_s > IDLE_S_MIN and not self._closing:
                await asyncio.sleep(self._idle_s)
            batch, self._waiting = self._waiting, []
            if self._broken is None:
                try:
                    await self._commit([change for changes, _ in batch for change in changes])
                except RegistryError as error:
                    self._broken = error
                except (Denied, KazooException) as error:
                    self._broken = RegistryError(f"{self._root} can't be written: {error or type(error).__name__}")
            for _, done in batch:
                done(self._broken)
        self._writing = None

    async def _commit(self, changes: Iterable[Entry]) -> None:
        dirty: dict[str, Bucket] = {}
        for table, key, value in changes:
            name = bucket_of(table, key)
            bucket = dirty[name] = self._buckets.setdefault(name, Bucket(name))
            bucket.change(table, key, value)
        snapshots = [(bucket, list(bucket.entries.items())) for bucket in dirty.values()]
        writes = await asyncio.to_thread(_packed, snapshots)
        groups = in_transactions((write, len(write.data)) for write in writes)
        outcomes = await asyncio.gather(*(self._transact(group) for group in groups), return_exceptions=True)
        for outcome in outcomes:
            if isinstance(outcome, BaseException):
                raise outcome
        self._idle_s = sum(len(write.data) for write in writes) / BYTES_A_SECOND

    async def _transact(self, writes: list[Write]) -> None:
        fence = self._fence()
        while True:
            if fence is None or self._fence() != fence:
                raise RegistryError("this master leads no more, so it may not write the registry")
            try:
                results = await self._session.call(lambda client: self._begin(client, fence, writes))
            except Disconnected:
                if not await self._is_written(fence, writes[0]):
                    continue
            else:
                self._judge(fence, results)
            for write in writes:
                write.bucket.version = write.version + 1
            return

    def _begin(self, client: KazooClient, fence: str, writes: list[Write]) -> IAsyncResult:
        transaction = client.transaction()
        transaction.check(fence, -1)
        for write in writes:
            path = f"{self._root}/{write.bucket.name}"
            if write.version == NOT_THERE:
                transaction.create(path, write.data, acl=self._session.private_acl())
            else:
                transaction.set_data(path, write.data, write.version)
        return transaction.commit_async()

    def _judge(self, fence: str, results: list[Any]) -> None:
        for number, result in enumerate(results):
            if isinstance(result, RolledBackError | RuntimeInconsistency) or not isinstance(result, Exception):
                continue
            why = f"{fence} is gone" if number == 0 else f"another master wrote it ({type(result).__name__})"
            raise RegistryError(f"the registry at {self._root} is another master's now: {why}")

    async def _is_written(self, fence: str, write: Write) -> bool:
        """Find out what became of a transaction that was cut off: all of its writes were made, or none."""
        while self._fence() == fence:
            await self._session.connected()
            try:
                data, stat = await self._session.call(
                    lambda client: client.get_async(f"{self._root}/{write.bucket.name}")
                )
            except NoNodeError:
                return False
            except Disconnected:
                continue
            return bool(stat.version == write.version + 1 and data == write.data)
        return False


def _buckets_of(read: list[tuple[str, bytes, int]]) -> dict[str, Bucket]:
    buckets: dict[str, Bucket] = {}
    for name, data, version in read:
        bucket = buckets[name] = Bucket(name)
        bucket.version = version
        bucket.entries = {(table, key): value for table, key, value in unpack(name, data)}
    return buckets


def _packed(snapshots: list[tuple[Bucket, list[tuple[tuple[str, str], bytes]]]]) -> list[Write]:
    return [
        Write(bucket, pack(bucket.name, [(table, key, value) for (table, key), value in entries]))
        for bucket, entries in snapshots
    ]
