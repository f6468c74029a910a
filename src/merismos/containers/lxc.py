"""Containers of LXC: a bundle each, run by `lxc-start`, whose process the supervisor holds.

Shapes: `DIR/bundles` is what LXC calls its path, so that `lxc-info -P DIR/bundles -n CONTAINER` and its like work; `DIR/logs/CONTAINER` is what
`lxc-start` said, which alone knows how the container ended.
Rules: as for containers by an OCI runtime. A log stays until the end that it tells of is written down. LXC's own cgroups lie in the container's
where the agent has made one, and are removed with it; all others are removed here.
Errors: OSError, LookupError.
"""

from __future__ import annotations

import contextlib
import os
import signal
import time
from collections.abc import Iterable
from pathlib import Path
from typing import NamedTuple

from merismos.adapters.linux.cgroups import Cgroups, read_text, remove_tree, tree_of, write_file
from merismos.containers.images.rootfs import Provision
from merismos.containers.images.store import ImageStore
from merismos.containers.lxc_networks import MonitorNetwork
from merismos.containers.networks import ContainerNetworks
from merismos.containers.oci import OciRuntime, open_below
from merismos.containers.sandbox import find_user
from merismos.containers.supervisor_socket import PATH
from merismos.core.agent import effects
from merismos.core.containers.image_plan import RootPlan
from merismos.core.containers.lxc_config import LxcPlace, build_config, build_seccomp, cgroup_names, read_status
from merismos.core.containers.oci_spec import ContainerUser, Surroundings

_LOCKS = "/run/lxc/lock"
_LOG_BYTES_MAX = 1 << 16
_END_POLLS, _POLL_S = 400, 0.005
_MODE = 0o700
# lxc-attach would put a terminal of its own between, which ends lines a second time
_GIVE_TERMINAL = 'exec 3<&0 </dev/null >/dev/null 2>&1; exec "$0" "$@"'
_TAKE_TERMINAL = "exec <&3 >&3 2>&3 3>&-; "
_WORKING_DIR = 'cd "$0" && exec "$@"'


class LxcLimits(NamedTuple):
    """Where cgroups are; `devices` is the prefix of LXC's settings of devices, empty where no cgroup limits them."""

    hierarchy: Path
    devices: str
    cgroups: Cgroups | None


