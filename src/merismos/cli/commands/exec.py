"""`merismos exec`: run a command beside a task, in its sandbox, with its environment and as its user."""

from __future__ import annotations

import argparse
import asyncio
import sys
import uuid

from merismos.cli import cluster, sandbox
from merismos.cli.client import find_master
from merismos.cli.errors import USAGE, CommandError
from merismos.cli.session import Place, Session, Terminal
from merismos.sdk.address import parse


def run(arguments: argparse.Namespace) -> int:
    """Run the command; return its exit code."""
    if not arguments.command:
        raise CommandError("nothing to run", "For example: merismos exec -it TASK sh", code=USAGE)
    master = find_master(arguments.master)
    task = cluster.find(cluster.tasks(master, completed=False), arguments.task, "task")
    if not task["container_id"]:
        raise CommandError(f"{task['id']} does not run yet, so nothing can run beside it", "See: merismos ps")
    address = next((one["address"] for one in cluster.agents(master) if one["id"] == task["agent_id"]), None)
    if address is None:
        raise CommandError(f"the agent of {task['id']} is not registered", "See: merismos agents")
    is_terminal = arguments.tty and sys.stdin.isatty()
    session = Session(
        [Place(master.address, sandbox.target_of(task["agent_id"])), Place(parse(address), "/api/v1")],
        f"{task['container_id']}.{uuid.uuid4().hex}",
        arguments.command,
        Terminal.of_this() if arguments.tty else None,
        has_input=arguments.interactive,
    )
    if not is_terminal:
        return asyncio.run(session.run())
    assert session.terminal is not None
    with session.terminal.raw():
        return asyncio.run(session.run())
