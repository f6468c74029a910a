"""From flags to who takes part in the election, who observes it, and where the registry is.

Rules: without --zk and --master_contender a master leads alone, its registry in SQLite. With --zk all three are ZooKeeper's and share
one session, so that what is lost is lost for all of them at once.
"""

from __future__ import annotations

from pathlib import Path
from typing import NamedTuple

from merismos.adapters.coordination import static
from merismos.adapters.storage.memory import MemoryRegistry
from merismos.adapters.storage.sqlite import SqliteRegistry
from merismos.adapters.zookeeper import address as zookeeper
from merismos.ports.contender import Contender, ContenderError
from merismos.ports.detector import Detector, DetectorError
from merismos.ports.registry import RegistryError, RegistryStore
from merismos.shell import plugins
from merismos.shell.flags import FlagError, Flags

SQLITE = "sqlite"
IN_MEMORY = "in_memory"
REPLICATED_LOG = "replicated_log"
ZOOKEEPER = "zookeeper"
REGISTRY_FILE = "registry.sqlite"
SESSION_TIMEOUT_S_MIN = 1.0
ZK = "zk"


class Coordination(NamedTuple):
    """What a master is coordinated by; without a contender it leads alone."""

    registry: RegistryStore
    contender: Contender | None = None
    detector: Detector | None = None


def check_session_timeout(flags: Flags) -> None:
    """Complain about a session timeout that can't be.

    Errors: FlagError.
    """
    if flags.seconds("zk_session_timeout") < SESSION_TIMEOUT_S_MIN:
        raise FlagError("--zk_session_timeout: it must be at least 1secs, else every pause of a master deposes it")


def check_master(flags: Flags) -> None:
    """Complain about what can't be, before anything is touched.

    Errors: FlagError.
    """
    check_session_timeout(flags)
    zk, registry = flags.text("zk"), flags.text("registry")
    if zk is not None and not _foreign(flags):
        try:
            zookeeper.parse(zk)
        except zookeeper.ZooKeeperAddressError as error:
            raise FlagError(f"--zk: {error}") from error
    if zk is not None and registry == SQLITE:
        raise FlagError(
            "--zk with --registry=sqlite can't be: a standby can't read another machine's file; leave --registry out"
        )
    if zk is None and registry == ZOOKEEPER:
        raise FlagError("--registry=zookeeper needs --zk=zk://host1:2181,host2:2181,host3:2181/path")
    built_in = {None, SQLITE, IN_MEMORY, REPLICATED_LOG, ZOOKEEPER}
    if registry not in built_in and registry not in plugins.names(plugins.STORAGES):
        known = sorted({*filter(None, built_in), *plugins.names(plugins.STORAGES)})
        raise FlagError(f"--registry={registry}: take one of {', '.join(known)}")
    if kind_of(flags) == SQLITE and not flags.given("work_dir"):
        raise FlagError("--work_dir=PATH is needed, for the registry; --registry=in_memory does without, and forgets")
    if flags.given("master_detector") and not _foreign(flags) and zk is None:
        raise FlagError("--master_detector: a master that leads alone detects nobody; give --master_contender too")


def kind_of(flags: Flags) -> str:
    """Return where the registry is, as what was left to us is decided."""
    registry = flags.text("registry")
    if registry in {None, REPLICATED_LOG}:
        return SQLITE if flags.text("zk") is None else ZOOKEEPER
    return str(registry)


def warnings_of(flags: Flags) -> list[str]:
    """Return what the log shall say about values that mean something else here."""
    given = [f"--{name}" for name in ("registry", "quorum") if flags.given(name)]
    if flags.text("registry") not in {None, REPLICATED_LOG} or not given:
        return []
    where = "in ZooKeeper, below the path of --zk" if flags.text("zk") else "one SQLite file under --work_dir"
    return [f"{' and '.join(given)}: there is no replicated log here; the registry is {where}"]


def coordination_of(flags: Flags) -> Coordination:
    """Return what a master with these flags is coordinated by.

    Errors: FlagError, OSError, RegistryError.
    """
    zk, timeout_s = flags.text("zk"), flags.seconds("zk_session_timeout")
    try:
        if _foreign(flags):
            contender = plugins.find(plugins.CONTENDERS, str(flags.text("master_contender")))(zk or "", timeout_s)
            detector = plugins.detector_of(zk or "", flags.text("master_detector"), timeout_s)
            return Coordination(_registry_of(flags), contender, detector)
        if zk is None:
            return Coordination(_registry_of(flags))
        from merismos.adapters.zookeeper.ensemble import coordinated  # noqa: PLC0415 - kazoo, only where it is wanted

        contender, detector, registry = coordinated(zk, timeout_s, flags.seconds("registry_fetch_timeout"))
        if flags.given("master_detector"):
            detector = plugins.detector_of(zk, flags.text("master_detector"), timeout_s)
        return Coordination(registry if kind_of(flags) == ZOOKEEPER else _registry_of(flags), contender, detector)
    except (plugins.PluginError, ContenderError, DetectorError) as error:
        raise FlagError(str(error)) from error


def check_detection(flags: Flags) -> str:
    """Return the master's address as an agent is given it.

    Errors: FlagError for what no detector can follow.
    """
    check_session_timeout(flags)
    master = (flags.text("master") or "").strip()
    if flags.given("master_detector"):
        return master
    if not master:
        raise FlagError("--master is missing: write --master=host:port, or --master=zk://host1:2181,host2:2181/path")
    scheme, separator, _ = master.partition("://")
    try:
        if scheme == ZK and separator:
            zookeeper.parse(master)
        elif not separator:
            static.parse(master)
        elif scheme not in plugins.names(plugins.DETECTORS):
            raise FlagError(
                f"--master={master}: nothing here follows a master at {scheme}://; write host:port or zk://"
            )
    except (zookeeper.ZooKeeperAddressError, DetectorError) as error:
        raise FlagError(f"--master: {error}") from error
    return master


def detector_of(flags: Flags) -> Detector:
    """Return what finds an agent's master.

    Errors: FlagError.
    """
    try:
        return plugins.detector_of(
            check_detection(flags), flags.text("master_detector"), flags.seconds("zk_session_timeout")
        )
    except DetectorError as error:
        raise FlagError(f"--master: {error}") from error


def _foreign(flags: Flags) -> bool:
    return flags.text("master_contender") not in {None, ZK}


def _registry_of(flags: Flags) -> RegistryStore:
    kind, work_dir = kind_of(flags), flags.text("work_dir")
    if kind == IN_MEMORY:
        return MemoryRegistry()
    if kind == SQLITE:
        assert work_dir is not None, "the flags were checked"
        path = Path(work_dir)
        path.mkdir(parents=True, exist_ok=True)
        return SqliteRegistry(path / REGISTRY_FILE)
    try:
        store: RegistryStore = plugins.find(plugins.STORAGES, kind)(work_dir)
    except RegistryError as error:
        raise FlagError(f"--registry={kind}: {error}") from error
    return store
