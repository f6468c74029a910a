"""From an agent's flags to the devices that its containers may have: GPUs, and what the operator allowed.

Rules: GPUs are handed out only where `--isolation` names `gpu/nvidia`; elsewhere they are a number like any other. They are those that the driver
knows, or those that `--gpu_devices` describes; `--nvidia_gpu_devices` chooses among them, and then says as many as `--resources`.
Errors: FlagError, with what to change.
Source: Mesos, docs/gpu-support.md.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import msgspec

from merismos.adapters.linux import nvml
from merismos.adapters.linux.detection import device_node
from merismos.core.containers.gpu_plan import Gpu, GpuSettings
from merismos.core.containers.isolation import GPU, LINUX_DEVICES
from merismos.model.scalars import MILLI
from merismos.protocol import json
from merismos.protocol.errors import DecodeError
from merismos.protocol.v1 import mesos
from merismos.shell.flags import FlagError, Flags

if TYPE_CHECKING:
    from merismos.core.containers.device_plan import DeviceNode
    from merismos.model.resources import Resources

_EVERY = "all"


def gpus_of(flags: Flags, isolators: tuple[str, ...], given: Resources) -> GpuSettings | None:
    """Return the GPUs that are handed out, None where nobody isolates them; `given` are the resources of the flag."""
    chosen = _chosen(flags)
    if GPU not in isolators:
        if chosen is not None or flags.text("gpu_devices"):
            raise FlagError(f"--nvidia_gpu_devices and --gpu_devices need --isolation=…,{GPU}")
        return None
    names = "gpus" in (flags.text("resources") or "")  # gpus:0 is a word, too, though it gives nothing
    count = given.gpus_milli
    if count % MILLI:
        raise FlagError(f"--resources=gpus:{count / MILLI:g}: GPUs are whole; give a number without fraction")
    if names and not count:
        if chosen is not None:
            raise FlagError("--nvidia_gpu_devices can't be given together with --resources=gpus:0")
        return GpuSettings(())
    if names is not (chosen is not None):
        there, missing = ("--resources", "--nvidia_gpu_devices") if names else ("--nvidia_gpu_devices", "--resources")
        raise FlagError(
            f"{there} names GPUs and {missing} doesn't: give both, gpus:N and N numbers, or neither, for all GPUs"
        )
    found = _described(flags) or _detected()
    if chosen is None:
        return found
    if len(chosen) * MILLI != count:
        raise FlagError(
            f"--resources has {count // MILLI} GPUs and --nvidia_gpu_devices names {len(chosen)}; they must be as many"
        )
    there_are = {gpu.index: gpu for gpu in found.gpus}
    for index in chosen:
        if index not in there_are:
            raise FlagError(f"--nvidia_gpu_devices: there is no GPU {index}; there are {len(there_are)}")
    return GpuSettings(tuple(there_are[index] for index in chosen), found.control)


def allowed_nodes(flags: Flags) -> list[DeviceNode]:
    """Return the devices of --allowed_devices."""
    text = flags.text("allowed_devices")
    if not text:
        return []
    try:
        allowed = json.decode(mesos.DeviceWhitelist, text.encode()).allowed_devices
    except DecodeError as error:
        raise FlagError(f"--allowed_devices is no DeviceWhitelist in JSON: {error}") from error
    return [_allowed(access) for access in allowed]


def image_devices_of(flags: Flags, isolators: tuple[str, ...]) -> tuple[DeviceNode, ...]:
    """Return the devices of which every container of an image has a node."""
    return tuple(allowed_nodes(flags)) if LINUX_DEVICES in isolators else ()


def _chosen(flags: Flags) -> list[int] | None:
    text = flags.text("nvidia_gpu_devices")
    if text is None:
        return None
    words = [word.strip() for word in text.split(",") if word.strip()]
    if not all(word.isdecimal() for word in words):
        raise FlagError(f"--nvidia_gpu_devices={text} is no list of numbers; write for example 0,1")
    numbers = [int(word) for word in words]
    if len(dict.fromkeys(numbers)) != len(numbers):
        raise FlagError(f"--nvidia_gpu_devices={text} names a GPU twice")
    return numbers


def _described(flags: Flags) -> GpuSettings | None:
    """Return the GPUs of --gpu_devices, None without."""
    text = flags.text("gpu_devices")
    if not text:
        return None
    try:
        paths = msgspec.json.decode(text, type=dict[str, list[str]])
    except msgspec.DecodeError as error:
        raise FlagError(f"--gpu_devices is no JSON object of lists of paths: {error}") from error
    control = tuple(_node("gpu_devices", path) for path in paths.pop(_EVERY, []))
    if not all(name.isdecimal() for name in paths):
        raise FlagError(f"--gpu_devices: its keys are the numbers of the GPUs, and '{_EVERY}' for what each needs")
    numbers = sorted((int(name), name) for name in paths)
    gpus = [
        Gpu(index, str(index), tuple(_node("gpu_devices", path) for path in paths[name])) for index, name in numbers
    ]
    return GpuSettings(tuple(gpus), control)


def _detected() -> GpuSettings:
    try:
        found = nvml.find_gpus()
        if found is None:
            what = "install it, or say by --gpu_devices which devices the GPUs are"
            raise FlagError(f"--isolation names {GPU}, but {nvml.LIBRARY} of the NVIDIA driver is not here; {what}")
        return nvml.settings_of(found)
    except (nvml.NvmlError, OSError) as error:
        raise FlagError(f"--isolation names {GPU}, but {error}") from error


def _node(flag: str, path: str) -> DeviceNode:
    try:
        return device_node(path)
    except OSError as error:
        raise FlagError(f"--{flag}: {path} is no device of this machine: {error.strerror or error}") from error


def _allowed(access: mesos.DeviceAccess) -> DeviceNode:
    rights = [
        name
        for name, given in (("r", access.access.read), ("w", access.access.write), ("m", access.access.mknod))
        if given
    ]
    return _node("allowed_devices", access.device.path or "")._replace(rights="".join(rights) or "r")
