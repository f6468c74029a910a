"""What an agent may leave on a machine, listed before and after: the two lists are the same, or something leaks.

Rules: only what can be traced to the agent under test is listed, since others run on the machine at the same time: by its directories,
its root of cgroups, its Docker Engine, and the ids of the containers that it ever had. The agent itself and what
holds its containers aren't listed; nor are sandboxes, which are kept on purpose.
"""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path

from linux.cni_agent import Machine
from linux.docker_daemon import DockerDaemon
from merismos.containers import supervisor

CGROUPS = Path("/sys/fs/cgroup")
NETNS = Path("/run/netns")
_CGROUP_DEPTH_MAX = 6


class Leaks:
    """Where to look."""

    def __init__(
        self, folder: Path, root: str = "", daemon: DockerDaemon | None = None, machine: Machine | None = None
    ) -> None:
        self.folder = folder
        self.work_dir = folder / "w"
        self.root = root
        self.daemon = daemon
        self.machine = machine

    def listed(self, *, but: set[int] = frozenset()) -> list[str]:  # type: ignore[assignment]
        """Return everything that only something that runs, or is kept for good reason, may have; `but` are pids that may."""
        ids = self.container_ids()
        found = [
            *self.processes(but, ids),
            *self.cgroups(ids),
            *self.mounts(ids),
            *self.networks(ids),
            *self.files(),
            *self.docker(),
        ]
        return sorted(found)

    def container_ids(self) -> list[str]:
        """Return the ids of all containers that ever had a sandbox."""
        runs = [
            *self.work_dir.glob("slaves/*/frameworks/*/executors/*/runs/*"),
            *self.work_dir.glob("slaves/*/frameworks/*/executors/*/runs/*/containers/*"),
            *self.work_dir.glob("containers/*"),
        ]
        return sorted({path.name for path in runs if not path.is_symlink()})

    def processes(self, but: set[int], ids: list[str]) -> Iterator[str]:
        """Look for processes that work in the folder, have it in their words, or are marked as a container's."""
        place, known = str(self.folder), set(ids)
        for row in supervisor.read_procs():
            if row.pid in but or row.pid == os.getpid() or self._is_the_engines(row.pid):
                continue
            container = (supervisor.container_id_of(row.pid) or b"").decode()
            inside = [self._link(row.pid, name) for name in ("cwd", "root")]
            words = _read(f"/proc/{row.pid}/cmdline")
            if container.split(".")[0] in known or place in words or any(one.startswith(place) for one in inside):
                yield f"process {row.pid} {words.replace(chr(0), ' ')[:200]}"

    def _is_the_engines(self, pid: int) -> bool:
        return self.daemon is not None and str(self.daemon.folder) in _read(f"/proc/{pid}/cmdline")

    @staticmethod
    def _link(pid: int, name: str) -> str:
        try:
            return str(Path(f"/proc/{pid}/{name}").readlink())
        except OSError:
            return ""

    def cgroups(self, ids: list[str]) -> Iterator[str]:
        """Look for cgroups below the root, and for those that a runtime named after a container."""
        for path, names, _ in os.walk(CGROUPS):
            depth = len(Path(path).relative_to(CGROUPS).parts)
            for name in list(names):
                if any(one in name for one in ids) or (self.root and f"/{self.root}/" in f"{path}/"):
                    yield f"cgroup {path}/{name}"
            if depth >= _CGROUP_DEPTH_MAX:
                names.clear()

    def mounts(self, ids: list[str]) -> Iterator[str]:
        """Look for what is mounted in the folder, or for a container."""
        for line in _read("/proc/self/mountinfo").splitlines():
            place = line.split()[4]
            if place.startswith(f"{self.folder}/") or any(one in place for one in ids):
                yield f"mount {place}"

    def networks(self, ids: list[str]) -> Iterator[str]:
        """Look for network namespaces that have a container's name, and for interfaces, rules and addresses of them."""
        names = [path.name for path in NETNS.iterdir()] if NETNS.is_dir() else []
        yield from (f"network namespace {name}" for name in names if any(one in name for one in ids))
        if self.machine is not None:
            yield from (f"interface {name}" for name in self.machine.links())
            yield from (f"rule {rule}" for rule in self.machine.rules())
            yield from (f"address {address}" for address in self.machine.leases())

    def files(self) -> Iterator[str]:
        """Look for bundles, what a runtime keeps of containers, layers and what holds them, and things half made."""
        oci, store = self.work_dir / "meta/oci", self.folder / "store"
        places = (
            *oci.glob("bundles/*"),
            *oci.glob("state/*"),
            *store.glob("layers/*"),
            *store.glob("staging/*/layer*"),
        )
        leases = (path for path in store.glob("leases/*/*") if not path.name.startswith("."))
        kept = (*self.work_dir.glob("meta/docker/*"), *self.work_dir.glob("meta/sessions/*"))
        lxc = self.work_dir / "meta/lxc"
        locks = Path(f"/run/lxc/lock{lxc}/bundles").glob("*")
        networks = (path for path in self.work_dir.glob("meta/isolators/network/cni/*") if path.is_dir())
        kept += (*lxc.glob("bundles/*"), *lxc.glob("logs/*"), *locks, *networks)
        yield from (f"file {path}" for path in (*places, *leases, *kept))

    def docker(self) -> Iterator[str]:
        """Look for containers, volumes and networks of the Engine."""
        if self.daemon is None:
            return
        yield from (f"docker container {name} {state}" for name, state in self.daemon.containers(self.work_dir).items())
        for volume in self.daemon.ask("GET", "/volumes").get("Volumes") or ():
            yield f"docker volume {volume['Name']}"
        for network in self.daemon.ask("GET", "/networks"):
            yield f"docker network {network['Name']}"


def _read(path: str) -> str:
    try:
        return Path(path).read_bytes().decode(errors="replace")
    except OSError:
        return ""
