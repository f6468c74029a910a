"""Which isolators of containers without an image this machine can have, and how to get what it lacks.

Rules: what is found is the machine's word, not a guess: programs on the path, capabilities of this process, the kernel's files.
"""

from __future__ import annotations

import os
import shutil
from collections.abc import Callable
from pathlib import Path

from merismos.adapters.linux import seccomp_filter
from merismos.core.containers.isolation import CAPABILITIES, ENVIRONMENT_SECRET, FILES, IPC, NNP, PIDS, RLIMITS, SECCOMP

_SYS_RESOURCE = 24
_PROGRAMS = {
    CAPABILITIES: ("setpriv",),
    NNP: ("setpriv",),
    RLIMITS: ("prlimit",),
    FILES: ("unshare", "nsenter", "mount"),
    PIDS: ("unshare", "nsenter", "mount", "timeout"),
    IPC: ("unshare", "nsenter", "mount"),
    ENVIRONMENT_SECRET: (),
    SECCOMP: (),
}
_NEEDS_ROOT = (CAPABILITIES, FILES, PIDS, IPC)
_NAMESPACES = {FILES: "mnt", PIDS: "pid", IPC: "ipc"}
ISOLATORS = tuple(_PROGRAMS)


def obstacle(
    isolator: str, which: Callable[[str], str | None] = shutil.which, proc: Path = Path("/proc")
) -> str | None:
    """Return why an isolator can't be had here, and what to do; None where it can."""
    for program in _PROGRAMS[isolator]:
        if which(program) is None:
            return missing(program)
    if isolator == SECCOMP:
        return seccomp_filter.obstacle()
    if isolator in _NEEDS_ROOT and os.geteuid() != 0:
        return "it needs an agent that is root"
    kind = _NAMESPACES.get(isolator)
    if kind is not None and not (proc / "self" / "ns" / kind).exists():
        return f"the kernel has no {kind} namespaces; it needs one with CONFIG_NAMESPACES"
    return None


def missing(program: str) -> str:
    """Return how to get a program of util-linux or coreutils."""
    return f"there is no {program} on this machine; apt-get install util-linux coreutils"


def may_raise_limits(proc: Path = Path("/proc")) -> bool:
    """Say whether this process may raise a hard limit."""
    try:
        rows = (proc / "self" / "status").read_text(encoding="ascii", errors="replace").splitlines()
    except OSError:
        return os.geteuid() == 0
    effective = next((row.partition(":")[2].strip() for row in rows if row.startswith("CapEff:")), "0")
    return bool(int(effective, 16) >> _SYS_RESOURCE & 1)
