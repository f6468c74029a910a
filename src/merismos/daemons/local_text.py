"""What a local cluster says to the person who started it."""

from __future__ import annotations

import shutil
import signal
import sys
from collections.abc import Mapping
from pathlib import Path

import merismos

_MB_OF_A_GB = 1024
TRY = (
    ("merismos run -- sh -c 'echo hello; exit 3'", "runs it on the cluster, shows its output, exits with 3"),
    ("merismos agents", "what there is, and how much of it is in use"),
    ("merismos run --cpus 999 -- true", "says why it waits"),
)
TRY_WITH_ZOOKEEPER = (
    ("merismos run -- 'while date; do sleep 1; done'", "a clock on the cluster; let it tick, and meanwhile:"),
    ("merismos chaos kill leader", "kill -9: the next master leads within seconds, the clock ticks on"),
    ("merismos chaos kill agent", "kill -9: the agent comes back, and its tasks never stopped"),
    ("merismos ps", "asks whoever leads"),
)


def say(text: str) -> None:
    """Write a line for the person, not for a program."""
    sys.stderr.write(f"merismos up: {text}\n")
    sys.stderr.flush()


def welcome(
    masters: Mapping[str, str], leader: str, agents: int, resources: str, work_dir: str, zk: str, *, detached: bool
) -> str:
    """Return what to say once everything is ready.

    Shapes: `masters` has HOST:PORT by name; `zk` is empty where there is no ZooKeeper.
    """
    many = "1 agent" if agents == 1 else f"{agents} agents"
    ruling = "a master" if len(masters) == 1 else f"{len(masters)} masters"
    what = f"ZooKeeper, {ruling} and {many}" if zk else f"{ruling} and {many}"
    end = "`merismos down` ends it" if detached else "Ctrl-C ends it"
    where = ("" if detached else ", in another terminal") + _activation()
    lines = [
        f"Merismos {merismos.__version__} is up: {what} on this machine, each with {readable(resources)}.",
        "",
        *(_who_leads(masters, leader, zk) if zk else [f"  http://{masters[leader]}"]),
        "",
        f"Try next{where}:",
        *(f"  {command:<49}{purpose}" for command, purpose in (TRY_WITH_ZOOKEEPER if zk else TRY)),
        "",
        f"Logs are in {work_dir}/logs. {end}, and leaves nothing behind.",
    ]
    return "\n".join(lines)


def _who_leads(masters: Mapping[str, str], leader: str, zk: str) -> list[str]:
    rows = [(f"http://{masters[leader]}", f"{leader} leads")]
    rows += [
        (f"http://{masters[name]}", f"{name} stands by, and sends you there") for name in masters if name != leader
    ]
    rows.append((zk, "where frameworks find the leader, whoever it is"))
    return [f"  {place:<34}{what}" for place, what in rows]


def said_end(code: int) -> str:
    """Return how a process ended.

    Shapes: a negative code is a signal.
    """
    return f"was ended by {signal.Signals(-code).name}" if code < 0 else f"ended with code {code}"


def _activation() -> str:
    """Return what has to come first for a shell to find the commands: the environment that this one runs in."""
    activate = Path(sys.executable).with_name("activate")
    return f" (first `. {activate}`)" if shutil.which("merismos") is None and activate.exists() else ""


def readable(resources: str) -> str:
    """Return resources in the notation of --resources as a person would say them."""
    said = []
    for part in resources.split(";"):
        name, _, amount = part.strip().partition(":")
        if name == "cpus":
            said.append(f"{amount} cpus")
        elif name in {"mem", "disk"} and amount.isdigit():
            number = int(amount)
            size = f"{number / _MB_OF_A_GB:.1f} GB" if number >= _MB_OF_A_GB else f"{number} MB"
            said.append(f"{size} of {'memory' if name == 'mem' else 'disk'}")
        elif name and name != "ports":
            said.append(part.strip())
    return ", ".join(said) or "what was detected"
