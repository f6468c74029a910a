"""A scheduler that writes down whatever it does and hears, before it goes on: the ledger of a chaos run.

Run as: ledger_scheduler.py MASTER FOLDER SEED. Rules: a launch stands in the ledger before its ACCEPT is sent, an update before it is
acknowledged; so a scheduler that is killed comes back under its id and knows what it may have missed. A task leaves marks of its own
beside the ledger, one file a task: a line when it starts, a line when it ends. Where the folder has a file `calm` it launches nothing
more, and leaves once every task is over, or unknown to the whole cluster twice in a row.
"""

from __future__ import annotations

import asyncio
import json
import os
import random
import sys
from pathlib import Path
from typing import Any

from merismos.sdk import Framework, Offer, Task, Update

ALIVE_MAX = 40
A_LAUNCH_MAX = 3
LOOK_S = 1.0
FINAL = frozenset({"TASK_FINISHED", "TASK_FAILED", "TASK_KILLED", "TASK_ERROR"})
NOT_THERE = frozenset({"TASK_LOST", "TASK_DROPPED", "TASK_GONE"})
COMMAND = 'echo start $$ >> "$MARKS"; sleep "$NAP"; echo end >> "$MARKS"'


class Ledger:
    """What is known of each task: its last state, and how often in a row the cluster didn't know it."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.framework_id = ""
        self.states: dict[str, str] = {}
        self.unknown: dict[str, int] = {}
        self._path = folder / "ledger.jsonl"
        if self._path.exists():
            for line in self._path.read_bytes().splitlines():
                self._take(json.loads(line))
        self._fd = os.open(self._path, os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o644)

    def write(self, **entry: Any) -> None:  # noqa: ANN401 - one line of JSON
        """Write one line, whole, and take it."""
        os.write(self._fd, json.dumps(entry).encode() + b"\n")
        self._take(entry)

    def _take(self, entry: dict[str, Any]) -> None:
        match entry["what"]:
            case "subscribed":
                self.framework_id = entry["id"]
            case "launch":
                self.states[entry["task"]] = "TASK_STAGING"
            case "update":
                task = entry["task"]
                if self.states[task] in FINAL:
                    return  # what was asked for before it ended may be answered after
                self.unknown[task] = self.unknown.get(task, 0) + 1 if entry["state"] == "TASK_UNKNOWN" else 0
                self.states[task] = entry["state"]

    def open(self) -> list[str]:
        """Return the tasks that aren't known to be over."""
        return [
            task
            for task, state in self.states.items()
            if state not in FINAL and state not in NOT_THERE and self.unknown.get(task, 0) < 2
        ]


async def run(master: str, folder: Path, seed: int) -> None:
    """Schedule until it is calm and every task is over."""
    ledger = Ledger(folder)
    dice = random.Random(f"{seed} {len(ledger.states)}")
    calm = folder / "calm"
    framework = Framework(
        "ledger", master=master, framework_id=ledger.framework_id, failover_timeout_s=600.0, refuse_s=0.5,
        teardown_at_end=False,
    )  # fmt: skip

    @framework.on_subscribed
    async def on_subscribed(framework_id: str) -> None:
        ledger.write(what="subscribed", id=framework_id, master=framework.master)

    @framework.on_disconnected
    def on_disconnected(reason: str) -> None:
        ledger.write(what="disconnected", reason=reason)

    @framework.on_offer
    def on_offer(offer: Offer) -> None:
        if calm.exists():
            return
        for _ in range(A_LAUNCH_MAX):
            task_id = f"t{len(ledger.states):06d}"
            nap = round(dice.uniform(0.1, 6.0), 1)
            task = Task(
                id=task_id, name=task_id, command=COMMAND, cpus=0.1, mem=16.0,
                env={"MARKS": str(folder / "marks" / task_id), "NAP": str(nap)},
            )  # fmt: skip
            if len(ledger.open()) >= ALIVE_MAX or not offer.fits(task):
                return
            ledger.write(what="launch", task=task_id, agent=offer.agent_id, nap=nap)
            offer.launch(task)

    @framework.on_update
    def on_update(update: Update) -> None:
        ledger.write(
            what="update", task=update.task_id, state=update.state, agent=update.agent_id, reason=update.reason,
            message=update.message, uuid=(update.status.uuid or b"").hex(),
        )  # fmt: skip

    running = asyncio.create_task(framework.run())
    while not (calm.exists() and framework.id and not ledger.open()):
        done, _ = await asyncio.wait({running}, timeout=LOOK_S)
        if done:
            running.result()
        if ledger.open() and framework.id:
            asking = asyncio.create_task(framework.reconcile(*ledger.open()))
            await asyncio.wait({asking}, timeout=LOOK_S)
            asking.cancel()
    ledger.write(what="done")
    framework.stop()
    await running


if __name__ == "__main__":
    asyncio.run(run(sys.argv[1], Path(sys.argv[2]), int(sys.argv[3])))
