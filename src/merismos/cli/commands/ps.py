"""`merismos ps`: the tasks."""

from __future__ import annotations

import argparse
import time

from merismos.cli import cluster, output
from merismos.cli.client import find_master


def run(arguments: argparse.Namespace) -> int:
    """List tasks."""
    rows = cluster.tasks(find_master(arguments.master), completed=arguments.all)
    if arguments.framework:
        rows = [row for row in rows if row["framework_id"].startswith(arguments.framework)]
    now = time.time()
    output.show(
        arguments,
        rows,
        {
            "TASK": lambda row: str(row["id"]),
            "STATE": lambda row: str(row["state"]),
            "CPUS": lambda row: output.amount(_of(row, "cpus")),
            "MEM": lambda row: output.megabytes(_of(row, "mem")),
            "AGE": lambda row: _age(row, now),
            "FRAMEWORK": lambda row: str(row["framework"] or row["framework_id"]),
            "AGENT": lambda row: str(row["hostname"] or row["agent_id"]),
            "MESSAGE": lambda row: str(row["message"]),
        },
    )
    return 0


def _of(row: cluster.RowView, name: str) -> float:
    return cluster.amount_in(row, "resources", name)


def _age(row: cluster.RowView, now: float) -> str:
    started = row["started_at"]
    return output.age(now - started) if isinstance(started, float) else ""
