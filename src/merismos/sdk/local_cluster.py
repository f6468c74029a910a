"""The record of a cluster that `merismos up` runs on this machine, and the master that clients mean by default.

Rules: there is at most one such cluster per user. Its process holds a lock on `up.lock` for as long as it lives, so a record that
a killed one left behind is known to be stale. The record is replaced in one step.
Source: the folders of the XDG base directory specification.
"""

from __future__ import annotations

import fcntl
import json
import os
from pathlib import Path
from typing import Final, NamedTuple

from merismos.sdk import address
from merismos.sdk.address import Address

ADDRESS_VARIABLE: Final = "MERISMOS_MASTER"
FOLDER_VARIABLE: Final = "MERISMOS_STATE_DIR"
_DEFAULT: Final = Address("127.0.0.1", address.MASTER_PORT)


class LocalCluster(NamedTuple):
    """What `merismos up` notes about itself.

    Shapes: `master` led when this was noted; `pids` and `addresses` (HOST:PORT) are those of its processes, by their names; `zk` is
    where its masters meet, empty for a single one.
    """

    pid: int
    master: str
    work_dir: str
    started_at: float
    pids: dict[str, int]
    addresses: dict[str, str]
    zk: str

    @property
    def masters(self) -> list[Address]:
        """Where its masters are, leading or not."""
        return [address.parse(self.addresses[name]) for name in self.names("master")]

    def names(self, kind: str) -> list[str]:
        """Return the names of its masters or agents."""
        return [name for name in self.addresses if name.partition("-")[0] == kind]


def folder() -> Path:
    """Return the folder of the record; nobody else may read it."""
    given = os.environ.get(FOLDER_VARIABLE)
    if given:
        return Path(given)
    state = os.environ.get("XDG_STATE_HOME")
    return (Path(state) if state else Path.home() / ".local" / "state") / "merismos"


def record_path() -> Path:
    """Return the path of the record."""
    return folder() / "up.json"


def lock_path() -> Path:
    """Return the path of the lock that a running cluster holds."""
    return folder() / "up.lock"


def read_record() -> LocalCluster | None:
    """Return what the last `merismos up` noted, running or not; None where there is nothing to read."""
    try:
        found = json.loads(record_path().read_bytes())
        return LocalCluster(**{name: found[name] for name in LocalCluster._fields})
    except (OSError, ValueError, KeyError, TypeError):
        return None


def write_record(cluster: LocalCluster) -> None:
    """Replace the record."""
    path = record_path()
    beside = path.with_suffix(".new")
    beside.write_text(json.dumps(cluster._asdict()) + "\n")
    beside.replace(path)


def is_locked() -> bool:
    """Say whether a cluster runs, or starts, or stops."""
    try:
        handle = os.open(lock_path(), os.O_RDONLY)
    except OSError:
        return False
    try:
        fcntl.flock(handle, fcntl.LOCK_SH | fcntl.LOCK_NB)
    except OSError:
        return True
    finally:
        os.close(handle)
    return False


def running() -> LocalCluster | None:
    """Return the cluster that runs on this machine for this user, if one does."""
    return read_record() if is_locked() else None


def find_master(given: str | None = None) -> Address | list[Address] | str:
    """Return the master that is meant: the one given, of MERISMOS_MASTER, of a running `merismos up`, or 127.0.0.1:5050.

    Shapes: a list where one of several leads; a text where the leader is to be found by a detector (`zk://...`).
    Errors: address.AddressError.
    """
    named = given or os.environ.get(ADDRESS_VARIABLE)
    if named:
        return address.parse_master(named)
    cluster = running()
    if cluster is None:
        return _DEFAULT
    masters = cluster.masters
    return masters if len(masters) > 1 else address.parse(cluster.master)
