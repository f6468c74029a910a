"""The configuration that an OCI runtime runs a container by: from a plan, and from where things lie, to its `config.json`.

Rules: what a container may do is written out in full, nothing is left to a runtime's default. System calls that reach the machine's
kernel rather than the container are refused with EPERM, on every architecture that the machine's kernel runs programs of.
Source: the OCI runtime specification 1.0; docker's masked and read-only paths.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import msgspec

from merismos.core.containers.image_plan import RootPlan

if TYPE_CHECKING:
    from merismos.core.containers.device_plan import DeviceNode

VERSION = "1.0.2"
_DEVICE = ["nosuid", "noexec", "nodev"]
MASKED = (
    "/proc/acpi", "/proc/asound", "/proc/kcore", "/proc/keys", "/proc/latency_stats", "/proc/scsi", "/proc/sched_debug",
    "/proc/timer_list", "/proc/timer_stats", "/sys/firmware", "/sys/devices/virtual/powercap",
)  # fmt: skip
_READ_ONLY = ("/proc/bus", "/proc/fs", "/proc/irq", "/proc/sys", "/proc/sysrq-trigger")
_FORBIDDEN_CALLS = (
    "_sysctl", "acct", "add_key", "bpf", "clock_adjtime", "clock_adjtime64", "clock_settime", "clock_settime64", "create_module",
    "delete_module", "finit_module", "fsconfig", "fsmount", "fsopen", "fspick", "get_kernel_syms", "get_mempolicy", "init_module",
    "io_uring_enter", "io_uring_register", "io_uring_setup", "ioperm", "iopl", "kcmp", "kexec_file_load", "kexec_load", "keyctl",
    "lookup_dcookie", "mbind", "mount", "mount_setattr", "move_mount", "move_pages", "nfsservctl", "open_by_handle_at", "open_tree",
    "perf_event_open", "pivot_root", "process_vm_readv", "process_vm_writev", "query_module", "quotactl", "quotactl_fd", "reboot",
    "request_key", "set_mempolicy", "setns", "settimeofday", "stime", "swapoff", "swapon", "sysfs", "syslog", "umount", "umount2",
    "unshare", "uselib", "userfaultfd", "ustat", "vm86", "vm86old",
)  # fmt: skip
_ARCHITECTURES = {
    "x86_64": ("SCMP_ARCH_X86_64", "SCMP_ARCH_X86", "SCMP_ARCH_X32"),
    "aarch64": ("SCMP_ARCH_AARCH64", "SCMP_ARCH_ARM"),
}
NEW_NAMESPACES = 0x7E020000  # the bits of clone(2) that make one, cgroup's included
_PER_CALL = {
    "mount": "SYS_ADMIN",
    "umount": "SYS_ADMIN",
    "umount2": "SYS_ADMIN",
    "unshare": "SYS_ADMIN",
    "setns": "SYS_ADMIN",
}
_EPERM = 1
_ENOSYS = 38


class ContainerUser(msgspec.Struct, frozen=True):
    """Who a container's first process is."""

    uid: int = 0
    gid: int = 0
    groups: tuple[int, ...] = ()


class BoundMount(msgspec.Struct, frozen=True):
    """A path of the machine that is there, and where a container sees it."""

    target: str
    source: str
    read_only: bool = False


class Surroundings(msgspec.Struct, frozen=True):
    """What only the machine knows: its names and paths.

    Shapes: `cgroup` is relative to the cgroup that the runtime is started in, empty for no other than that; `machine` is as uname(1) has it;
    `root_is` are the user and group of the machine that root inside of the container is, None where it is root; `network` is the path of
    a network namespace, empty for the agent's; `calls` is the filter of a profile that was named, None for ours.
    """

    rootfs: str
    hostname: str
    machine: str
    cgroup: str
    mounts: tuple[BoundMount, ...] = ()
    root_is: tuple[int, int] | None = None
    network: str = ""
    calls: dict[str, Any] | None = None


def build_spec(
    plan: RootPlan,
    user: ContainerUser,
    arguments: Sequence[str],
    environment: Sequence[str],
    place: Surroundings,
    *,
    has_terminal: bool = False,
) -> dict[str, Any]:
    """Return the content of `config.json`."""
    return {
        "ociVersion": VERSION,
        "process": {
            "terminal": has_terminal,
            "user": {"uid": user.uid, "gid": user.gid, "additionalGids": list(user.groups)},
            "args": list(arguments),
            "env": list(environment),
            "cwd": plan.working_dir,
            "capabilities": _capabilities(plan, user),
            "rlimits": [{"type": one.name, "soft": one.soft, "hard": one.hard} for one in plan.rlimits],
            "noNewPrivileges": True,
        },
        "root": {"path": place.rootfs, "readonly": False},
        "hostname": plan.hostname or place.hostname,
        "mounts": [*_own_mounts(plan, place), *(_bind(one) for one in place.mounts)],
        "linux": {
            **({"cgroupsPath": place.cgroup} if place.cgroup else {}),
            "namespaces": [
                *({"type": kind} for kind in _namespaces(plan, place)),
                *([{"type": "network", "path": place.network}] if place.network else []),
            ],
            **_mappings(place),
            "maskedPaths": list(MASKED),
            "readonlyPaths": list(_READ_ONLY),
            "devices": [_device(one) for one in plan.devices],
            "resources": {"devices": [{"allow": False, "access": "rwm"}, *(_right(one) for one in plan.devices)]},
            **({"seccomp": place.calls or _seccomp(plan, place.machine)} if plan.confined else {}),
        },
    }


