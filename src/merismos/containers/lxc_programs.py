"""What of LXC a machine has: its programs, and the root filesystems that `lxc-create` has made.

Errors: none; what is missing is said in words.
"""

from __future__ import annotations

import os
import shutil
from collections.abc import Callable
from pathlib import Path

PROGRAMS = ("lxc-start", "lxc-attach", "nsenter")
LXC_PATH = "/var/lib/lxc"


def find_lxc(which: Callable[[str], str | None] = shutil.which) -> str | None:
    """Return the path of `lxc-start`, None where LXC isn't there as a whole."""
    found = [which(name) for name in PROGRAMS]
    return None if None in found else found[0]


def obstacle_of_lxc(which: Callable[[str], str | None] = shutil.which) -> str | None:
    """Return why an agent can't run containers of LXC here, None where it can."""
    if find_lxc(which) is None:
        return f"there is no {' or no '.join(one for one in PROGRAMS if which(one) is None)}; on Debian: apt-get install lxc util-linux"
    if os.geteuid() != 0:
        return "it needs root, for mounts and namespaces; start the agent as root"
    return None


def names_of_roots(path: str = LXC_PATH) -> list[str]:
    """Return the names by which tasks can ask for the root filesystems below a directory of LXC."""
    try:
        return sorted(one.name for one in Path(path).iterdir() if (one / "rootfs").is_dir())
    except OSError:
        return []
