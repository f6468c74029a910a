"""`merismos kill`: ends a task, whichever framework it is of.

Rules: a master that can't end single tasks is asked to end the framework where the task is its only one, as with `merismos run`.
"""

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
        if _is_alone(master, task):
            _teardown(master, task)
            return
        raise CommandError(
            f"master {master.address} can't end single tasks (it answered {answer.status})",
            f"Its framework {task['framework_id']} has other tasks, so only it can end this one.",
        )
    if answer.status not in {HTTPStatus.OK, HTTPStatus.ACCEPTED}:
        raise CommandError(f"master {master.address} won't end {task['id']}: {answer.text()}")


def _is_alone(master: Client, task: cluster.RowView) -> bool:
    alive = cluster.tasks(master, completed=False)
    return [one["id"] for one in alive if one["framework_id"] == task["framework_id"]] == [task["id"]]


def _teardown(master: Client, task: cluster.RowView) -> None:
    body = urlencode({"frameworkId": task["framework_id"]}).encode()
    answer = master.ask("POST", "/teardown", body=body, content_type=FORM)
    if answer.status != HTTPStatus.OK:
        raise CommandError(f"master {master.address} won't end the framework of {task['id']}: {answer.text()}")
