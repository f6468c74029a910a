"""A master's three parts in ZooKeeper on one session: what is lost is lost for all of them at once."""

from __future__ import annotations

from typing import NamedTuple

from merismos.adapters.zookeeper.address import ZooKeeperAddressError, parse
from merismos.adapters.zookeeper.contender import ZooKeeperContender
from merismos.adapters.zookeeper.detector import ZooKeeperDetector
from merismos.adapters.zookeeper.registry import ZooKeeperRegistry
from merismos.adapters.zookeeper.session import Session
from merismos.ports.contender import ContenderError


class Coordinated(NamedTuple):
    """One session's parts."""

    contender: ZooKeeperContender
    detector: ZooKeeperDetector
    registry: ZooKeeperRegistry


def coordinated(address: str, session_timeout_s: float, fetch_limit_s: float) -> Coordinated:
    """Return the parts of a master.

    Errors: ContenderError for what is no address.
    """
    try:
        session = Session(parse(address), session_timeout_s)
    except ZooKeeperAddressError as error:
        raise ContenderError(f"--zk: {error}") from error
    contender = ZooKeeperContender(session)
    registry = ZooKeeperRegistry(session, lambda: contender.node, fetch_limit_s=fetch_limit_s)
    return Coordinated(contender, ZooKeeperDetector(session), registry)
