"""`docker run` of the same image, by a Docker Engine of the bench's own.

Rules: the Engine has no bridge and touches no packet filter; its containers have the machine's network, as ours have. Nothing outlives the block.
"""

from __future__ import annotations

import os
import shutil
import subprocess
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from benchmarks.images import layer, timed
from merismos.adapters.linux.mounts import unmount_below

READY_S_MAX = 30.0
NAME = "bench:1"
_LOOK_S = 0.05


def why_not() -> str:
    """Return why there is no Engine; empty where there can be one."""
    missing = [name for name in ("dockerd", "docker") if shutil.which(name) is None]
    if os.geteuid() != 0 or missing:
        return "`docker run` beside it needs root and docker.io"
    return ""


@contextmanager
def engine() -> Iterator[list[str]]:
    """Run an Engine that has the image; give the command that speaks to it."""
    with tempfile.TemporaryDirectory(prefix="mbd") as folder:
        command = ["docker", "--host", f"unix://{folder}/s"]
        flags = ["--bridge=none", "--iptables=false", "--ip-forward=false", "--ip-masq=false"]
        places = [f"--data-root={folder}/data", f"--exec-root={folder}/exec", f"--pidfile={folder}/pid"]
        quiet = {"stdout": subprocess.DEVNULL, "stderr": subprocess.DEVNULL}
        with subprocess.Popen(["dockerd", *flags, *places, f"--host=unix://{folder}/s"], **quiet) as daemon:
            try:
                until = time.monotonic() + READY_S_MAX
                while subprocess.run([*command, "info"], check=False, **quiet).returncode:
                    if time.monotonic() > until or daemon.poll() is not None:
                        raise SystemExit("dockerd does not answer")
                    time.sleep(_LOOK_S)
                subprocess.run([*command, "import", "-", NAME], input=layer(), check=True, **quiet)
                yield command
            finally:
                daemon.terminate()
                daemon.wait(READY_S_MAX)
                unmount_below(Path(folder))


def docker_run(runs: int) -> tuple[float, float]:
    """Return what `docker run --rm` of `true` takes, in ms, and how many a second two at a time make."""
    with engine() as command:

        def run(number: int) -> float:
            del number
            begun = time.perf_counter()
            words = ["run", "--rm", "--network=host", NAME, "/bin/true"]
            subprocess.run([*command, *words], check=True, stdin=subprocess.DEVNULL)
            return time.perf_counter() - begun

        run(0)
        return timed(run, runs)
