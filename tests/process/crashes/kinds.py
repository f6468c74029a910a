"""Every kind of container that an agent runs, one entry each: how a test asks for one, and what is told of it.

Rules: each line of shell leaves a mark as it begins, so that one that ran twice shows. What belongs together is asked for at once.
"""

from __future__ import annotations

import base64
import json
import sys
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

from linux import image_agent, lxc_agent
from linux.docker_daemon import IMAGE
from merismos.protocol import link
from process.link_master import FRAMEWORK, task

if TYPE_CHECKING:
    from process.crashes.crashing import Crashing

EXECUTOR = Path(__file__).with_name("crash_executor.py")
SLEEPS = "exec sleep 600"
ENDS = {
    "true": "TASK_FINISHED",
    "sleep 0.1": "TASK_FINISHED",
    "exit 3": "TASK_FAILED",
    SLEEPS: "TASK_KILLED",
}
PAIRS = (("true", "sleep 0.1"), ("exit 3", SLEEPS), (SLEEPS, SLEEPS), ("sleep 0.1", "exit 3"))
TASKS_OF_AN_EXECUTOR = 10
NETWORK = "net"
GRACE = {"kill_policy": {"grace_period": {"nanoseconds": 100_000_000}}}
FRAMEWORK_BYTES = json.dumps({**FRAMEWORK, "checkpoint": True}).encode()
_ALL = ("TASK_STARTING", "TASK_RUNNING", "TASK_KILLING")


class Kind(NamedTuple):
    """One kind of container.

    Shapes: `ask` launches what is called so with a line of shell or with any; `story` is the order of what is told before the end; `may_miss` are reasons
    for which one that never ran may fail; `at_once` is how many may be asked for between two kills.
    """

    name: str
    ask: Callable[[Crashing, str], None]
    story: tuple[str, ...] = _ALL
    may_miss: tuple[str, ...] = ()
    at_once: int = 2


def command(crashing: Crashing, name: str) -> None:
    crashing.agent.master.run(task(name, crashing.expect(name), **GRACE))


def executor(crashing: Crashing, name: str) -> None:
    """One executor has several tasks, one after the other."""
    executor_id = f"e-{crashing.number // TASKS_OF_AN_EXECUTOR}"
    line = crashing.expect(name)
    one = {
        "type": "CUSTOM",
        "executor_id": {"value": executor_id},
        "framework_id": {"value": "F"},
        "command": {"value": f"exec {sys.executable} {EXECUTOR}"},
    }
    job = task(name, None, executor=one, data=base64.b64encode(line.encode()).decode())
    del job["command"]
    raw = [json.dumps(job).encode()]
    crashing.agent.master.send(link.RunTasks("F", FRAMEWORK_BYTES, "eng", raw, [name], [executor_id]))


def group(crashing: Crashing, name: str) -> None:
    pod = {"type": "DEFAULT", "executor_id": {"value": f"pod-{name}"}}
    lines = crashing.dice.choice(PAIRS)
    names = [f"{name}-{number}" for number in range(len(lines))]
    tasks = [
        task(one, crashing.expect(one, line), executor=pod, **GRACE) for one, line in zip(names, lines, strict=True)
    ]
    if "exit 3" in lines:  # one failure ends them all
        crashing.may_be_killed.update(dict.fromkeys(names))
    crashing.together.append(names)
    raw = [json.dumps(one).encode() for one in tasks]
    crashing.agent.master.send(link.RunTaskGroup("F", FRAMEWORK_BYTES, "eng", json.dumps(pod).encode(), raw))


def nested(crashing: Crashing, name: str) -> None:
    crashing.call("LAUNCH_NESTED_CONTAINER", name, {"value": name, "parent": {"value": crashing.parent}})


def standalone(crashing: Crashing, name: str) -> None:
    crashing.call("LAUNCH_CONTAINER", name, {"value": name})


def image(crashing: Crashing, name: str) -> None:
    mesos = {"image": image_agent.of_docker(image_agent.NAME)}
    crashing.agent.master.run(task(name, crashing.expect(name), **in_a_root("MESOS", crashing, mesos=mesos), **GRACE))


def docker(crashing: Crashing, name: str) -> None:
    own = {"image": IMAGE, "network": "NONE"}
    crashing.agent.master.run(task(name, crashing.expect(name), **in_a_root("DOCKER", crashing, docker=own), **GRACE))


def lxc(crashing: Crashing, name: str) -> None:
    mesos = {"image": {"type": "APPC", "appc": {"name": lxc_agent.NAME}}}
    crashing.agent.master.run(task(name, crashing.expect(name), **in_a_root("MESOS", crashing, mesos=mesos), **GRACE))


def network(crashing: Crashing, name: str) -> None:
    container = {"type": "MESOS", "network_infos": [{"name": NETWORK}]}
    crashing.agent.master.run(task(name, crashing.expect(name), container=container, **GRACE))


def in_a_root(kind: str, crashing: Crashing, **fields: object) -> dict[str, Any]:
    """Return the fields of a task that sees the marks though it has a root of its own."""
    place = str(crashing.marks)
    volumes = [{"host_path": place, "container_path": place, "mode": "RW"}]
    resources = [
        {"name": name, "type": "SCALAR", "scalar": {"value": value}} for name, value in (("cpus", 0.1), ("mem", 32))
    ]
    return {"container": {"type": kind, "volumes": volumes, **fields}, "resources": resources}


NEED_NOTHING = (
    Kind("command", command),
    Kind("executor", executor, ("TASK_RUNNING",), ("REASON_EXECUTOR_TERMINATED", "REASON_TASK_KILLED_DURING_LAUNCH")),
    Kind("group", group),
    Kind("nested", nested),
    Kind("standalone", standalone),
)
NEED_ROOT = (
    Kind("image", image, at_once=1),
    Kind("docker", docker, at_once=1),
    Kind("lxc", lxc, at_once=1),
    Kind("network", network, at_once=1),
)
