"""Devices that a container gets: nodes of the machine, and the rights to use them.

Shapes: an entry is as the kernel's device cgroup has it, `c 1:3 rwm`: the kind, the numbers (`*` for any), what may be done.
Source: the kernel's admin-guide/cgroup-v1/devices; Mesos, docs/isolators/linux-devices.md.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

CONTROLLER = "devices"
ALLOW, DENY = "devices.allow", "devices.deny"
LIST = "devices.list"  # version 2 has no such file: there a program decides
BASE = (
    "c *:* m", "b *:* m", "c 1:3 rwm", "c 1:5 rwm", "c 1:7 rwm", "c 1:8 rwm", "c 1:9 rwm", "c 5:0 rwm", "c 5:1 rwm",
    "c 5:2 rwm", "c 136:* rwm", "c 4:0 rwm", "c 4:1 rwm", "c 10:200 rwm",
)  # fmt: skip


class DeviceNode(NamedTuple):
    """A device of the machine.

    Shapes: `kind` is c or b; `rights` are some of r, w and m; `mode` and the owner are those of the machine's node.
    """

    path: str
    kind: str
    major: int
    minor: int
    rights: str = "rwm"
    mode: int = 0o600
    uid: int = 0
    gid: int = 0

    def entry(self) -> str:
        """Return it as the kernel reads it."""
        return f"{self.kind} {self.major}:{self.minor} {self.rights}"


def entries_of(nodes: Iterable[DeviceNode]) -> list[str]:
    """Return the entries of devices, each once."""
    return list(dict.fromkeys(node.entry() for node in nodes))


def plan_access(version: int, entries: Sequence[str]) -> list[tuple[str, str]]:
    """Return the lines, with their files, that let a new cgroup use these devices and no others."""
    if version != 1:
        return [(LIST, "\n".join(entries))]
    return [(DENY, "a"), *((ALLOW, entry) for entry in entries)]


def plan_change(
    version: int, base: Sequence[str], given: Sequence[str], withheld: Sequence[str]
) -> list[tuple[str, str]]:
    """Return the lines that let a cgroup in use have `given` besides `base`, and no more `withheld`; at no instant it has less than it keeps."""
    if version != 1:
        return [(LIST, "\n".join([*base, *given]))]
    gone = [one for one in withheld if one not in base and one not in given]
    return [*((DENY, entry) for entry in gone), *((ALLOW, entry) for entry in given)]
