"""`merismos drain`: ends what runs on an agent and offers nothing more of it; or only the latter, or offers again."""

from __future__ import annotations

import argparse
import json
from http import HTTPStatus

from merismos.cli import cluster, output
from merismos.cli.client import Client, find_master
from merismos.cli.errors import CommandError

_NANOS = 1_000_000_000
_SAID = {
    "DRAIN_AGENT": "its tasks are being ended; `merismos agents` shows when it is drained",
    "DEACTIVATE_AGENT": "nothing more is offered of it; its tasks go on",
    "REACTIVATE_AGENT": "it is offered again",
}


def run(arguments: argparse.Namespace) -> int:
    """Ask the master to drain, deactivate or reactivate an agent."""
    master = find_master(arguments.master)
    agent = cluster.find_agent(cluster.agents(master), arguments.agent)
    kind, more = _call(arguments)
    _ask(master, kind, agent["id"], more)
    if arguments.output == "json":
        output.show_json({"id": agent["id"], "call": kind})
    else:
        output.note(f"{agent['id']} on {agent['hostname']}: {_SAID[kind]}")
    return 0


def _call(arguments: argparse.Namespace) -> tuple[str, dict[str, object]]:
    if arguments.deactivate:
        return "DEACTIVATE_AGENT", {}
    if arguments.reactivate:
        return "REACTIVATE_AGENT", {}
    more: dict[str, object] = {"mark_gone": arguments.mark_gone}
    if arguments.grace is not None:
        seconds, nanos = divmod(round(arguments.grace * _NANOS), _NANOS)
        more["max_grace_period"] = {"seconds": seconds, "nanos": nanos}
    return "DRAIN_AGENT", more


def _ask(master: Client, kind: str, agent_id: str, more: dict[str, object]) -> None:
    body = {"type": kind, kind.lower(): {"agent_id": {"value": agent_id}, **more}}
    answer = master.ask("POST", "/api/v1", body=json.dumps(body).encode())
    if answer.status != HTTPStatus.OK:
        raise CommandError(f"master {master.address} refuses: {answer.text() or f'it answered {answer.status}'}")
