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
    reader = _reader_of(master, task)
    name = "stderr" if arguments.stderr else "stdout"
    path = sandbox.path_of(task["framework_id"], task["executor_id"], task["container_id"], name)
    tail = sandbox.Tail(path)
    _copy(reader, tail, arguments)
    if not tail.found and task["state"] in TERMINAL:
        raise CommandError(f"{task['id']} has no {name}: it never started, or its sandbox is gone", task["message"])
    if arguments.follow:
        _follow(master, reader, task, tail, arguments)
    return 0


def _reader_of(master: Client, task: cluster.Row) -> sandbox.SandboxReader:
    for agent in cluster.agents(master):
        if agent["id"] == task["agent_id"]:
            return sandbox.SandboxReader(master, agent["id"], Client(parse(agent["address"]), kind="agent"))
    raise CommandError(
        f"the agent of {task['id']} is not registered, so its output can't be read", "See: merismos agents"
    )


def _follow(
    master: Client,
    reader: sandbox.SandboxReader,
    task: cluster.Row,
    tail: sandbox.Tail,
    arguments: argparse.Namespace,
) -> None:
    over = task["state"] in TERMINAL
    looked_at = time.monotonic()
    while not over:
        time.sleep(POLL_S)
        if time.monotonic() - looked_at >= STATE_POLL_S:
            over = _is_over(master, task)
            looked_at = time.monotonic()
        _copy(reader, tail, arguments)


def _is_over(master: Client, task: cluster.Row) -> bool:
    rows = master.get(f"/tasks?task_id={task['id']}&framework_id={task['framework_id']}&limit=1000")["tasks"]
    states = [row["state"] for row in rows if row["id"] == task["id"] and row["framework_id"] == task["framework_id"]]
    return not states or states[-1] in TERMINAL


def _copy(reader: sandbox.SandboxReader, tail: sandbox.Tail, arguments: argparse.Namespace) -> None:
    """Write what there is by now and wasn't written yet."""
    more = True
    while more:
        offset = tail.offset
        piece = reader.read(tail.path, offset)
        more = tail.take(piece)
        if not piece.data:
            continue
        if arguments.output == "json":
            output.show_json({"offset": offset, "data": base64.b64encode(piece.data).decode()})
        else:
            sys.stdout.buffer.write(piece.data)
        sys.stdout.flush()
