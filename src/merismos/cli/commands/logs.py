"""`merismos logs`: what a task wrote, while it runs and afterwards."""

from __future__ import annotations

import argparse
import base64
import sys
import time

from merismos.cli import cluster, output, sandbox
from merismos.cli.client import Client, find_master
from merismos.cli.errors import CommandError
from merismos.model.task_states import TERMINAL
from merismos.sdk.address import parse

POLL_S = 0.25
STATE_POLL_S = 1.0


def run(arguments: argparse.Namespace) -> int:
    """Write a task's output."""
    master = find_master(arguments.master)
    task = cluster.find(cluster.tasks(master, completed=True), arguments.task, "task")
    agent = _agent_of(master, task)
    name = "stderr" if arguments.stderr else "stdout"
    path = sandbox.path_of(task["framework_id"], task["executor_id"], task["container_id"], name)
    offset = _copy(agent, path, 0, arguments)
    if offset is None and task["state"] in TERMINAL:
        raise CommandError(f"{task['id']} has no {name}: it never started, or its sandbox is gone", task["message"])
    if arguments.follow:
        _follow(master, agent, task, path, offset or 0, arguments)
    return 0


def _agent_of(master: Client, task: cluster.Row) -> Client:
    for agent in cluster.agents(master):
        if agent["id"] == task["agent_id"]:
            return Client(parse(agent["address"]), kind="agent")
    raise CommandError(
        f"the agent of {task['id']} is not registered, so its output can't be read", "See: merismos agents"
    )


def _follow(
    master: Client, agent: Client, task: cluster.Row, path: str, offset: int, arguments: argparse.Namespace
) -> None:
    over = task["state"] in TERMINAL
    looked_at = time.monotonic()
    while not over:
        time.sleep(POLL_S)
        if time.monotonic() - looked_at >= STATE_POLL_S:
            over = _is_over(master, task)
            looked_at = time.monotonic()
        offset = _copy(agent, path, offset, arguments) or offset


def _is_over(master: Client, task: cluster.Row) -> bool:
    rows = master.get(f"/tasks?task_id={task['id']}&framework_id={task['framework_id']}&limit=1000")["tasks"]
    states = [row["state"] for row in rows if row["id"] == task["id"] and row["framework_id"] == task["framework_id"]]
    return not states or states[-1] in TERMINAL


def _copy(agent: Client, path: str, offset: int, arguments: argparse.Namespace) -> int | None:
    """Write what there is from `offset` on; return where it ends, None where there is no file."""
    while True:
        piece = sandbox.read(agent, path, offset)
        if piece.size is None:
            return None
        if not piece.data:
            return offset
        offset += len(piece.data)
        if arguments.output == "json":
            output.show_json({"offset": offset - len(piece.data), "data": base64.b64encode(piece.data).decode()})
        else:
            sys.stdout.buffer.write(piece.data)
        sys.stdout.flush()
