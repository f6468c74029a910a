"""Machines that are network namespaces on one switch, whose cables can be pulled.

Rules: needs root and iproute2. A machine is a namespace with one address; the switch is a namespace with a bridge, to which this
process has a cable of its own. Processes enter by nsenter (`ip netns exec` would hide the cgroups). A pulled cable drops packets
without a word, as a real one does. Everything goes with the network: namespaces and subnet follow the process that made them.
"""

from __future__ import annotations

import itertools
import os
import shutil
import subprocess
from typing import Self

NETNS = "/var/run/netns"
_NUMBERS = itertools.count()


def why_not() -> str | None:
    """Return why this machine can't make networks, None where it can."""
    if os.geteuid() != 0:
        return "network namespaces need root"
    missing = [tool for tool in ("ip", "nsenter") if shutil.which(tool) is None]
    return f"{' and '.join(missing)} missing; on Debian: apt-get install iproute2 util-linux" if missing else None


def _ip(*words: str) -> None:
    done = subprocess.run(["ip", *words], capture_output=True, text=True, timeout=30, check=False)
    assert done.returncode == 0, f"ip {' '.join(words)}: {done.stderr.strip()}"


class Machine:
    """One namespace with one address."""

    def __init__(self, network: Network, name: str, number: int) -> None:
        self.name = name
        self.ip = f"{network.subnet}.{number}"
        self.connected = True
        self._switch = network.switch
        self._port = f"p{number}"
        self._namespace = f"{network.switch}{number}"
        _ip("netns", "add", self._namespace)
        network.namespaces.append(self._namespace)
        _ip(
            "-n",
            self._switch,
            "link",
            "add",
            self._port,
            "type",
            "veth",
            "peer",
            "name",
            "eth0",
            "netns",
            self._namespace,
        )
        _ip("-n", self._switch, "link", "set", self._port, "master", "br0", "up")
        _ip("-n", self._namespace, "address", "add", f"{self.ip}/24", "dev", "eth0")
        _ip("-n", self._namespace, "link", "set", "eth0", "up")
        _ip("-n", self._namespace, "link", "set", "lo", "up")

    def command(self, *words: str) -> list[str]:
        """Return the command that runs these words on this machine."""
        return ["nsenter", f"--net={NETNS}/{self._namespace}", "--", *words]

    def cut(self) -> None:
        """Pull the cable."""
        self.connected = False
        _ip("-n", self._switch, "link", "set", self._port, "down")

    def mend(self) -> None:
        """Plug it in again."""
        self.connected = True
        _ip("-n", self._switch, "link", "set", self._port, "up")


class Network:
    """A switch and the machines on it."""

    def __init__(self) -> None:
        number = next(_NUMBERS)
        self.switch = f"mm{os.getpid()}x{number}n"
        self.subnet = f"10.77.{(os.getpid() + number) % 255}"
        self._cable = f"mm{os.getpid() % 1_000_000}x{number}"
        self.namespaces: list[str] = [self.switch]
        self.machines: list[Machine] = []
        _ip("netns", "add", self.switch)
        try:
            _ip("-n", self.switch, "link", "add", "br0", "type", "bridge")
            _ip("-n", self.switch, "link", "set", "br0", "up")
            _ip("link", "add", self._cable, "type", "veth", "peer", "name", "host", "netns", self.switch)
            _ip("-n", self.switch, "link", "set", "host", "master", "br0", "up")
            _ip("address", "add", f"{self.subnet}.254/24", "dev", self._cable)
            _ip("link", "set", self._cable, "up")
        except AssertionError:
            self.close()
            raise

    def machine(self, name: str) -> Machine:
        """Put one more machine on the switch."""
        machine = Machine(self, name, len(self.machines) + 1)
        self.machines.append(machine)
        return machine

    def close(self) -> None:
        """Take it all away."""
        for namespace in self.namespaces:
            subprocess.run(["ip", "netns", "del", namespace], capture_output=True, timeout=30, check=False)
        self.namespaces.clear()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()
