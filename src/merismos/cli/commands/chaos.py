"""`merismos chaos`: kills something of the cluster of `merismos up` with kill -9, and reports how it recovers.

Rules: only processes of that cluster are ever harmed, and each is looked at before: its working directory must be the cluster's.
A master is back, or replaced, once it says itself that it leads; an agent, once it has registered again.
"""

from __future__ import annotations

import argparse
import asyncio
import os
import signal
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any, Final, TypeVar

from merismos.cli import cluster, output
from merismos.cli.client import Client
from merismos.cli.errors import USAGE, CommandError, nearest
from merismos.sdk import local_cluster
from merismos.sdk.address import Address
from merismos.sdk.leader import NoLeader, find_once
from merismos.sdk.local_cluster import LocalCluster

PATIENCE_S: Final = 60.0
LOOK_S: Final = 0.02
LEADER, AGENT = "leader", "agent"
Found = TypeVar("Found")


def run(arguments: argparse.Namespace) -> int:
    """Do it, and say what became of it."""
    if arguments.master:
        raise CommandError(
            "chaos harms only the cluster that `merismos up` runs on this machine", "Leave --master out.", code=USAGE
        )
    running = _running()
    if arguments.victim == LEADER or arguments.victim in running.names("master"):
        report = _kill_master(running, arguments.victim)
    else:
        report = _kill_agent(running, arguments.victim)
    if arguments.output == "json":
        output.show_json(report)
    return 0


def _running() -> LocalCluster:
    found = local_cluster.running()
    if found is None:
        raise CommandError(
            "no cluster of `merismos up` runs on this machine, and chaos harms nothing else",
            "Start one: merismos up --masters 3 --zk",
        )
    return found


# ------------------------------------------------------------ masters
def _kill_master(running: LocalCluster, victim: str) -> dict[str, Any]:
    leader = _name_at(running, _leader(running))
    name = leader if victim == LEADER else victim
    pid = _kill(running, name)
    killed_at = time.monotonic()
    what = "the leading master" if name == leader else "a master that stood by"
    output.note(f"killed {name}, {what} (process {pid}), with kill -9; tasks don't need it. Watch: merismos ps")

    def again() -> str | None:
        now = _running()
        leads = _name_at(now, _leader(now))
        return leads if leads != name or now.pids.get(name) not in {pid, None} else None

    leads = _until(again, f"no master leads since {name} was killed")
    leads_s = time.monotonic() - killed_at
    url = f"http://{running.addresses[leads]}"
    output.note(f"{leads} leads{' as before' if name != leader else ''}, after {leads_s:.1f} s: {url}")
    agents = len(running.names("agent"))
    _until(lambda: True if _active(running) >= agents else None, "not every agent is back")
    back_s = time.monotonic() - killed_at
    output.note(f"all agents are with it, after {back_s:.1f} s: {agents} of {agents}")
    return {
        "killed": name, "pid": pid, "leader": leads, "url": url, "leads_after_s": round(leads_s, 3),
        "agents": agents, "agents_after_s": round(back_s, 3),
    }  # fmt: skip


def _leader(running: LocalCluster) -> Address:
    try:
        return asyncio.run(find_once(running.masters, PATIENCE_S))
    except NoLeader as error:
        raise CommandError(str(error), f"The logs say why: {running.work_dir}/logs") from error


def _name_at(running: LocalCluster, address: Address) -> str:
    """Return the name of the master at an address; masters name each other by host name, so the port tells."""
    ports = {address.port: name for name, address in zip(running.names("master"), running.masters, strict=True)}
    return ports[address.port]


def _active(running: LocalCluster) -> int:
    return sum(agent["state"] == "active" for agent in cluster.agents(Client(_leader(running))))


