"""What a local cluster says to the person who started it."""

from __future__ import annotations

import sys

import merismos

_MB_OF_A_GB = 1024


def say(text: str) -> None:
    """Write a line for the person, not for a program."""
    sys.stderr.write(f"merismos up: {text}\n")
    sys.stderr.flush()


def welcome(master: str, agents: int, resources: str, work_dir: str, *, detached: bool) -> str:
    """Return what to say once everything is ready."""
    many = "1 agent" if agents == 1 else f"{agents} agents"
    end = "`merismos down` ends it" if detached else "Ctrl-C ends it"
    where = "" if detached else ", in another terminal"
    lines = [
        f"Merismos {merismos.__version__} is up: a master and {many} on this machine, each with {readable(resources)}.",
        "",
        f"  http://{master}",
        "",
        f"Try next{where}:",
        "  merismos run -- sh -c 'echo hello; exit 3'     runs it on the cluster, shows its output, exits with 3",
        "  merismos agents                                what there is, and how much of it is in use",
        "  merismos run --cpus 999 -- true                says why it waits",
        "",
        f"Logs are in {work_dir}/logs. {end}, and leaves nothing behind.",
    ]
    return "\n".join(lines)


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
