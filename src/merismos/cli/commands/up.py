"""`merismos up`: becomes the process that runs a cluster on this machine."""

from __future__ import annotations

import argparse
import os
import sys
from typing import NoReturn


def run(arguments: argparse.Namespace) -> NoReturn:
    """Become that process."""
    flags = [f"--agents={arguments.agents}", f"--master-port={arguments.master_port}", f"--output={arguments.output}"]
    if arguments.masters:
        flags.append(f"--masters={arguments.masters}")
    if arguments.zk:
        flags.append("--zk")
    if arguments.resources:
        flags.append(f"--resources={arguments.resources}")
    if arguments.detach:
        flags.append("--detach")
    os.execv(sys.executable, [sys.executable, "-m", "merismos.daemons.local", *flags])  # noqa: S606 - that is the point