def _device(one: DeviceNode) -> dict[str, Any]:
    number = {"type": one.kind, "major": one.major, "minor": one.minor}
    return {"path": one.path, **number, "fileMode": one.mode, "uid": one.uid, "gid": one.gid}


def _right(one: DeviceNode) -> dict[str, Any]:
    return {"allow": True, "type": one.kind, "major": one.major, "minor": one.minor, "access": one.rights}


def _namespaces(plan: RootPlan, place: Surroundings) -> list[str]:
    kinds = ["mount", "uts"]
    if place.root_is is not None:
        kinds.append("user")
    if not plan.share_pids:
        kinds.append("pid")
    if not plan.share_ipc:
        kinds.append("ipc")
    return kinds


def _mappings(place: Surroundings) -> dict[str, Any]:
    if place.root_is is None:
        return {}
    of_user, of_group = ([{"containerID": 0, "hostID": one, "size": 1}] for one in place.root_is)
    return {"uidMappings": of_user, "gidMappings": of_group}


def _capabilities(plan: RootPlan, user: ContainerUser) -> dict[str, list[str]]:
    bounding = [f"CAP_{name}" for name in plan.bounding]
    if plan.effective is None:
        given = bounding if user.uid == 0 else []
        return {"bounding": bounding, "effective": given, "permitted": given, "inheritable": [], "ambient": []}
    named = [f"CAP_{name}" for name in plan.effective]
    # who isn't root keeps capabilities over exec only where they are ambient
    return {"bounding": bounding, "effective": named, "permitted": named, "inheritable": named, "ambient": named}


def _own_mounts(plan: RootPlan, place: Surroundings) -> list[dict[str, Any]]:
    shm = f"size={plan.shm_bytes}"
    is_root = place.root_is is None
    # a user namespace has no group of terminals, and mounts no sysfs where the network is the machine's
    group = ["gid=5"] if is_root else []
    sys = _mount("/sys", "sysfs", "sysfs", [*_DEVICE, "ro"])
    mounts = [
        _mount("/proc", "proc", "proc", _DEVICE),
        _mount("/dev", "tmpfs", "tmpfs", ["nosuid", "strictatime", "mode=755", "size=65536k"]),
        _mount(
            "/dev/pts", "devpts", "devpts", ["nosuid", "noexec", "newinstance", "ptmxmode=0666", "mode=0620", *group]
        ),
        sys if is_root else _mount("/sys", "bind", "/sys", ["rbind", *_DEVICE, "ro"]),
    ]
    if plan.share_ipc:
        return [*mounts, _bind(BoundMount("/dev/shm", "/dev/shm")), _bind(BoundMount("/dev/mqueue", "/dev/mqueue"))]  # noqa: S108 - no file of ours
    return [
        *mounts,
        _mount("/dev/shm", "tmpfs", "shm", [*_DEVICE, "mode=1777", shm]),  # noqa: S108 - no file of ours
        _mount("/dev/mqueue", "mqueue", "mqueue", _DEVICE),
    ]


def _mount(target: str, kind: str, source: str, options: list[str]) -> dict[str, Any]:
    return {"destination": target, "type": kind, "source": source, "options": options}


def _bind(one: BoundMount) -> dict[str, Any]:
    options = ["rbind", "rprivate", "nosuid", "nodev", "ro" if one.read_only else "rw"]
    return _mount(one.target, "bind", one.source, options)


def _seccomp(plan: RootPlan, machine: str) -> dict[str, Any]:
    """Return the filter; what a capability is for isn't refused to who has it."""
    forbidden = forbidden_calls(plan)
    rules: list[dict[str, Any]] = [{"names": forbidden, "action": "SCMP_ACT_ERRNO", "errnoRet": _EPERM}]
    if "SYS_ADMIN" not in plan.bounding:
        for bit in bits_of(NEW_NAMESPACES):
            flags = {"index": 0, "value": bit, "valueTwo": bit, "op": "SCMP_CMP_MASKED_EQ"}
            rules.append({"names": ["clone"], "action": "SCMP_ACT_ERRNO", "errnoRet": _EPERM, "args": [flags]})
        # its flags are in memory, where a filter can't look: programs fall back to clone
        rules.append({"names": ["clone3"], "action": "SCMP_ACT_ERRNO", "errnoRet": _ENOSYS})
    return {
        "defaultAction": "SCMP_ACT_ALLOW",
        "architectures": list(_ARCHITECTURES.get(machine, ())),
        "syscalls": rules,
    }


def forbidden_calls(plan: RootPlan) -> list[str]:
    """Return the system calls that a container is refused: all that reach the machine's kernel, but for what it has a capability for."""
    return [call for call in _FORBIDDEN_CALLS if _PER_CALL.get(call) not in plan.bounding]


def bits_of(mask: int) -> list[int]:
    """Return each bit of a mask as a number."""
    return [1 << number for number in range(mask.bit_length()) if mask >> number & 1]
