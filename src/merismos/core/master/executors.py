"""Custom executors: charged to the offer that first launches one on an agent, shared by the tasks that name it afterwards."""

from __future__ import annotations

from typing import TYPE_CHECKING

import msgspec

from merismos.core.master.state import Executor
from merismos.core.master.validate.task import Demand, demand_of, fault_of_size
from merismos.model.resources import EMPTY
from merismos.protocol import json
from merismos.protocol.errors import DecodeError
from merismos.protocol.v1 import mesos

if TYPE_CHECKING:
    from merismos.core.master.state import Agent, Framework
    from merismos.model.resources import Resources
    from merismos.protocol.thin import ThinTaskInfo


class _WithExecutor(msgspec.Struct, gc=False):
    executor: msgspec.Raw


_DECODER = msgspec.json.Decoder(_WithExecutor)


def launch(
    framework: Framework, agent: Agent, role: str, view: ThinTaskInfo, demand: Demand, left: Resources
) -> tuple[Resources, str | None]:
    """Make sure that a task's executor is there or paid for; return what is left for the task itself, and what is wrong.

    Shapes: nothing is charged when something is wrong.
    """
    assert view.executor is not None
    executor_id = view.executor.executor_id.value
    info = bytes(_DECODER.decode(view.json).executor)
    running = agent.executors.get((framework.id, executor_id))
    if running is not None:
        if not _is_same(running.info, info):
            return left, "ExecutorInfo is not compatible with existing ExecutorInfo with same ExecutorID"
        return left, fault_of_size(demand.resources, demand.role, left, role)
    own = demand_of(bytes(view.executor.resources))
    resources = own.resources
    if own.fault is not None and own.fault != "Task uses no resources":
        return left, f"Executor uses invalid resources: {own.fault}"
    fault = fault_of_size(demand.resources + resources, demand.role or own.role, left, role)
    if fault is not None:
        return left, fault
    record(framework, agent, Executor(framework.id, executor_id, info, resources or EMPTY, role))
    return left - resources, None


def record(framework: Framework, agent: Agent, executor: Executor) -> None:
    """Remember an executor with its framework and its agent."""
    framework.executors[agent.id, executor.id] = executor
    agent.executors[framework.id, executor.id] = executor


def _is_same(known: bytes, given: bytes) -> bool:
    if known == given:
        return True
    try:
        before, after = json.decode(mesos.ExecutorInfo, known), json.decode(mesos.ExecutorInfo, given)
    except DecodeError:
        return False
    # The framework's id is filled in by whoever reads the message next.
    before.framework_id = after.framework_id = None
    return before == after
