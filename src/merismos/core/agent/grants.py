"""Which GPU is whose, and which class of network traffic: chosen when a task or an executor is taken, written down with it, free again when it is over.

Rules: whoever has some keeps them over a restart of the agent. What a custom executor's tasks have, their executor's container has for as long
as they live. A task that asks for more than is free is refused before anything of it is started.
Source: Mesos, docs/gpu-support.md, docs/isolators/cgroups-net-cls.md.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from merismos.core.agent.checkpoints import Granted, executor_key, task_key
from merismos.core.containers.gpu_plan import choose, gpus_milli
from merismos.core.containers.net_class_plan import choose_class
from merismos.model.scalars import MILLI
from merismos.protocol.v1 import mesos

if TYPE_CHECKING:
    from collections.abc import Sequence

    from merismos.core.agent.executors_state import Executor
    from merismos.core.agent.state import Agent, Framework, Task


def shortage(agent: Agent, framework: Framework, infos: Sequence[mesos.TaskInfo]) -> str | None:
    """Return why tasks can't have what they and their new executors need together of what others may hold, None where they can."""
    cgroups = agent.settings.cgroups
    if agent.settings.gpus is None and (cgroups is None or cgroups.net_classes is None):
        return None
    new: dict[str, mesos.ExecutorInfo] = {}
    own = 0
    for info in infos:
        executor = info.executor
        if executor is not None and executor.executor_id.value not in framework.executors:
            new[executor.executor_id.value] = executor
        own += executor is None or executor.type is mesos.ExecutorInfo_Type.DEFAULT
    containers = own + sum(executor.type is not mesos.ExecutorInfo_Type.DEFAULT for executor in new.values())
    resources = [one for info in infos for one in info.resources]
    resources += [one for executor in new.values() for one in executor.resources]
    return _shortage_of_gpus(agent, gpus_milli(resources) // MILLI) or _shortage_of_classes(agent, containers)


def _shortage_of_gpus(agent: Agent, wanted: int) -> str | None:
    settings = agent.settings.gpus
    if settings is None or not wanted:
        return None
    held = held_gpus(agent)
    if choose(settings, held, wanted) is not None:
        return None
    return f"Requested {wanted} GPUs but only {sum(gpu.index not in held for gpu in settings.gpus)} available"


def _shortage_of_classes(agent: Agent, wanted: int) -> str | None:
    cgroups = agent.settings.cgroups
    if cgroups is None or cgroups.net_classes is None:
        return None
    held = len(held_classes(agent))
    if held + wanted <= cgroups.net_classes.last - cgroups.net_classes.first + 1:
        return None
    return f"{held} classes of network traffic are taken, and {wanted} more are too many for --cgroups_net_cls_secondary_handles"


def grant_task(agent: Agent, task: Task) -> None:
    """Give a task that `shortage` has passed its GPUs."""
    task.gpus = _choose(agent, task.info.resources)
    if task.executor is not None and task.shares_cgroup():
        task.classid = _class_of_group(agent, task.executor)
    else:
        task.classid = 0 if task.is_custom() else _choose_class(agent)
    if task.gpus or task.classid:
        agent.checkpoints.keep(task_key(task.framework_id, task.task_id), Granted(task.gpus, task.classid))


def grant_executor(agent: Agent, executor: Executor) -> None:
    """Give an executor that `shortage` has passed the GPUs of its own."""
    executor.gpus = _choose(agent, executor.info.resources)
    executor.classid = 0 if executor.is_builtin else _choose_class(agent)
    if executor.gpus or executor.classid:
        key = executor_key(executor.framework_id, executor.executor_id)
        agent.checkpoints.keep(key, Granted(executor.gpus, executor.classid))


def _class_of_group(agent: Agent, executor: Executor) -> int:
    """Return the class of traffic of those that share an executor's cgroup."""
    if not executor.classid:
        executor.classid = _choose_class(agent)
        if executor.classid:
            key = executor_key(executor.framework_id, executor.executor_id)
            agent.checkpoints.keep(key, Granted(executor.gpus, executor.classid))
    return executor.classid


def held_gpus(agent: Agent) -> list[int]:
    """Return the numbers of all GPUs that somebody has."""
    held = [index for executor in agent.executors.values() for index in executor.gpus]
    for framework in agent.frameworks.values():
        held += [index for task in framework.tasks.values() if not task.is_over() for index in task.gpus]
    return held


def held_classes(agent: Agent) -> dict[int, None]:
    """Return the classes of network traffic that containers have."""
    found = dict.fromkeys(executor.classid for executor in agent.executors.values())
    found.update(dict.fromkeys(task.classid for task in agent.containers.values()))
    found.pop(0, None)
    return found


def _choose_class(agent: Agent) -> int:
    cgroups = agent.settings.cgroups
    if cgroups is None or cgroups.net_classes is None:
        return 0
    chosen = choose_class(cgroups.net_classes, held_classes(agent))
    assert chosen is not None, "a task that asks for too many is refused"
    return chosen


def _choose(agent: Agent, resources: list[mesos.Resource]) -> tuple[int, ...]:
    settings = agent.settings.gpus
    count = 0 if settings is None else gpus_milli(resources) // MILLI
    if settings is None or not count:
        return ()
    chosen = choose(settings, held_gpus(agent), count)
    assert chosen is not None, "a task that asks for too many is refused"
    return tuple(chosen)
