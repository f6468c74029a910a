"""Containers of a cached image of 2 MB through the whole stack, and the same by the runtime alone."""

from __future__ import annotations

import gzip
import hashlib
import io
import json
import os
import statistics
import subprocess
import tarfile
import tempfile
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path
from typing import NamedTuple

import msgspec

from benchmarks import real
from merismos.containers.oci_runtimes import Runtime, choose, find_runtimes, try_out
from merismos.core.containers.image_plan import DEFAULT_CAPABILITIES, RootPlan
from merismos.core.containers.oci_spec import ContainerUser, Surroundings, build_spec

BUSYBOX = Path("/bin/busybox")
NAME = "bench"
IMAGE = {"type": "MESOS", "mesos": {"image": {"type": "DOCKER", "docker": {"name": NAME}}}}


def why_not() -> str:
    """Return why these rows can't be measured here; empty where they can."""
    if os.geteuid() != 0 or not find_runtimes() or not BUSYBOX.is_file():
        return "containers of images need root, runc or crun, and a static /bin/busybox"
    return ""


def runtimes_that_work() -> list[str]:
    """Return the names of the runtimes that run containers here, the one that agents prefer first."""
    with tempfile.TemporaryDirectory() as folder:
        runtimes = [Runtime(program, Path(folder)) for program in find_runtimes()]
        return [one.name for one in runtimes if not (one.why_not() or try_out(one, Path(folder)))]


def layer() -> bytes:
    """Return a layer with a shell."""
    made = io.BytesIO()
    with tarfile.open(fileobj=made, mode="w") as tar:
        program = tarfile.TarInfo("bin/busybox")
        program.size, program.mode = BUSYBOX.stat().st_size, 0o755
        tar.addfile(program, io.BytesIO(BUSYBOX.read_bytes()))
        for name in ("sh", "sleep", "true"):
            link = tarfile.TarInfo(f"bin/{name}")
            link.type, link.linkname = tarfile.SYMTYPE, "busybox"
            tar.addfile(link)
    return made.getvalue()


def save(path: Path, raw: bytes) -> None:
    """Write an image of this layer, as `docker save` does."""
    diff_id = f"sha256:{hashlib.sha256(raw).hexdigest()}"
    config = {"os": "linux", "config": {"Env": ["PATH=/bin"]}, "rootfs": {"type": "layers", "diff_ids": [diff_id]}}
    documents = {
        "manifest.json": json.dumps(
            [{"Config": "c.json", "RepoTags": [f"{NAME}:latest"], "Layers": ["l.tar"]}]
        ).encode(),
        "c.json": json.dumps(config).encode(),
        "l.tar": gzip.compress(raw, 1),
    }
    with tarfile.open(path, "w") as tar:
        for name, data in documents.items():
            member = tarfile.TarInfo(name)
            member.size = len(data)
            tar.addfile(member, io.BytesIO(data))


@contextmanager
def image_flags() -> Iterator[tuple[str, ...]]:
    """Give flags of an agent that has the image in a directory."""
    with tempfile.TemporaryDirectory() as folder:
        save(Path(folder, f"{NAME}.tar"), layer())
        yield "--image_providers=docker", f"--docker_registry={folder}", f"--docker_store_dir={folder}/store"


@contextmanager
def bundle() -> Iterator[Path]:
    """Make what the runtime alone runs: the same root and rights, not stacked anew for each."""
    with tempfile.TemporaryDirectory() as folder:
        with tarfile.open(fileobj=io.BytesIO(layer())) as tar:
            tar.extractall(f"{folder}/rootfs", filter="tar")
        plan = RootPlan(["x"], "/", "/mnt", bounding=list(DEFAULT_CAPABILITIES))
        place = Surroundings(f"{folder}/rootfs", "bench", os.uname().machine, "")
        spec = build_spec(plan, ContainerUser(), ["/bin/true"], ["PATH=/bin"], place)
        Path(folder, "config.json").write_bytes(msgspec.json.encode(spec))
        yield Path(folder)


def runtime_alone(name: str, runs: int) -> tuple[float, float]:
    """Return what a runtime takes by itself to run `true`, in ms, and how many a second two at a time make."""
    with bundle() as folder:
        runtime = choose(folder / "runtime", name)

        def run(number: int) -> float:
            begun = time.perf_counter()
            container_id = f"bench-{os.getpid()}-{number}"
            subprocess.run(runtime.run(container_id, folder, keep=False), check=True, stdin=subprocess.DEVNULL)
            elapsed_s = time.perf_counter() - begun
            runtime.delete(container_id, real.READY_S_MAX)
            return elapsed_s

        return timed(run, runs)


def timed(run: Callable[[int], float], runs: int) -> tuple[float, float]:
    """Return the median of what a run takes, in ms, and how many a second two at a time make."""
    each_ms = statistics.median(run(number) for number in range(runs)) * 1e3
    begun = time.perf_counter()
    with ThreadPoolExecutor(2) as pool:
        list(pool.map(run, range(runs, 3 * runs)))
    return each_ms, 2 * runs / (time.perf_counter() - begun)


class Stack(NamedTuple):
    """What containers of the image took through the whole stack."""

    tasks_s: float
    idle_ms: float
    besides_kb: float
    note: str


def through_the_stack(tasks: int, one_by_one: int, at_once: int) -> Stack:
    """Return tasks a second, ACCEPT to TASK_FINISHED of one after another, and the memory for each that runs, its own not counted."""
    with image_flags() as flags:
        rate = real.tasks_per_second(tasks, *flags, container=IMAGE)
        idle_ms = real.accept_to_ms(one_by_one, "TASK_FINISHED", *flags, container=IMAGE)
        besides_kb = real.besides_each_task_kb(at_once, *flags, container=IMAGE)
        return Stack(rate["tasks_s"], idle_ms, besides_kb, str(rate["note"]))
