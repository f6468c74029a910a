"""The ZooKeeper of a local cluster: one server of the system's package, on loopback, its data in the cluster's folder.

Rules: it is small and quick to start rather than quick under load (a serial collector, one compiler, short ticks). It writes
nothing outside its folder, and goes with the cluster.
"""

from __future__ import annotations

import asyncio
import contextlib
import shutil
from pathlib import Path
from typing import Final

from merismos.daemons.local_child import IP, Child

JAR: Final = Path("/usr/share/java/zookeeper.jar")  # it names the others that it needs
LOGGING: Final = JAR.with_name("slf4j-simple.jar")
MAIN: Final = "org.apache.zookeeper.server.quorum.QuorumPeerMain"
SESSION_S: Final = 2
PATH: Final = "/merismos"
_TICK_MS: Final = 500
_ASK_S_MAX: Final = 1.0
_CHOICES: Final = (
    "-Xmx128m",
    "-XX:+UseSerialGC",
    "-XX:TieredStopAtLevel=1",
    "-Xshare:auto",
    "-Dorg.slf4j.simpleLogger.defaultLogLevel=warn",
    "-XX:-UsePerfData",  # it would be a file in the system's temporary folder
)


def why_not() -> str | None:
    """Return why no ZooKeeper can be started here, and what to do about it; None where one can."""
    if not JAR.is_file():
        return f"--zk starts a ZooKeeper, and {JAR} is missing. On Debian and Ubuntu: apt-get install zookeeper"
    if shutil.which("java") is None:
        return "--zk starts a ZooKeeper, and there is no java. On Debian and Ubuntu: apt-get install zookeeper"
    return None


class LocalZooKeeper(Child):
    """The server; started again, it has its data."""

    def __init__(self, folder: Path, log: Path, port: int) -> None:
        settings = folder / "zoo.cfg"
        java = ["java", *_CHOICES, f"-Djava.io.tmpdir={folder}", "-cp", f"{JAR}:{LOGGING}", MAIN, str(settings)]
        super().__init__("zookeeper", java, folder, log)
        self._wanted = port
        settings.write_text(
            f"dataDir={folder}/data\nclientPort={port}\nclientPortAddress={IP}\ntickTime={_TICK_MS}\nmaxClientCnxns=0\n"
            f"minSessionTimeout={2 * _TICK_MS}\nadmin.enableServer=false\n4lw.commands.whitelist=srvr\n"
        )

    @property
    def url(self) -> str:
        """Where masters meet."""
        return f"zk://{IP}:{self._wanted}{PATH}"

    def _command(self) -> list[str]:
        return self._argv

    async def _listens_at(self) -> int | None:
        with contextlib.suppress(OSError):
            async with asyncio.timeout(_ASK_S_MAX):
                reader, writer = await asyncio.open_connection(IP, self._wanted)
                try:
                    writer.write(b"srvr")
                    said = await reader.read()
                finally:
                    writer.close()
                return self._wanted if b"Mode:" in said else None
        return None
