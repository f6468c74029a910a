"""The operations that a played framework puts into an ACCEPT: launches that fit, and such as Mesos refuses, by chance."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from merismos.simulation.network import Dice
    from merismos.simulation.scheduler import Scheduler
    from merismos.simulation.streams import OfferView

Json = dict[str, Any]
EXECUTORS = ("e0", "e1", "e2")


def value(text: str) -> Json:
    """Return an id as JSON."""
    return {"value": text}


def scalar(name: str, amount: float) -> Json:
    """Return a scalar resource as JSON."""
    return {"name": name, "type": "SCALAR", "scalar": {"value": amount}}


def launch_of(framework: Scheduler, offers: list[OfferView], dice: Dice) -> list[Json]:
    """Return the operations of one ACCEPT; what they launch is noted with the framework."""
    if dice.chance(5):
        return []
    left: dict[str, int] = {}
    for offer in offers:
        for name, amount in offer.left.items():
            left[name] = left.get(name, 0) + amount
    ports = [port for offer in offers for begin, end in offer.ports for port in range(begin, min(end, begin + 20) + 1)]
    tasks = [_task(framework, offers[0].agent_id, left, ports, dice) for _ in range(1 + dice.below(3))]
    operations: list[Json] = [{"type": "LAUNCH", "launch": {"task_infos": tasks[:2]}}]
    if tasks[2:]:
        operations.append({"type": "LAUNCH", "launch": {"task_infos": tasks[2:]}})
    if dice.chance(3):
        operations.append({"type": "RESERVE", "reserve": {"resources": [scalar("cpus", 1)]}})
    return operations


def _task(framework: Scheduler, agent_id: str, left: dict[str, int], ports: list[int], dice: Dice) -> Json:
    """Return one task that fits into what is left, or one of the kinds that don't."""
    task_id = _id_of(framework, agent_id, dice)
    cpus_milli = min(dice.pick((100, 500, 1000, 2500)), max(left.get("cpus", 0), 10))
    mem_mb = min(dice.pick((16, 32, 128)), max(left.get("mem", 0) // 1000, 1))
    resources = [scalar("cpus", cpus_milli / 1000), scalar("mem", mem_mb)]
    left["cpus"] = left.get("cpus", 0) - cpus_milli
    left["mem"] = left.get("mem", 0) - mem_mb * 1000
    if ports and dice.chance(40):
        port = ports.pop(dice.below(len(ports)))
        resources.append({"name": "ports", "type": "RANGES", "ranges": {"range": [{"begin": port, "end": port}]}})
    task: Json = {
        "name": task_id,
        "task_id": value(task_id),
        "agent_id": value(agent_id),
        "resources": resources,
        "command": {"shell": True, "value": "true"},
    }
    if dice.chance(15):
        task["command"]["uris"] = [{"value": "http://host/file"}]
    if dice.chance(10):
        task["max_completion_time"] = {"nanoseconds": dice.below(30_000_000_000)}
    if dice.chance(10):
        task["kill_policy"] = {"grace_period": {"nanoseconds": dice.below(10_000_000_000)}}
    if dice.chance(12):
        _give_to_executor(task, left, dice)
        framework.tasks[task_id].executor_id = task["executor"]["executor_id"]["value"]
    if dice.chance(10):
        _spoil(task, dice)
    return task


def _id_of(framework: Scheduler, agent_id: str, dice: Dice) -> str:
    from merismos.simulation.scheduler import TaskView  # noqa: PLC0415 - the two name each other

    # Of a task on an agent that isn't back yet a new leader knows nothing: it can't refuse the same id elsewhere.
    recent = list(framework.tasks.values())[-20:]
    unknown = [one for one in recent if one.may_be_unknown() and one.agent_id != agent_id and one.other is None]
    if unknown and dice.chance(10):
        first = dice.pick(unknown)
        again = framework.tasks[first.id] = TaskView(first.id, agent_id)
        again.other = first
        framework.world.checkers.reused[framework.id, first.id] = None
        return first.id
    if recent and dice.chance(2):
        used = dice.pick(recent[-10:])
        if used.state != "TASK_STAGING" and (used.agent_id == agent_id or not used.may_be_unknown()):
            return used.id  # the view of the first stays
    framework.launched += 1
    task_id = f"t{framework.launched}"
    framework.tasks[task_id] = TaskView(task_id, agent_id)
    return task_id


def _give_to_executor(task: Json, left: dict[str, int], dice: Dice) -> None:
    """Make a task one of a custom executor, which may be there already."""
    task.pop("command")
    for unfit in ("max_completion_time", "kill_policy"):
        task.pop(unfit, None)
    executor: Json = {"executor_id": value(dice.pick(EXECUTORS)), "command": {"value": "executor"}}
    executor["resources"] = [scalar("cpus", 0.1), scalar("mem", 8)]
    left["cpus"] = left.get("cpus", 0) - 100
    left["mem"] = left.get("mem", 0) - 8000
    if dice.chance(30):
        executor["shutdown_grace_period"] = {"nanoseconds": dice.below(2) * 1_000_000_000}
    if dice.chance(15):
        executor["command"]["uris"] = [{"value": "http://host/file"}]
    task["executor"] = executor


def _spoil(task: Json, dice: Dice) -> None:
    """Make a task one that can't be launched."""
    match dice.below(6):
        case 0:
            task["resources"] = [scalar("cpus", 1000)]
        case 1:
            task["agent_id"] = value("nowhere")
        case 2:
            task["resources"] = []
        case 3:
            task.pop("command", None)
            task.pop("executor", None)
        case 4:
            task["container"] = {"type": "DOCKER", "docker": {"image": "busybox"}}  # refused by the agent
        case _:
            task.pop("command", None)
            task["executor"] = {"executor_id": value("odd"), "resources": [scalar("cpus", 0.1)]}
