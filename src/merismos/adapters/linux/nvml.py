"""The NVIDIA GPUs of a machine, as its driver's management library tells.

Rules: the library comes with the driver; where it isn't there, there are no such GPUs, and that is no error. It is asked once, at the start.
Errors: NvmlError where the library is there and doesn't answer.
Source: NVIDIA's NVML API reference.
"""

from __future__ import annotations

import ctypes
import os
from typing import NamedTuple

from merismos.adapters.linux.detection import device_node
from merismos.core.containers.gpu_plan import Gpu, GpuSettings

LIBRARY = "libnvidia-ml.so.1"
_UUID_BYTES = 96
_DEVICE = "/dev/nvidia{}"
_CONTROL = ("/dev/nvidiactl", "/dev/nvidia-uvm")
_CONTROL_IF_THERE = ("/dev/nvidia-uvm-tools", "/dev/nvidia-modeset")


class NvmlError(Exception):
    """The library doesn't do what it is there for."""


class FoundGpu(NamedTuple):
    """A GPU as the driver knows it."""

    minor: int
    uuid: str


def find_gpus(library: str = LIBRARY) -> list[FoundGpu] | None:
    """Return the GPUs in the driver's order; None where there is no driver.

    Errors: NvmlError.
    """
    try:
        nvml = ctypes.CDLL(library)
    except OSError:
        return None
    _call(nvml, "nvmlInit_v2")
    try:
        count = ctypes.c_uint()
        _call(nvml, "nvmlDeviceGetCount_v2", ctypes.byref(count))
        return [_look_at(nvml, index) for index in range(count.value)]
    finally:
        _call(nvml, "nvmlShutdown")


def settings_of(found: list[FoundGpu]) -> GpuSettings:
    """Return these GPUs with their devices.

    Errors: OSError that names a device that isn't there.
    """
    gpus = [Gpu(index, gpu.uuid, (device_node(_DEVICE.format(gpu.minor)),)) for index, gpu in enumerate(found)]
    extra = [path for path in _CONTROL_IF_THERE if os.path.exists(path)]  # noqa: PTH110 - one system call
    return GpuSettings(tuple(gpus), tuple(device_node(path) for path in (*_CONTROL, *extra)) if gpus else ())


def _look_at(nvml: ctypes.CDLL, index: int) -> FoundGpu:
    handle, minor, uuid = ctypes.c_void_p(), ctypes.c_uint(), ctypes.create_string_buffer(_UUID_BYTES)
    _call(nvml, "nvmlDeviceGetHandleByIndex_v2", ctypes.c_uint(index), ctypes.byref(handle))
    _call(nvml, "nvmlDeviceGetMinorNumber", handle, ctypes.byref(minor))
    _call(nvml, "nvmlDeviceGetUUID", handle, uuid, ctypes.c_uint(_UUID_BYTES))
    return FoundGpu(minor.value, uuid.value.decode("ascii", "replace"))


def _call(nvml: ctypes.CDLL, name: str, *arguments: object) -> None:
    try:
        function = getattr(nvml, name)
    except AttributeError as error:
        raise NvmlError(f"the NVIDIA driver's library has no {name}; install a newer driver") from error
    code = function(*arguments)
    if code != 0:
        raise NvmlError(f"{name} of the NVIDIA driver's library failed with {code}; see whether nvidia-smi works")
