"""`merismos kill`: ends a task, whichever framework it is of."""

from __future__ import annotations

import argparse
from http import HTTPStatus
from urllib.parse import urlencode

from merismos.cli import cluster, output
from merismos.cli.client import Client, find_master
from merismos.cli.errors import CommandError

FORM = "application/x-www-form-urlencoded"


def run(arguments: argparse.Namespace) -> int:
    """Ask the master to end a task."""
    master = find_master(arguments.master)
    task = cluster.find(cluster.tasks(master, completed=False), arguments.task, "task that is alive")
    kill(master, task)
    if arguments.output == "json":
        output.show_json({"id": task["id"], "framework_id": task["framework_id"], "asked": True})
    else:
        output.note(f"asked to end {task['id']}")
    return 0


def kill(master: Client, task: cluster.RowView) -> None:
    """Ask the master to end a task.

    Errors: CommandError.
    """
    body = urlencode({"taskId": task["id"], "frameworkId": task["framework_id"]}).encode()
    answer = master.ask("POST", "/tasks/kill", body=body, content_type=FORM)
    if answer.status in {HTTPStatus.NOT_FOUND, HTTPStatus.METHOD_NOT_ALLOWED, HTTPStatus.NOT_IMPLEMENTED}:
        raise CommandError(
            f"master {master.address} can't end single tasks (it answered {answer.status})",
            "Its framework can; a task of `merismos run` ends with Ctrl-C there.",
        )
    if answer.status not in {HTTPStatus.OK, HTTPStatus.ACCEPTED}:
        raise CommandError(f"master {master.address} won't end {task['id']}: {answer.text()}")
