"""GPUs: which of them an agent hands out, and what a container with some of them gets.

Rules: a GPU is one container's at a time, and whole; the lowest that is free goes first. A container of which a GPU isn't has neither the
right to open it nor, with an image, a node of it. What all GPUs need (a control device) comes with the first of them.
Source: Mesos, docs/gpu-support.md.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import msgspec

from merismos.core.containers.device_plan import DeviceNode, entries_of
from merismos.model.rejection import Rejection
from merismos.model.scalars import MILLI

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from merismos.protocol.v1 import mesos

RESOURCE = "gpus"
VISIBLE = "NVIDIA_VISIBLE_DEVICES"


class Gpu(msgspec.Struct, frozen=True):
    """One GPU; `name` is how programs call it: its UUID, or its number."""

    index: int
    name: str
    devices: tuple[DeviceNode, ...]


class GpuSettings(msgspec.Struct, frozen=True):
    """The GPUs that an agent hands out, and the devices that come with any of them."""

    gpus: tuple[Gpu, ...]
    control: tuple[DeviceNode, ...] = ()


def gpus_milli(resources: Iterable[mesos.Resource]) -> int:
    """Return how many GPUs are asked for, in thousandths."""
    amounts = [one.scalar.value for one in resources if one.name == RESOURCE and one.scalar is not None]
    return sum(round(amount * MILLI) for amount in amounts)


def validate_gpus(resources: Iterable[mesos.Resource]) -> Rejection | None:
    """Say why nobody can have so many GPUs."""
    if gpus_milli(resources) % MILLI:
        return Rejection("gpus_invalid", "The 'gpus' resource must be an unsigned integer")
    return None


def choose(settings: GpuSettings, held: Sequence[int], count: int) -> list[int] | None:
    """Return the numbers of `count` GPUs that are none of `held`, None where there aren't as many."""
    free = [gpu.index for gpu in settings.gpus if gpu.index not in held]
    return free[:count] if len(free) >= count else None


def devices_of(settings: GpuSettings | None, indices: Sequence[int]) -> list[DeviceNode]:
    """Return the devices of these GPUs; of one that the agent doesn't have any more there are none."""
    if settings is None or not indices:
        return []
    own = [node for gpu in settings.gpus if gpu.index in indices for node in gpu.devices]
    return [*own, *settings.control]


def every_entry(settings: GpuSettings | None) -> list[str]:
    """Return the entries of all devices that GPUs have or share."""
    return [] if settings is None else entries_of(devices_of(settings, [gpu.index for gpu in settings.gpus]))


def environment_of(settings: GpuSettings | None, indices: Sequence[int]) -> list[str]:
    """Return the variables that say which GPUs a container has."""
    if settings is None or not indices:
        return []
    return [f"{VISIBLE}={','.join(gpu.name for gpu in settings.gpus if gpu.index in indices)}"]
