"""NVIDIA's management library as we call it, against one of our own with the same functions."""

from __future__ import annotations

import shutil
import subprocess
from pathlib import Path

import pytest

from merismos.adapters.linux.nvml import FoundGpu, NvmlError, find_gpus
from merismos.cli.commands.doctor import check_gpus

LIBRARY = """
#include <string.h>
typedef struct device { unsigned minor; const char *uuid; } *nvmlDevice_t;
static struct device devices[2] = {{3, "GPU-aaaa"}, {1, "GPU-bbbb"}};
static int open_count;
int nvmlInit_v2(void) { open_count++; return FAULT; }
int nvmlShutdown(void) { open_count--; return 0; }
int nvmlDeviceGetCount_v2(unsigned *count) { *count = 2; return open_count == 1 ? 0 : 1; }
int nvmlDeviceGetHandleByIndex_v2(unsigned index, nvmlDevice_t *device) { *device = &devices[index]; return index > 1; }
int nvmlDeviceGetMinorNumber(nvmlDevice_t device, unsigned *minor) { *minor = device->minor; return 0; }
int nvmlDeviceGetUUID(nvmlDevice_t device, char *uuid, unsigned length)
{ if (strlen(device->uuid) >= length) return 7; strcpy(uuid, device->uuid); return 0; }
"""


def build(folder: Path, fault: int = 0) -> str:
    compiler = shutil.which("cc")
    if compiler is None:
        pytest.skip("there is no C compiler: apt-get install gcc")
    source, library = folder / "nvml.c", folder / f"libnvidia-ml-{fault}.so"
    source.write_text(LIBRARY)
    subprocess.run([compiler, "-shared", "-fPIC", f"-DFAULT={fault}", "-o", library, source], check=True)
    return str(library)


def test_gpus_are_told_with_the_numbers_of_their_devices_and_their_names(tmp_path: Path) -> None:
    library = build(tmp_path)
    expected = [FoundGpu(3, "GPU-aaaa"), FoundGpu(1, "GPU-bbbb")]
    assert find_gpus(library) == expected
    assert find_gpus(library) == expected, "the library was closed again"


def test_a_machine_without_a_driver_has_no_gpus_and_one_whose_driver_fails_says_so(tmp_path: Path) -> None:
    assert find_gpus("libnvidia-ml-that-nobody-has.so.1") is None
    with pytest.raises(NvmlError, match="nvmlInit_v2 of the NVIDIA driver's library failed with 9"):
        find_gpus(build(tmp_path, 9))
    with pytest.raises(NvmlError, match="has no nvmlInit_v2"):
        find_gpus("libc.so.6")


def test_the_doctor_names_the_gpus_and_a_driver_that_fails(tmp_path: Path) -> None:
    found = check_gpus(build(tmp_path))
    assert (found["state"], found["finding"].partition(";")[0]) == ("ok", "2 of NVIDIA, GPU-aaaa, GPU-bbbb")
    failing = check_gpus(build(tmp_path, 9))
    assert (failing["state"], "failed with 9" in failing["finding"]) == ("warning", True)
    assert "--gpu_devices" in check_gpus("libnvidia-ml-that-nobody-has.so.1")["finding"]
