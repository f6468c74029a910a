"""Which GPU is whose: chosen when a task or an executor is taken, written down with it, free again when it is over.

Rules: whoever has some keeps them over a restart of the agent. What a custom executor's tasks have, their executor's container has for as long
as they live. A task that asks for more than is free is refused before anything of it is started.
Source: Mesos, docs/gpu-support.md.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from merismos.core.agent.checkpoints import Granted, executor_key, task_key
from merismos.core.containers.gpu_plan import choose, gpus_milli
from merismos.model.scalars import MILLI

if TYPE_CHECKING:
    from collections.abc import Iterable

    from merismos.core.agent.executors_state import Executor
    from merismos.core.agent.state import Agent, Framework, Task
    from merismos.protocol.v1 import mesos


def shortage(agent: Agent, framework: Framework, infos: Iterable[mesos.TaskInfo]) -> str | None:
    """Return why tasks can't have the GPUs that they and their new executors ask for together, None where they can."""
    settings = agent.settings.gpus
    if settings is None:
        return None
    wanted, new = 0, {}
    for info in infos:
        wanted += gpus_milli(info.resources)
        if info.executor is not None and info.executor.executor_id.value not in framework.executors:
            new[info.executor.executor_id.value] = info.executor
    wanted += sum(gpus_milli(executor.resources) for executor in new.values())
    if not wanted:
        return None
    held = held_gpus(agent)
    if choose(settings, held, wanted // MILLI) is not None:
        return None
    free = sum(gpu.index not in held for gpu in settings.gpus)
    return f"Requested {wanted // MILLI} GPUs but only {free} available"


def grant_task(agent: Agent, task: Task) -> None:
    """Give a task that `shortage` has passed its GPUs."""
    task.gpus = _choose(agent, task.info.resources)
    if task.gpus:
        agent.checkpoints.keep(task_key(task.framework_id, task.task_id), Granted(task.gpus))


def grant_executor(agent: Agent, executor: Executor) -> None:
    """Give an executor that `shortage` has passed the GPUs of its own."""
    executor.gpus = _choose(agent, executor.info.resources)
    if executor.gpus:
        agent.checkpoints.keep(executor_key(executor.framework_id, executor.executor_id), Granted(executor.gpus))


def held_gpus(agent: Agent) -> list[int]:
    """Return the numbers of all GPUs that somebody has."""
    held = [index for executor in agent.executors.values() for index in executor.gpus]
    for framework in agent.frameworks.values():
        held += [index for task in framework.tasks.values() if not task.is_over() for index in task.gpus]
    return held


def _choose(agent: Agent, resources: list[mesos.Resource]) -> tuple[int, ...]:
    settings = agent.settings.gpus
    count = 0 if settings is None else gpus_milli(resources) // MILLI
    if settings is None or not count:
        return ()
    chosen = choose(settings, held_gpus(agent), count)
    assert chosen is not None, "a task that asks for too many is refused"
    return tuple(chosen)
