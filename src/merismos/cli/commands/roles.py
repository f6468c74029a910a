"""`merismos roles`: the roles."""

from __future__ import annotations

import argparse

from merismos.cli import cluster, output
from merismos.cli.client import find_master


def run(arguments: argparse.Namespace) -> int:
    """List roles."""
    output.show(
        arguments,
        cluster.roles(find_master(arguments.master)),
        {
            "ROLE": lambda row: str(row["name"]),
            "WEIGHT": lambda row: f"{row['weight']:g}",
            "FRAMEWORKS": lambda row: str(len(cluster.texts_in(row, "frameworks"))),
            "CPUS": lambda row: output.amount(cluster.amount_in(row, "used", "cpus")),
            "MEM": lambda row: output.megabytes(cluster.amount_in(row, "used", "mem")),
            "GUARANTEED": lambda row: output.quantities(row["guarantees"]),
            "LIMIT": lambda row: output.quantities(row["limits"]),
        },
    )
    return 0
