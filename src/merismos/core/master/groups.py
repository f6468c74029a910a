"""LAUNCH_GROUP: tasks that are launched together in one executor, all or none.

Rules: whatever is wrong with one of them is the whole group's fault, and nothing of it is paid for. The executor goes with each task,
so that what an agent brings back says whose it is. An executor that runs already is paid for; it is the same, or the group is refused.
Source: Mesos, docs/nested-container-and-task-group.md.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from merismos.core.master import executors, publish
from merismos.core.master.effects import SendToAgent
from merismos.core.master.state import Executor, Task
from merismos.core.master.validate.groups import fault_of_group
from merismos.core.master.validate.task import NO_RESOURCES, demand_of, fault_of_size, name_role
from merismos.model.resources import EMPTY
from merismos.protocol import link

if TYPE_CHECKING:
    from merismos.core.master.purse import Purse
    from merismos.core.master.state import Agent, Framework, Master
    from merismos.protocol.thin import ThinLaunchGroup


def launch(
    master: Master, framework: Framework, agent: Agent, role: str, group: ThinLaunchGroup, purse: Purse
) -> str | None:
    """Pay for a group and send it to its agent; return what is wrong, and then nothing has happened."""
    executor = group.executor_view
    assert executor is not None, "a decoded call has its views"
    views = group.task_group.views
    demands = [demand_of(bytes(view.resources)) for view in views]
    fault = fault_of_group(executor, views, demands, framework, agent)
    if fault is not None:
        return fault
    info = bytes(group.executor)
    executor_id = executor.executor_id.value
    running = agent.executors.get((framework.id, executor_id))
    total, named = EMPTY, ""
    for view, demand in zip(views, demands, strict=True):
        if demand.role and demand.role != role:
            return name_role(view, role, fault_of_size(demand.resources, demand.role, purse.left(), role))
        total, named = total + demand.resources, named or demand.role
    own = EMPTY
    if running is not None:
        if not executors.is_same(running.info, info):
            return "ExecutorInfo is not compatible with existing ExecutorInfo with same ExecutorID"
    else:
        asked = demand_of(bytes(executor.resources))
        if asked.fault is not None and asked.fault != NO_RESOURCES:
            return f"Executor uses invalid resources: {asked.fault}"
        own = asked.resources
        total, named = total + own, named or asked.role
    if not purse.spend(total):
        return fault_of_size(total, named, purse.left(), role)
    if running is None:
        executors.record(framework, agent, Executor(framework.id, executor_id, info, own, role))
    tasks: list[bytes] = []
    for view, demand in zip(views, demands, strict=True):
        raw = with_executor(view.json, info)
        task = Task(view.task_id.value, framework, agent, role, demand.resources, raw, executor_id)
        framework.tasks[task.id] = task
        agent.tasks[task] = None
        tasks.append(raw)
        if master.operator_streams:
            publish.task_added(master, task)
    assert agent.link is not None, "offers of an agent are withdrawn when its link goes down"
    message = link.RunTaskGroup(framework.id, framework.info_json, role, info, tasks, starts=running is None)
    master.effects.append(SendToAgent(agent.link, message))
    return None


def with_executor(task: bytes, executor: bytes) -> bytes:
    """Return the JSON of a TaskInfo without executor, with this one."""
    head = task.rstrip()
    assert head.endswith(b"}"), "a decoded TaskInfo is an object with members"
    return b'%b,"executor":%b}' % (head[:-1], executor)
