"""The registry in a real ZooKeeper on this machine: how fast agents are admitted, and how fast a new leader reads them."""

from __future__ import annotations

import asyncio
import tempfile
import time
from pathlib import Path

import msgspec
from tests.contract.leaders_registry import LeadersRegistry
from tests.contract.zookeeper_server import ZooKeeperServer, why_not

from merismos.adapters.zookeeper.registry import ZooKeeperRegistry
from merismos.ports.registry import RegistryError

KNOWN = 40_000
ADMITTED = 20_000
IN_FLIGHT = 1000


def agent_info(number: int) -> bytes:
    """Return an AgentInfo of about 900 bytes."""
    scalars = {"cpus": 16 + number % 48, "mem": 65536 + number, "disk": 500_000 + number, "gpus": number % 8}
    info = {
        "hostname": f"node-{number}.rack{number % 97}.example.com",
        "port": 5051,
        "id": {"value": agent_id(number)},
        "resources": [
            {"name": name, "type": "SCALAR", "scalar": {"value": value}, "role": "*"} for name, value in scalars.items()
        ]
        + [{"name": "ports", "type": "RANGES", "ranges": {"range": [{"begin": 31000, "end": 32000}]}, "role": "*"}],
        "attributes": [
            {"name": name, "type": "TEXT", "text": {"value": f"{name}-{number % size}"}}
            for name, size in (("rack", 97), ("zone", 3), ("os", 2), ("kernel", 11), ("disk", 5))
        ],
    }
    return msgspec.json.encode(info)


def agent_id(number: int) -> str:
    """Return an agent's id as a master gives it."""
    return f"5a1e1d4c-0f6b-4a57-9a55-3b0f6f1f1f1f-S{number}"


async def admit(store: LeadersRegistry, first: int, count: int, in_flight: int) -> float:
    """Admit agents one by one, so many at a time; return the seconds that it took."""
    loop = asyncio.get_running_loop()
    over: asyncio.Future[None] = loop.create_future()
    numbers = iter(range(first, first + count))
    left = count

    def ask() -> None:
        number = next(numbers, None)
        if number is not None:
            store.store([("agents", agent_id(number), agent_info(number))], done)

    def done(error: RegistryError | None) -> None:
        nonlocal left
        left -= 1
        if error is not None and not over.done():
            over.set_exception(error)
        elif left == 0:
            over.set_result(None)
        ask()

    began_at = time.monotonic()
    for _ in range(in_flight):
        ask()
    await over
    return time.monotonic() - began_at


async def measure(url: str) -> dict[str, float]:
    """Return agents admitted a second on top of those known, and the seconds that reading all of them takes."""
    store = LeadersRegistry(url)
    await store.load()
    try:
        await admit(store, 0, KNOWN, KNOWN)
        took_s = await admit(store, KNOWN, ADMITTED, IN_FLIGHT)
        reader = ZooKeeperRegistry(store.contender._session, lambda: None)  # noqa: SLF001 - a reader beside the leader
        began_at = time.monotonic()
        found = await reader.load()
        load_s = time.monotonic() - began_at
    finally:
        await store.close()
    assert len(found) == KNOWN + ADMITTED, len(found)
    return {"admitted_per_s": ADMITTED / took_s, "load_s": load_s, "entries": len(found)}


def run() -> dict[str, float]:
    """Measure on a ZooKeeper of our own; nothing where none can be started."""
    if why_not():
        return {}
    with tempfile.TemporaryDirectory() as folder, ZooKeeperServer(Path(folder)) as server:
        return asyncio.run(measure(server.url("/bench/mesos")))
