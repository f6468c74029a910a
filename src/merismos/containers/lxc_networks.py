"""Where LXC listens for orders: in a network of its own, which no container is in.

Rules: `lxc-start` obeys any root that reaches its socket, and that is as wide as a network; a container in its agent's network, and root
there, would command every other. The network is made with the first container, and outlives agents as containers do.
Errors: OSError.
"""

from __future__ import annotations

import os
import threading
from pathlib import Path

from merismos.adapters.linux import netns
from merismos.adapters.linux.mounts import bind, is_mounted

NSENTER = "nsenter"


class MonitorNetwork:
    """The network of those who watch containers, and a name for the machine's own, below `directory`."""

    def __init__(self, directory: Path) -> None:
        self._directory = directory
        self._monitors = directory / "monitors"
        self.machine = directory / "machine"
        self._lock = threading.Lock()

    def open(self) -> None:
        """Make the network where there is none."""
        with self._lock:
            netns.open_directory(self._directory)
            if not is_mounted(self._monitors):
                netns.create(self._monitors)
            if not is_mounted(self.machine):
                self.machine.touch(mode=0o444)
                fd = os.open("/proc/self/ns/net", os.O_RDONLY | os.O_CLOEXEC)
                try:
                    bind(fd, self.machine)
                finally:
                    os.close(fd)

    def enter(self, command: list[str]) -> list[str]:
        """Return the command that is run where LXC listens."""
        return [NSENTER, f"--net={self._monitors}", "--", *command]

    def close(self) -> None:
        """Let go of it: no container is left."""
        if self._directory.exists():
            netns.close_directory(self._directory)
