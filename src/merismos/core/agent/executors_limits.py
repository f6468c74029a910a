"""The limits of a custom executor's container: they follow its tasks as these come and go.

Rules: an executor that took more than it and its tasks may have is killed, and its tasks fail for that. What is not started yet, or
has ended, has no limits to change. The tasks of a default executor count for a cgroup of the executor's, and end together when it is full; those that
don't share it have a cgroup each.
Source: Mesos, docs/isolators/cgroups-mem.md.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from merismos.core.agent.effects import CreateCgroup, Log, SignalContainer, UpdateContainer
from merismos.core.agent.executors_state import Executor, ExecutorPhase
from merismos.core.containers.cgroup_plan import plan_update
from merismos.core.containers.device_plan import entries_of
from merismos.core.containers.executor_plan import demand_of_executor, plan_cgroup_of_executor
from merismos.core.containers.gpu_plan import devices_of, every_entry

if TYPE_CHECKING:
    from merismos.core.agent import events
    from merismos.core.agent.state import Agent

_SIGKILL = 9
_LIMITED = frozenset({ExecutorPhase.REGISTERING, ExecutorPhase.RUNNING})


def update_limits(agent: Agent, executor: Executor) -> None:
    """Give an executor's container what the executor and its tasks need together now."""
    settings = agent.settings.cgroups
    has_one = executor.shares_cgroup() or not executor.is_builtin
    if settings is not None and has_one and executor.phase in _LIMITED:
        devices = entries_of(devices_of(agent.settings.gpus, executor.every_gpu()))
        writes = plan_update(settings, demand_of_executor(executor), devices, every_entry(agent.settings.gpus))
        agent.effects.append(UpdateContainer(executor.container_id, writes))


def have_cgroup(agent: Agent, executor: Executor) -> None:
    """Have the cgroup there that tasks of a default executor share, with room for all of them."""
    plan = plan_cgroup_of_executor(agent.settings, executor)
    if plan is not None and executor.shares_cgroup():
        agent.effects.append(CreateCgroup(plan))
        update_limits(agent, executor)


def on_container_limited(agent: Agent, event: events.ContainerLimited, now: float) -> None:
    """End an executor whose container took more than it may."""
    executor = agent.executors[event.container_id]
    if executor.limitation is None:
        executor.limit(event.limitation)
        text = f"executor '{executor.executor_id}' of framework {executor.framework_id} is ended"
        agent.effects.append(Log("notice", f"{text}: {event.limitation.message.splitlines()[0]}"))
        for task in executor.live_tasks() if executor.is_builtin else ():
            task.limitation = task.limitation or event.limitation
            agent.effects.append(SignalContainer(task.container_id, _SIGKILL))
        if not executor.is_builtin:
            agent.effects.append(SignalContainer(executor.container_id, _SIGKILL))
    del now
