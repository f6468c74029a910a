"""`merismos agents`: the agents, and what of them is in use."""

from __future__ import annotations

import argparse
from collections.abc import Callable

from merismos.cli import cluster, output
from merismos.cli.client import find_master


def run(arguments: argparse.Namespace) -> int:
    """List agents."""
    output.show(
        arguments,
        cluster.agents(find_master(arguments.master)),
        {
            "AGENT": lambda row: str(row["id"]),
            "HOST": lambda row: str(row["hostname"]),
            "ADDRESS": lambda row: str(row["address"]),
            "STATE": lambda row: str(row["state"]),
            "CPUS": lambda row: _use(row, "cpus", output.amount),
            "MEM": lambda row: _use(row, "mem", output.megabytes),
            "DISK": lambda row: _use(row, "disk", output.megabytes),
            "ATTRIBUTES": lambda row: _attributes(row["attributes"]),
        },
    )
    return 0


def _use(row: cluster.RowView, name: str, text: Callable[[float], str]) -> str:
    return f"{text(cluster.amount_in(row, 'used', name))} of {text(cluster.amount_in(row, 'total', name))}"


def _attributes(attributes: object) -> str:
    assert isinstance(attributes, dict)
    return " ".join(f"{name}:{value}" for name, value in attributes.items())
