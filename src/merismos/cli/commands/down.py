"""`merismos down`: ends the cluster of `merismos up`."""

from __future__ import annotations

import argparse
import contextlib
import os
import signal
import subprocess
import sys
import time

from merismos.cli import output
from merismos.cli.errors import CommandError
from merismos.sdk import local_cluster

PATIENCE_S = 20.0
POLL_S = 0.02


def run(arguments: argparse.Namespace) -> int:
    """End it, and see to it that nothing is left."""
    cluster = local_cluster.read_record()
    running = local_cluster.is_locked()
    if running and cluster is None:
        raise CommandError("a cluster is just starting or ending", "Try again in a moment.")
    if running and cluster is not None:
        with contextlib.suppress(ProcessLookupError):
            os.kill(cluster.pid, signal.SIGTERM)
        _wait(cluster.pid)
    if local_cluster.read_record() is not None:
        subprocess.run([sys.executable, "-m", "merismos.daemons.local", "--remove-remnants"], check=True)
    said = cluster.master if cluster is not None else None
    if arguments.output == "json":
        output.show_json({"ended": said})
    else:
        output.note(f"the cluster at http://{said} is down" if said else "no cluster of yours runs on this machine")
    return 0


def _wait(pid: int) -> None:
    deadline = time.monotonic() + PATIENCE_S
    while local_cluster.is_locked():
        if time.monotonic() > deadline:
            raise CommandError(
                f"the cluster's process {pid} doesn't end", f"Force it: kill -9 {pid}; then: merismos down"
            )
        time.sleep(POLL_S)