class LxcRuntime(OciRuntime):
    """The LXC containers of one agent."""

    def __init__(
        self,
        program: str,
        directory: Path,
        store: ImageStore | None,
        provision: Provision,
        limits: LxcLimits,
        networks: ContainerNetworks | None = None,
    ) -> None:
        super().__init__((), directory, store, provision, networks)
        self._program = program
        self._logs = directory / "logs"
        self._monitors = MonitorNetwork(directory / "net")
        self._hierarchy = limits.hierarchy
        self._devices = limits.devices
        self._cgroups = limits.cgroups

    def open(self) -> None:
        """Make the directories."""
        super().open()
        self._logs.mkdir(parents=True, exist_ok=True, mode=_MODE)

    def enter(self, effect: effects.LaunchContainer) -> None:
        """Make the launch of a process in a container one of the command that gets it there.

        Errors: LookupError where its user is none of the agent's; OSError where the container is gone.
        """
        bundle = self._bundles / effect.inside
        uid, gid, working_dir = (bundle / "inside").read_text(encoding="utf-8").split("\n", 2)
        if effect.user is not None:
            entry = find_user(effect.user)
            uid, gid = str(entry.pw_uid), str(entry.pw_gid)
        has_shell = os.path.lexists(bundle / "rootfs/bin/sh")
        is_terminal = has_shell and effect.streams is not None and effect.streams.tty is not None
        words = effect.arguments
        if has_shell:
            words = ["/bin/sh", "-c", (_TAKE_TERMINAL if is_terminal else "") + _WORKING_DIR, working_dir, *words]
        extra = [word for variable in effect.environment for word in ("--set-var", variable)]
        program = str(Path(self._program).with_name("lxc-attach"))
        where = ["-P", str(self._bundles), "-n", effect.inside]
        command = self._monitors.enter(
            [program, *where, "--clear-env", *extra, "--uid", uid, "--gid", gid, "--", *words]
        )
        if is_terminal:
            command = ["/bin/sh", "-c", _GIVE_TERMINAL, *command]
        effect.arguments = command
        effect.argv0, effect.environment, effect.user, effect.inside = command[0], [f"PATH={PATH}"], None, ""

    def status_of(self, container_id: str, status: int) -> int:
        """Return how a container ended, from how its program did; that of another kind ended like its program."""
        log = self._logs / container_id
        if not log.exists():
            return status
        with log.open("rb") as file:
            file.seek(max(0, log.stat().st_size - _LOG_BYTES_MAX))
            return read_status(file.read().decode("utf-8", "replace"), status)

    def forget(self, container_id: str) -> None:
        """A container's end is written down."""
        (self._logs / container_id).unlink(missing_ok=True)

    def thaw(self, container_id: str) -> None:
        """Let a container that was frozen by `lxc-freeze` go on, so that it can end."""
        for folder in self._folders(container_id):
            for file, value in (("freezer.state", "THAWED"), ("cgroup.freeze", "0")):
                if os.path.exists(f"{folder}/{file}"):  # noqa: PTH110 - one system call, no Path to build
                    with contextlib.suppress(OSError):
                        write_file(f"{folder}/{file}", value)

    def keep_logs(self, container_ids: Iterable[str]) -> None:
        """Remove every log but those."""
        kept = dict.fromkeys(container_ids)
        for log in list(self._logs.iterdir()):
            if log.name not in kept:
                log.unlink(missing_ok=True)

    def rest(self) -> None:
        """Let go of what all containers share, where there is none."""
        if self._bundles.is_dir() and not any(self._bundles.iterdir()):
            self._remove_locks()
            self._monitors.close()

    def _command(self, effect: effects.LaunchContainer, bundle: Path) -> list[str]:
        log = self._logs / effect.container_id
        log.unlink(missing_ok=True)
        named = ["-n", effect.container_id, "-P", str(bundle.parent), "-o", str(log), "-l", "DEBUG"]
        command = [self._program, "-F", "--close-all-fds", *named, "--", *effect.arguments]
        return self._monitors.enter(command)

    def _layers_of(self, plan: RootPlan) -> list[Path]:
        if not plan.rootfs:
            return super()._layers_of(plan)
        if not os.path.isdir(plan.rootfs):  # noqa: PTH112 - one system call, no Path to build
            what = "make one: lxc-create -n NAME -t busybox"
            raise FileNotFoundError(f"the root filesystem {plan.rootfs} does not exist on this agent; {what}")
        return [Path(plan.rootfs)]

    def _configure(
        self,
        effect: effects.LaunchContainer,
        user: ContainerUser,
        environment: list[str],
        place: Surroundings,
        bundle: Path,
    ) -> None:
        plan = effect.root
        assert plan is not None
        if plan.effective and user.uid:
            raise PermissionError(
                "LXC gives capabilities to root only: leave effective_capabilities out, or run as root"
            )
        self._monitors.open()
        _make_directory(place.rootfs, plan.working_dir)
        seccomp = bundle / "seccomp"
        seccomp.write_text(build_seccomp(plan), encoding="utf-8")
        about = LxcPlace(
            container_id=effect.container_id,
            rootfs=place.rootfs,
            hostname=place.hostname,
            mounts=place.mounts,
            files=frozenset(one.target for one in place.mounts if not os.path.isdir(one.source)),  # noqa: PTH112 - one system call
            optional=frozenset(one.target for one in place.mounts if one.source.startswith("/etc/")),
            seccomp=str(seccomp),
            devices=self._devices,
            join=self._memory_of(effect),
            network=place.network or str(self._monitors.machine),
        )
        (bundle / "config").write_text(build_config(plan, user, environment, about), encoding="utf-8")
        inside = f"{user.uid}\n{user.gid}\n{plan.working_dir}"
        (bundle / "inside").write_text(inside, encoding="utf-8")

    def _memory_of(self, effect: effects.LaunchContainer) -> str:
        """Return where the first process counts for the agent's own cgroup: version 1 counts kills there alone, and LXC removes its own."""
        if self._cgroups is None or effect.cgroup is None or self._cgroups.version != 1:
            return ""
        if "mem" not in self._cgroups.isolators:
            return ""
        return f"{self._cgroups.folder_of(effect.cgroup.container_id, 'memory')}/cgroup.procs"

    def _end(self, container_id: str) -> None:
        for _ in range(_END_POLLS):
            self.thaw(container_id)
            members = [pid for folder in self._folders(container_id) for pid in _members(folder)]
            if not members:
                break
            for pid in members:
                with contextlib.suppress(ProcessLookupError):
                    os.kill(pid, signal.SIGKILL)
            time.sleep(_POLL_S)
        for folder in self._folders(container_id):
            remove_tree(folder)
        with contextlib.suppress(OSError):
            os.unlink(f"{_LOCKS}{self._bundles}/.{container_id}")  # noqa: PTH108 - no Path to build

    def _folders(self, container_id: str) -> list[str]:
        """Return the cgroups of LXC that there are of a container."""
        homes = _own_cgroups(self._hierarchy)
        if self._cgroups is not None:
            for owner in _with_parents(container_id):
                homes += self._cgroups.folders(owner)
        names = cgroup_names(container_id)
        paths = [f"{home}/{name}" for home in dict.fromkeys(homes) for name in names]
        return [path for path in paths if os.path.isdir(path)]  # noqa: PTH112 - one system call, no Path to build

    def _remove_locks(self) -> None:
        folder = Path(f"{_LOCKS}{self._bundles}")
        with contextlib.suppress(OSError):
            for one in (folder, folder.parent, folder.parent.parent):
                one.rmdir()


def _make_directory(rootfs: str, path: str) -> None:
    """Make the directory that a container begins in where its root has none; one behind a link is there or not."""
    with contextlib.suppress(OSError):
        os.close(open_below(rootfs, path.lstrip("/"), ContainerUser()))


def _with_parents(container_id: str) -> list[str]:
    """Return a container, and those that it is nested in: it may count for the cgroup of one of them."""
    parts = container_id.split(".")
    return [".".join(parts[:count]) for count in range(len(parts), 0, -1)]


def _members(folder: str) -> list[int]:
    return [int(pid) for below in tree_of(folder) for pid in read_text(f"{below}/cgroup.procs").split()]


def _own_cgroups(hierarchy: Path) -> list[str]:
    """Return the cgroups that this process, or one at the root, makes cgroups in."""
    paths = {"/": None}
    for line in read_text("/proc/self/cgroup").splitlines():
        paths[line.split(":", 2)[2]] = None
    above = [str(hierarchy), *(entry.path for entry in os.scandir(hierarchy) if entry.is_dir(follow_symlinks=False))]
    return [f"{one}{path}".rstrip("/") for one in above for path in paths]
