"""Which isolators an agent runs: `--isolation` and `--launcher`, spelled as in Mesos.

Rules: `process` and `cgroups` are short for the two isolators of CPU and memory; an isolator that isn't known, isn't there yet, or
contradicts another is named, with what to write instead. Isolators of cgroups bring the linux launcher with them.
Those that only containers of images know are in force for these whether they are named or not.
Source: Mesos, docs/mesos-containerizer.md.
"""

from __future__ import annotations

import msgspec

from merismos.model.rejection import Rejection

CGROUPS = ("blkio", "cpu", "cpuset", "devices", "hugetlb", "mem", "net_cls", "net_prio", "perf_event", "pids")
LAUNCHERS = ("posix", "linux")
ALL = "cgroups/all"
_SHORT = {"process": ("posix/cpu", "posix/mem"), "cgroups": ("cgroups/cpu", "cgroups/mem")}
_POSIX = ("filesystem/posix", "posix/cpu", "posix/mem")
DISK = ("disk/du", "posix/disk")
PORTS = "network/ports"
CNI = "network/cni"
GPU, LINUX_DEVICES = "gpu/nvidia", "linux/devices"
_DEVICES = (GPU, LINUX_DEVICES)
_WATCHES = (*DISK, PORTS, CNI)
CAPABILITIES, NNP, SECCOMP, RLIMITS = "linux/capabilities", "linux/nnp", "linux/seccomp", "posix/rlimits"
PIDS, IPC, FILES = "namespaces/pid", "namespaces/ipc", "filesystem/linux"
HOST_PATH, SANDBOX_PATH, SECRET = "volume/host_path", "volume/sandbox_path", "volume/secret"
IMAGE = "volume/image"
ENVIRONMENT_SECRET = "environment_secret"  # noqa: S105 - an isolator's name
NATIVE = (CAPABILITIES, NNP, SECCOMP, RLIMITS, PIDS, IPC, ENVIRONMENT_SECRET)
_OF_IMAGES = ("docker/runtime", FILES, HOST_PATH, IMAGE, SANDBOX_PATH, SECRET)
_NEVER = {
    "appc/runtime": "no images of Appc are made any more; use docker/runtime and images of type DOCKER",
    "disk/xfs": "project quotas of XFS are not set here; use disk/du, which watches sandboxes on any file system",
    "docker/volume": "its drivers are called through dvdcli, which nobody keeps; use volume/host_path for what is mounted on the machine",
    "filesystem/shared": "Mesos has deprecated it; use filesystem/linux with volume/sandbox_path",
    "network/port_mapping": "it needs a kernel and a libnl of its own, and Mesos leaves it out, too; use network/cni with portmap",
    "volume/csi": "no CSI plugins are started here; use volume/host_path for what is mounted on the machine",
}


class Isolation(msgspec.Struct, frozen=True):
    """The isolators that were asked for.

    Shapes: `names` in full, each once; `cgroups` are those of `cgroups/`; `everything`: whatever of them the machine can;
    `launcher` is posix or linux.
    """

    names: tuple[str, ...]
    cgroups: tuple[str, ...]
    everything: bool
    launcher: str


def parse_isolation(text: str, launcher: str) -> Isolation | Rejection:
    """Return what `--isolation` and `--launcher` ask for, or why that can't be."""
    if launcher not in LAUNCHERS:
        return Rejection("launcher_unknown", f"--launcher={launcher} is not known; give {' or '.join(LAUNCHERS)}")
    names: dict[str, None] = {}
    for part in filter(None, (part.strip() for part in text.split(","))):
        names.update(dict.fromkeys(_SHORT.get(part, (part,))))
    for name in names:
        fault = _fault_of(name, names)
        if fault is not None:
            return Rejection("isolation_invalid", f"--isolation={text}: {fault}")
    everything = ALL in names
    cgroups = CGROUPS if everything else tuple(one for one in CGROUPS if f"cgroups/{one}" in names)
    return Isolation(tuple(names), cgroups, everything, "linux" if cgroups else launcher)


def _fault_of(name: str, names: dict[str, None]) -> str | None:
    kind, _, subject = name.partition("/")
    if name in _NEVER:
        return f"'{name}' is not supported: {_NEVER[name]}"
    known = (*_POSIX, *_WATCHES, *_DEVICES, *_OF_IMAGES, *NATIVE, *(f"cgroups/{one}" for one in CGROUPS), ALL)
    if name not in known:
        return f"'{name}' is not known; known are {', '.join(known)}"
    if name in {PIDS, IPC} and FILES not in names:
        return f"'{name}' needs '{FILES}', since what is mounted for it is the container's own; add that"
    if name == GPU and "cgroups/devices" not in names and ALL not in names:
        return f"'{GPU}' needs 'cgroups/devices', which keeps a container from the GPUs of others; add that"
    if kind == "cgroups" and name != ALL and ALL in names:
        return f"'{name}' and '{ALL}' exclude each other; the latter holds the former"
    if name in _POSIX and (f"cgroups/{subject}" in names or ALL in names):
        other = ALL if ALL in names else f"cgroups/{subject}"
        return f"'{name}' and '{other}' exclude each other, since both are about {subject}; leave '{name}' out"
    return None
