"""Custom executors: charged to the offer that first launches one on an agent, shared by the tasks that name it afterwards."""

from __future__ import annotations

from typing import TYPE_CHECKING

import msgspec

from merismos.core.master.state import Executor
from merismos.core.master.validate.task import NO_RESOURCES, Demand, demand_of, fault_of_size
from merismos.model.resources import EMPTY
from merismos.protocol import json
from merismos.protocol.errors import DecodeError
from merismos.protocol.v1 import mesos

if TYPE_CHECKING:
    from merismos.core.master.purse import Purse
    from merismos.core.master.state import Agent, Framework
    from merismos.protocol.thin import ThinTaskInfo


class _WithExecutor(msgspec.Struct, gc=False):
    executor: msgspec.Raw


_DECODER = msgspec.json.Decoder(_WithExecutor)


def launch(
    framework: Framework, agent: Agent, role: str, view: ThinTaskInfo, demand: Demand, purse: Purse, started: list[str]
) -> str | None:
    """Pay for a task, and for its executor if it isn't there yet; return what is wrong.

    Shapes: nothing is paid and nothing recorded when something is wrong; the id of an executor that is new is added to `started`.
    """
    assert view.executor is not None
    executor_id = view.executor.executor_id.value
    info = bytes(_DECODER.decode(view.json).executor)
    running = agent.executors.get((framework.id, executor_id))
    own = EMPTY
    total, named = demand.resources, demand.role
    if running is not None:
        if not is_same(running.info, info):
            return "ExecutorInfo is not compatible with existing ExecutorInfo with same ExecutorID"
    else:
        asked = demand_of(bytes(view.executor.resources))
        if asked.fault is not None and asked.fault != NO_RESOURCES:
            return f"Executor uses invalid resources: {asked.fault}"
        own = asked.resources
        total, named = total + own, named or asked.role
    if (named and named != role) or not purse.spend(total):
        return fault_of_size(total, named, purse.left(), role)
    if running is None:
        record(framework, agent, Executor(framework.id, executor_id, info, own, role))
        started.append(executor_id)
    return None


def record(framework: Framework, agent: Agent, executor: Executor) -> None:
    """Remember an executor with its framework and its agent."""
    framework.executors[agent.id, executor.id] = executor
    agent.executors[framework.id, executor.id] = executor


def is_same(known: bytes, given: bytes) -> bool:
    """Say whether two ExecutorInfos, as their clients wrote them, mean the same executor."""
    if known == given:
        return True
    try:
        before, after = json.decode(mesos.ExecutorInfo, known), json.decode(mesos.ExecutorInfo, given)
    except DecodeError:
        return False
    # The framework's id is filled in by whoever reads the message next.
    before.framework_id = after.framework_id = None
    return before == after
