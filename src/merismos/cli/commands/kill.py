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
    task = _living(master, arguments.task)
    kill(master, task, arguments.grace)
    if arguments.output == "json":
        output.show_json({"id": task["id"], "framework_id": task["framework_id"], "asked": True})
    else:
        output.note(f"asked to end {task['id']}")
    return 0


def _living(master: Client, given: str) -> cluster.RowView:
    try:
        return cluster.find(cluster.tasks(master, completed=False), given, "task")
    except CommandError:
        ended = cluster.find(cluster.tasks(master, completed=True), given, "task")
        raise CommandError(f"{ended['id']} has ended already: {ended['state']}") from None


def kill(master: Client, task: cluster.RowView, grace_s: float | None) -> None:
    """Ask the master to end a task.

    Errors: CommandError.
    """
    form = {"taskId": task["id"], "frameworkId": task["framework_id"]}
    if grace_s is not None:
        form["gracePeriod"] = f"{round(grace_s * 1000)}ms"
    answer = master.ask("POST", "/tasks/kill", body=urlencode(form).encode(), content_type=FORM)
    if answer.status != HTTPStatus.ACCEPTED:
        raise CommandError(
            f"master {master.address} won't end {task['id']}: {answer.text() or f'it answered {answer.status}'}"
        )
