"""The configuration that LXC runs a container by, and what its log says of the end.

Rules: what a container may do is written out in full, and is what containers of images may do by runc. Every path and value is quoted or
escaped; what can't be is refused before. `lxc-start` ends with 0 however its container did: how that ended is in its log, and a log
that says nothing of it is taken for a failure.
Source: lxc.container.conf(5) of LXC 4 and 5; fstab(5), for the escapes of mounts.
"""

from __future__ import annotations

import re
from collections.abc import Sequence

import msgspec

from merismos.core.containers.device_plan import BASE, entries_of
from merismos.core.containers.image_plan import RLIMIT_INFINITY, RootPlan
from merismos.core.containers.oci_spec import (
    MASKED,
    NEW_NAMESPACES,
    BoundMount,
    ContainerUser,
    bits_of,
    forbidden_calls,
)

CGROUPS = ("payload", "monitor", "pivot")
UNKNOWN = 1 << 8
_DIRECTORIES = ("/proc/acpi", "/proc/asound", "/proc/scsi", "/sys/firmware", "/sys/devices/virtual/powercap")
_ESCAPED = re.compile(r"[\s\\#]")
_EPERM, _ENOSYS = 1, 38
_END = re.compile(r"Child <\d+> ended on (?:error \((?P<code>\d+)\)|signal [^(\n]*\((?P<signal>\d+)\))")
_EXITED = re.compile(r"Container init process \d+ exited|(?:Deleted|delete) network devices")


class LxcPlace(msgspec.Struct, frozen=True):
    """What only the machine knows.

    Shapes: `files` are those targets of `mounts` that are no directories, `optional` those that a root without a place for them goes without.
    `devices` is the prefix of LXC's settings of devices, empty where the machine can't limit them; `join` is a file of a cgroup that
    the first process is moved to, empty for none; `network` is the path of a network namespace.
    """

    container_id: str
    rootfs: str
    hostname: str
    network: str
    mounts: tuple[BoundMount, ...] = ()
    files: frozenset[str] = frozenset()
    optional: frozenset[str] = frozenset()
    seccomp: str = ""
    devices: str = ""
    join: str = ""


def build_config(plan: RootPlan, user: ContainerUser, environment: Sequence[str], place: LxcPlace) -> str:
    """Return the content of `config`.

    Errors: ValueError for a text with a line break.
    """
    lines = [
        _line("rootfs.path", f"dir:{place.rootfs}"),
        _line("uts.name", plan.hostname or place.hostname),
        _line("namespace.share.net", place.network),
        _line("console.path", "none"),
        _line("tty.max", "0"),
        _line("pty.max", "1024"),
        _line("autodev", "1"),
        _line("mount.auto", "proc:mixed sys:ro"),
        _line("init.cwd", plan.working_dir),
        _line("init.uid", str(user.uid)),
        _line("init.gid", str(user.gid)),
        *([_line("init.groups", ",".join(map(str, user.groups)))] if user.groups else []),
        _line("no_new_privs", "1"),
        _line("cap.keep", " ".join(_kept(plan)) or "none"),
        *_cgroups(plan, place),
        *[
            _line("prlimit." + one.name.removeprefix("RLIMIT_").lower(), _limits(one.soft, one.hard))
            for one in plan.rlimits
        ],
        *[_line("mount.entry", one) for one in _mounts(plan, place)],
        *[_line("environment", one) for one in environment],
    ]
    if plan.confined:
        lines.append(_line("seccomp.profile", place.seccomp))
    return "".join(lines)


def build_seccomp(plan: RootPlan) -> str:
    """Return the list of system calls that are refused, as LXC reads it."""
    rules = [f"{call} errno {_EPERM}" for call in forbidden_calls(plan)]
    if "SYS_ADMIN" not in plan.bounding:
        rules += [f"clone errno {_EPERM} [0,{bit},SCMP_CMP_MASKED_EQ,{bit}]" for bit in bits_of(NEW_NAMESPACES)]
        # its flags are in memory, where a filter can't look: programs fall back to clone
        rules.append(f"clone3 errno {_ENOSYS}")
    return "\n".join(["2", "denylist", *rules, ""])


def read_status(log: str, status: int) -> int:
    """Return how a container ended, in wait(2) form; `status` is how the program that ran it did."""
    if status:
        return status
    ends = list(_END.finditer(log))
    if ends:
        code, number = ends[-1]["code"], ends[-1]["signal"]
        return int(number) if code is None else int(code) << 8
    return 0 if _EXITED.search(log) is not None else UNKNOWN


def cgroup_names(container_id: str) -> list[str]:
    """Return the names of the cgroups that LXC makes for a container."""
    return [f"lxc.{kind}.{container_id}" for kind in CGROUPS]


def _line(name: str, value: str) -> str:
    if "\n" in value or "\r" in value:
        raise ValueError(f"LXC takes no line breaks, and there is one in lxc.{name}")
    return f'lxc.{name} = "{value}"\n'


def _kept(plan: RootPlan) -> list[str]:
    names = plan.bounding if plan.effective is None else [one for one in plan.effective if one in plan.bounding]
    return [name.lower() for name in names]


def _limits(soft: int, hard: int) -> str:
    return ":".join("unlimited" if one == RLIMIT_INFINITY else str(one) for one in (soft, hard))


def _cgroups(plan: RootPlan, place: LxcPlace) -> list[str]:
    payload, monitor, pivot = cgroup_names(place.container_id)
    lines = [
        _line("cgroup.relative", "1"),
        _line("cgroup.dir.container", payload),
        _line("cgroup.dir.monitor", monitor),
        _line("cgroup.dir.monitor.pivot", pivot),
    ]
    if place.devices:
        lines.append(_line(f"{place.devices}.devices.deny", "a"))
        lines += [_line(f"{place.devices}.devices.allow", entry) for entry in (*BASE, *entries_of(plan.devices))]
    if place.join:
        lines.append(_line("hook.start-host", f"/bin/sh -c 'echo $LXC_PID >\"$0\"' {_quoted(place.join)}"))
    return lines


def _mounts(plan: RootPlan, place: LxcPlace) -> list[str]:
    memory = "nosuid,nodev,noexec"
    shm, mqueue = f"{memory},mode=1777,size={plan.shm_bytes},create=dir", f"{memory},create=dir"
    mounts = [f"shm dev/shm tmpfs {shm} 0 0", f"mqueue dev/mqueue mqueue {mqueue} 0 0"]
    for path in MASKED:
        below = path.lstrip("/")
        if path in _DIRECTORIES:
            mounts.append(f"none {below} tmpfs ro,{memory},size=0,optional 0 0")
        else:
            mounts.append(f"/dev/null {below} none bind,optional 0 0")
    for node in plan.devices:
        path = _escaped(node.path)
        mounts.append(f"{path} {path.lstrip('/')} none bind,nosuid,create=file 0 0")
    for one in place.mounts:
        kind = "file" if one.target in place.files else "dir"
        more = [*(["ro"] if one.read_only else []), *(["optional"] if one.target in place.optional else [])]
        options = ",".join(["rbind", "nosuid", "nodev", f"create={kind}", *more])
        mounts.append(f"{_escaped(one.source)} {_escaped(one.target.lstrip('/'))} none {options} 0 0")
    return mounts


def _escaped(path: str) -> str:
    return _ESCAPED.sub(lambda found: f"\\{ord(found[0]):03o}", path)


def _quoted(path: str) -> str:
    return "'" + path.replace("'", "'\\''") + "'"
