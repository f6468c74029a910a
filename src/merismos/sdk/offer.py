"""An offer as its handler sees it: what is left of it, what was launched on it.

Rules: amounts are counted in thousandths, so that ten times 0.1 is 1. A task takes what is reserved first, so that the unreserved
remains for others. Volumes, shared and revocable resources are left alone: whoever wants those reads `offer.info`.
"""

from __future__ import annotations

from typing import Final

import msgspec

from merismos.protocol.v1 import mesos
from merismos.sdk.address import Address
from merismos.sdk.task import Task

_MILLI: Final = 1000
_AGENT_PORT: Final = 5051


class DoesNotFitError(ValueError):
    """A task was to be launched on an offer that is too small for it."""


class Offer:
    """Resources of one agent, offered to this framework in one role; `info` is the whole of it.

    Units: `cpus`, `mem`, `disk`, `gpus` are what no launched task has taken yet; mem and disk in MB.
    """

    __slots__ = ("_free", "_ports", "info", "refuse_s", "task_infos", "tasks")

    def __init__(self, info: mesos.Offer) -> None:
        self.info = info
        self.tasks: list[Task] = []
        self.task_infos: list[mesos.TaskInfo] = []
        self.refuse_s: float | None = None
        plain = [one for one in info.resources if one.disk is None and one.revocable is None and one.shared is None]
        plain.sort(key=lambda one: not (one.reservations or one.role not in {None, "*"}))
        self._free = [(one, _milli(one.scalar.value)) for one in plain if one.scalar is not None]
        self._ports = [(one, _port_numbers(one)) for one in plain if one.name == "ports"]

    def __repr__(self) -> str:
        return f"<Offer {self.id} of {self.hostname}: {self.cpus:g} cpus, {self.mem:g} MB>"

    @property
    def id(self) -> str:
        """The offer's id."""
        return self.info.id.value

    @property
    def agent_id(self) -> str:
        """The id of the agent whose resources these are."""
        return self.info.agent_id.value

    @property
    def hostname(self) -> str:
        """The agent's host."""
        return self.info.hostname

    @property
    def role(self) -> str:
        """The role of this framework that the offer is for."""
        allocation = self.info.allocation_info
        return allocation.role if allocation is not None and allocation.role else "*"

    @property
    def address(self) -> Address:
        """Where the agent's HTTP server is."""
        if self.info.url is None:
            return Address(self.hostname, _AGENT_PORT)
        address = self.info.url.address
        return Address(address.ip or address.hostname or self.hostname, address.port)

    @property
    def attributes(self) -> dict[str, str]:
        """The agent's attributes, each as text."""
        return {one.name: attribute_text(one) for one in self.info.attributes}

    @property
    def cpus(self) -> float:
        """Cores left."""
        return self.left("cpus")

    @property
    def mem(self) -> float:
        """Memory left, in MB."""
        return self.left("mem")

    @property
    def disk(self) -> float:
        """Disk left, in MB."""
        return self.left("disk")

    @property
    def gpus(self) -> float:
        """GPUs left."""
        return self.left("gpus")

    def left(self, name: str) -> float:
        """Return how much is left of a scalar resource."""
        return sum(free for resource, free in self._free if resource.name == name) / _MILLI

    def fits(self, task: Task) -> bool:
        """Say whether what is left is enough for the task."""
        return not self.lacks(task)

    def lacks(self, task: Task) -> list[str]:
        """Return the names of the resources of which too little is left for the task."""
        short = [name for name, amount in task.needs.items() if _milli(self.left(name)) < _milli(amount)]
        if task.ports > sum(len(numbers) for _, numbers in self._ports):
            short.append("ports")
        return short

    def launch(self, *tasks: Task) -> None:
        """Launch tasks on this offer, once its handler returns.

        Errors: DoesNotFitError.
        """
        for task in tasks:
            short = self.lacks(task)
            if short:
                raise DoesNotFitError(
                    f"{task.name} doesn't fit: {self!r} has too little {' and '.join(short)} left for it"
                )
            self.tasks.append(task)
            self.task_infos.append(task.info(self.agent_id, self._take(task)))

    def decline(self, refuse_s: float = 5.0) -> None:
        """Say for how long what isn't used of it shall not be offered to this framework again."""
        self.refuse_s = refuse_s

    def _take(self, task: Task) -> list[mesos.Resource]:
        taken = [part for name, amount in task.needs.items() for part in self._take_scalar(name, _milli(amount))]
        return taken + self._take_ports(task.ports)

    def _take_scalar(self, name: str, milli: int) -> list[mesos.Resource]:
        parts = []
        for index, (resource, free) in enumerate(self._free):
            some = min(free, milli)
            if resource.name == name and some > 0:
                self._free[index] = (resource, free - some)
                parts.append(msgspec.structs.replace(resource, scalar=mesos.Value_Scalar(value=some / _MILLI)))
                milli -= some
        return parts

    def _take_ports(self, count: int) -> list[mesos.Resource]:
        parts = []
        for index, (resource, numbers) in enumerate(self._ports):
            some, rest = numbers[:count], numbers[count:]
            if some:
                self._ports[index] = (resource, rest)
                ranges = mesos.Value_Ranges(range=[mesos.Value_Range(begin=number, end=number) for number in some])
                parts.append(msgspec.structs.replace(resource, ranges=ranges))
                count -= len(some)
        return parts


def attribute_text(attribute: mesos.Attribute) -> str:
    """Return the value of an attribute as its agent's flag would write it."""
    if attribute.text is not None:
        return attribute.text.value
    if attribute.scalar is not None:
        return f"{attribute.scalar.value:g}"
    if attribute.ranges is not None:
        return "[" + ",".join(f"{one.begin}-{one.end}" for one in attribute.ranges.range) + "]"
    return "{" + ",".join(attribute.set.item) + "}" if attribute.set is not None else ""


def _milli(amount: float) -> int:
    return round(amount * _MILLI)


def _port_numbers(resource: mesos.Resource) -> list[int]:
    ranges = resource.ranges.range if resource.ranges is not None else []
    return [number for one in ranges for number in range(one.begin, one.end + 1)]
