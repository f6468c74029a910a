"""What a machine has, as an agent offers it.

Rules: Mesos' own: all CPUs; memory less 1 GB, or half of it where there are less than 2 GB; disk less 5 GB, or half where there
are less than 10 GB; ports 31000 to 32000. A resource that is given is never detected. Works wherever Python does: what a
system can't tell is left out, and an operator gives it by --resources.
Units: MB (2**20 bytes), as in Mesos.
"""

from __future__ import annotations

import errno
import os
import shutil
import stat
from pathlib import Path

from merismos.core.containers.device_plan import DeviceNode

MEM_RESERVE_MB = 1024
DISK_RESERVE_MB = 5 * 1024
PORTS = "[31000-32000]"
_MB = 1 << 20
_FORBIDS_USER_NAMESPACES = {
    "user/max_user_namespaces": "0",
    "kernel/unprivileged_userns_clone": "0",
    "kernel/apparmor_restrict_unprivileged_userns": "1",
}


def detect_cpus() -> int:
    """Return the number of CPUs."""
    return os.cpu_count() or 1


def memory_bytes() -> int:
    """Return the machine's memory; zero where the system doesn't tell."""
    try:
        return os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")
    except (ValueError, OSError):
        return 0


def detect_mem_mb() -> int:
    """Return the memory for tasks."""
    return less_reserve(memory_bytes() // _MB, MEM_RESERVE_MB)


def detect_disk_mb(work_dir: str) -> int:
    """Return the disk space for tasks on the file system of the work directory."""
    path = Path(work_dir)
    while not path.exists():
        path = path.parent
    return less_reserve(shutil.disk_usage(path).total // _MB, DISK_RESERVE_MB)


def less_reserve(total_mb: int, reserve_mb: int) -> int:
    """Return what is left for tasks."""
    return total_mb - reserve_mb if total_mb >= 2 * reserve_mb else total_mb // 2


def boot_id() -> str:
    """Return what is another after each boot of the machine; empty where the system doesn't tell."""
    try:
        return Path("/proc/sys/kernel/random/boot_id").read_text().strip()
    except OSError:
        return ""


def detect_missing(given: set[str], work_dir: str) -> str:
    """Return what `given` doesn't name, in the notation of --resources."""
    detected = []
    if "cpus" not in given:
        detected.append(f"cpus:{detect_cpus()}")
    if "mem" not in given and detect_mem_mb():
        detected.append(f"mem:{detect_mem_mb()}")
    if "disk" not in given:
        detected.append(f"disk:{detect_disk_mb(work_dir)}")
    if "ports" not in given:
        detected.append(f"ports:{PORTS}")
    return ";".join(detected)


def disk_used(work_dir: str) -> float:
    """Return the used part, 0 to 1, of the file system's bytes or inodes, whichever is more; 0 where that can't be told."""
    try:
        found = os.statvfs(work_dir)
    except OSError:
        return 0.0
    bytes_used = 1.0 - found.f_bavail / found.f_blocks if found.f_blocks else 0.0
    inodes_used = 1.0 - found.f_favail / found.f_files if found.f_files else 0.0
    return max(bytes_used, inodes_used)


def device_node(path: str) -> DeviceNode:
    """Return a device as it is on this machine.

    Errors: OSError where there is none.
    """
    kind, major, minor = device_number(path)
    found = Path(path).stat()
    return DeviceNode(path, kind, major, minor, mode=stat.S_IMODE(found.st_mode), uid=found.st_uid, gid=found.st_gid)


def device_number(path: str) -> tuple[str, int, int]:
    """Return the kind (c or b), major and minor number of a device.

    Errors: OSError where there is none.
    """
    found = Path(path).stat()
    if not (stat.S_ISCHR(found.st_mode) or stat.S_ISBLK(found.st_mode)):
        raise OSError(errno.ENODEV, os.strerror(errno.ENODEV))
    return "c" if stat.S_ISCHR(found.st_mode) else "b", os.major(found.st_rdev), os.minor(found.st_rdev)


def obstacle_of_user_namespaces(settings: Path = Path("/proc/sys")) -> str | None:
    """Return why who isn't root can't have a user namespace here, and what to do; None where that is possible."""
    for name, forbidding in _FORBIDS_USER_NAMESPACES.items():
        try:
            found = (settings / name).read_text().strip()
        except OSError:
            continue
        if found == forbidding:
            key = name.replace("/", ".")
            return (
                f"{key} is {found}, so only root has user namespaces: start the agent as root, or set it by sysctl -w"
            )
    return (
        None if Path("/proc/self/ns/user").exists() else "this kernel has no user namespaces: start the agent as root"
    )
