"""`merismos why`: why something waits, in the master's own words."""

from __future__ import annotations

import argparse
import sys

from merismos.cli import cluster, explanation, output
from merismos.cli.client import Client, find_master
from merismos.cli.errors import CommandError, nearest


def run(arguments: argparse.Namespace) -> int:
    """Explain a task, framework or role."""
    master = find_master(arguments.master)
    kind, name = identify(master, arguments.subject)
    answer = explanation.ask(master, kind, name, arguments.resources)
    if arguments.output == "json":
        output.show_json(answer)
    else:
        sys.stdout.write("\n".join(explanation.lines(answer)) + "\n")
    return 0


def identify(master: Client, subject: str) -> tuple[str, str]:
    """Return what `subject` is, `task`, `framework` or `role`, and its whole name.

    Errors: CommandError when it is nothing that the master knows.
    """
    kinds = {
        "task": cluster.tasks(master, completed=True),
        "framework": cluster.frameworks(master, completed=True),
        "role": [{"id": role["name"], "name": role["name"]} for role in cluster.roles(master)],
    }
    for matches in (_is, _begins):
        for kind, rows in kinds.items():
            if any(matches(row, subject) for row in rows):
                return kind, cluster.find(rows, subject, kind)["id"]
    if explanation.ask(master, "task", subject, None).get("framework_id"):
        return "task", subject  # refused when it was launched: it became no task, but a framework's journal has it
    known = [row[field] for rows in kinds.values() for row in rows for field in ("id", "name")]
    raise CommandError(f"the master knows no task, framework or role {subject!r}", nearest(subject, known))


def _is(row: cluster.RowView, subject: str) -> bool:
    return bool(subject == row["id"])


def _begins(row: cluster.RowView, subject: str) -> bool:
    return str(row["id"]).startswith(subject) or subject == row["name"]
