"""A real ZooKeeper ensemble: Debian's, one peer a machine."""

from __future__ import annotations

import shutil
import socket
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from process.chaos.supervised import Supervised

if TYPE_CHECKING:
    from process.chaos.network import Machine

CLIENT_PORT = 2181
JARS = Path("/usr/share/java")
MAIN = "org.apache.zookeeper.server.quorum.QuorumPeerMain"
TICK_MS = 500
ASK_S_MAX = 1.0


def why_not() -> str | None:
    """Return why this machine can't run ZooKeeper, None where it can."""
    if shutil.which("java") is None:
        return "java is missing; on Debian: apt-get install default-jre-headless"
    if not (JARS / "zookeeper.jar").exists():
        return "ZooKeeper is missing; on Debian: apt-get install zookeeper"
    return None


def peers_on(machines: Sequence[Machine], folder: Path) -> list[Supervised]:
    """Return one peer for each machine, none started yet."""
    servers = "".join(f"server.{number}={machine.ip}:2888:3888\n" for number, machine in enumerate(machines, 1))
    return [
        _peer(number, machine, folder / f"zookeeper{number}", servers) for number, machine in enumerate(machines, 1)
    ]


def _peer(number: int, machine: Machine, folder: Path, servers: str) -> Supervised:
    data = folder / "data"
    data.mkdir(parents=True)
    (data / "myid").write_text(f"{number}\n", encoding="ascii")
    (folder / "zoo.cfg").write_text(
        f"tickTime={TICK_MS}\ninitLimit=10\nsyncLimit=4\ndataDir={data}\nclientPort={CLIENT_PORT}\n"
        f"clientPortAddress={machine.ip}\nadmin.enableServer=false\n4lw.commands.whitelist=*\nmaxClientCnxns=0\n"
        f"minSessionTimeout={TICK_MS}\n{servers}",
        encoding="ascii",
    )
    java = [
        "java", "-Xmx128m", "-XX:+UseSerialGC", "-XX:TieredStopAtLevel=1", "-XX:-UsePerfData",
        "-cp", f"{JARS / 'zookeeper.jar'}:{JARS}/*", MAIN, str(folder / "zoo.cfg"),
    ]  # fmt: skip
    return Supervised(f"zookeeper{number}", machine, folder, java)


def mode_of(peer: Supervised) -> str:
    """Return `leader`, `follower`, or nothing where the peer doesn't serve."""
    try:
        with socket.create_connection((peer.machine.ip, CLIENT_PORT), timeout=ASK_S_MAX) as asking:
            asking.sendall(b"srvr")
            said = b""
            while piece := asking.recv(4096):
                said += piece
    except OSError:
        return ""
    lines = said.decode(errors="replace").splitlines()
    return next((line.partition(": ")[2] for line in lines if line.startswith("Mode: ")), "")
