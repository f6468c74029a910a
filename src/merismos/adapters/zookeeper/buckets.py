"""How registry entries are packed into znodes; no ZooKeeper is needed to know.

Rules: all that is known of one agent or machine is in one bucket, chosen by a hash of its key, and so changes as one. What there
is of the cluster as a whole is in a bucket of its own. A bucket that is full refuses, and says so, before anything is written.
"""

from __future__ import annotations

import zlib
from collections.abc import Iterable, Sequence
from typing import Final, TypeVar

import msgspec

from merismos.ports.registry import Entry, RegistryError

BUCKETS: Final = 256
CLUSTER: Final = "cluster"
BUCKET_BYTES_MAX: Final = 256 * 1024
TRANSACTION_BYTES: Final = (
    64 * 1024
)  # ZooKeeper keeps its last 500 transactions in memory: bigger ones have ended a small server
FORMAT: Final = b"\x01"
BY_KEY: Final = frozenset({"agents", "unreachable", "gone", "machines", "frameworks", "drains"})
_COMPRESSION: Final = 1
_ENCODER = msgspec.msgpack.Encoder()
_DECODER = msgspec.msgpack.Decoder(list[tuple[str, str, bytes]])
Item = TypeVar("Item")


def bucket_of(table: str, key: str) -> str:
    """Return the name of the bucket that holds an entry."""
    if table not in BY_KEY:
        return CLUSTER
    return f"{zlib.crc32(key.encode()) % BUCKETS:02x}"


def pack(name: str, entries: Sequence[Entry]) -> bytes:
    """Return a bucket's bytes.

    Errors: RegistryError where they are too many.
    """
    data = FORMAT + zlib.compress(_ENCODER.encode(entries), _COMPRESSION)
    if len(data) > BUCKET_BYTES_MAX:
        raise RegistryError(
            f"bucket {name} of the registry would take {len(data)} of {BUCKET_BYTES_MAX} bytes for {len(entries)} entries: "
            "forget unreachable and gone agents earlier (--registry_max_agent_age, --registry_max_agent_count)"
        )
    return data


def unpack(name: str, data: bytes) -> list[Entry]:
    """Return what is in a bucket.

    Errors: RegistryError for what this version can't read.
    """
    if not data:
        return []
    if data[:1] != FORMAT:
        raise RegistryError(f"bucket {name} of the registry has format {data[:1]!r}, this master knows {FORMAT!r}")
    try:
        return _DECODER.decode(zlib.decompress(data[1:]))
    except (zlib.error, msgspec.DecodeError) as error:
        raise RegistryError(
            f"bucket {name} of the registry can't be read: {error}; restore it from a backup, or delete its znode and lose "
            "what it holds: its agents come back by themselves"
        ) from error


def in_transactions(sized: Iterable[tuple[Item, int]]) -> list[list[Item]]:
    """Return the items in groups whose sizes add up to at most a transaction's; one that is bigger goes alone."""
    groups: list[list[Item]] = []
    room = 0
    for item, size in sized:
        if size > room or not groups:
            groups.append([])
            room = TRANSACTION_BYTES
        groups[-1].append(item)
        room -= size
    return groups