# ------------------------------------------------------------ agents
def _kill_agent(running: LocalCluster, victim: str) -> dict[str, Any]:
    known = running.names("agent")
    name = _busiest(running) if victim == AGENT else victim
    if name not in known:
        choices = [LEADER, AGENT, *running.names("master"), *known]
        raise CommandError(
            f"the cluster has no {victim!r}", nearest(victim, choices) or f"It has: {', '.join(choices)}", code=USAGE
        )
    before = _agent_at(running, name)
    if before is None:
        raise CommandError(f"{name} is not registered", "Try again in a moment, and see: merismos agents")
    tasks = _running_on(running, before["id"])
    pid = _kill(running, name)
    killed_at = time.monotonic()
    output.note(
        f"killed {name} (process {pid}), with kill -9; it runs {_tasks(len(tasks))}. Watch: merismos ps, merismos agents"
    )

    def again() -> cluster.Row | None:
        now = _agent_at(running, name)
        is_back = now is not None and now["state"] == "active" and now["registered_at"] != before["registered_at"]
        return now if is_back and _running().pids.get(name) != pid else None

    back = _until(again, f"{name} is not back")
    back_s = time.monotonic() - killed_at
    kept = [task for task in tasks if task in _running_on(running, back["id"])]
    said = "its tasks kept" if len(kept) == len(tasks) else f"{len(kept)} of its {_tasks(len(tasks))} still running"
    named = f", {said}: {', '.join(kept)}" if tasks else ", and had no tasks to keep"
    output.note(f"{name} is back after {back_s:.1f} s{named}")
    return {
        "killed": name, "pid": pid, "agent_id": back["id"], "back_after_s": round(back_s, 3),
        "tasks": tasks, "kept": kept,
    }  # fmt: skip


def _busiest(running: LocalCluster) -> str:
    """Return the first agent that runs something, else the first."""
    busy = {row["agent_id"] for row in cluster.tasks(Client(_leader(running)), completed=False)}
    ports = {row["address"].rpartition(":")[2] for row in cluster.agents(Client(_leader(running))) if row["id"] in busy}
    known = running.names("agent")
    return next((name for name in known if running.addresses[name].rpartition(":")[2] in ports), known[0])


def _agent_at(running: LocalCluster, name: str) -> cluster.Row | None:
    rows = cluster.agents(Client(_leader(running)))
    port = running.addresses[name].rpartition(":")[2]
    return next((row for row in rows if row["address"].rpartition(":")[2] == port), None)


def _running_on(running: LocalCluster, agent_id: str) -> list[str]:
    rows = cluster.tasks(Client(_leader(running)), completed=False)
    return [row["id"] for row in rows if row["agent_id"] == agent_id and row["state"] == "TASK_RUNNING"]


def _tasks(count: int) -> str:
    return "1 task" if count == 1 else f"{count or 'no'} tasks"


# ------------------------------------------------------------ both
def _kill(running: LocalCluster, name: str) -> int:
    pid = running.pids.get(name)
    if pid is None or not _is_ours(running, name, pid):
        raise CommandError(f"{name} is not running at the moment", "It is started again by itself; try in a moment.")
    os.kill(pid, signal.SIGKILL)
    return pid


def _is_ours(running: LocalCluster, name: str, pid: int) -> bool:
    """Say whether the process is still what it was when its number was noted."""
    if not Path("/proc/self").exists():
        return True
    try:
        return Path(f"/proc/{pid}/cwd").samefile(Path(running.work_dir) / name)
    except OSError:
        return False


def _until(look: Callable[[], Found | None], complaint: str) -> Found:
    """Return what `look` finds, as soon as it finds something."""
    deadline = time.monotonic() + PATIENCE_S
    while True:
        found = None
        try:
            found = look()
        except CommandError:
            if time.monotonic() > deadline:
                raise
        if found is not None:
            return found
        if time.monotonic() > deadline:
            raise CommandError(
                f"{complaint}, for {PATIENCE_S:g} s", "See: merismos agents, and the logs of the cluster"
            )
        time.sleep(LOOK_S)
