"""`merismos version`: this version, and the master's."""

from __future__ import annotations

import argparse
import sys

import merismos
from merismos.cli import output
from merismos.cli.client import Unreachable, find_master
from merismos.cli.errors import CommandError


def run(arguments: argparse.Namespace) -> int:
    """Say both versions; a master that isn't there is no error."""
    client = find_master(arguments.master)
    try:
        master = client.get("/version").get("version")
        note = ""
    except Unreachable:
        master, note = None, "no master answers there"
    except CommandError as error:
        master, note = None, error.what
    if arguments.output == "json":
        output.show_json({"client": merismos.__version__, "master": master, "address": str(client.address)})
    else:
        sys.stdout.write(f"merismos {merismos.__version__}\n")
        sys.stdout.write(f"master   {f'speaks Mesos {master}' if master else note} ({client.address})\n")
    return 0
