"""`merismos frameworks`: the frameworks."""

from __future__ import annotations

import argparse

from merismos.cli import cluster, output
from merismos.cli.client import find_master


def run(arguments: argparse.Namespace) -> int:
    """List frameworks."""
    output.show(
        arguments,
        cluster.frameworks(find_master(arguments.master), completed=arguments.all),
        {
            "FRAMEWORK": lambda row: str(row["id"]),
            "NAME": lambda row: str(row["name"]),
            "USER": lambda row: str(row["user"]),
            "STATE": lambda row: str(row["state"]),
            "ROLES": lambda row: ",".join(cluster.texts_in(row, "roles")),
            "CPUS": lambda row: output.amount(cluster.amount_in(row, "used", "cpus")),
            "MEM": lambda row: output.megabytes(cluster.amount_in(row, "used", "mem")),
        },
    )
    return 0
