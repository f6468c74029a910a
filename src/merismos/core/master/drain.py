"""DRAIN_AGENT, DEACTIVATE_AGENT and REACTIVATE_AGENT: what operators do to single agents, and how a drain proceeds.

Rules:
- Durable first, one change at a time. A deactivated agent is offered nothing of; what runs there goes on.
- A draining agent is deactivated, and every task that it has, now or when it comes back, is killed with REASON_AGENT_DRAINING, within
  the greatest grace allowed. Once the last terminal update is acknowledged the agent is DRAINED, or marked gone if that was asked.
- An agent with the capability AGENT_DRAINING is told, so that it can say so; others are drained all the same.
- Frameworks that know it hear TASK_GONE_BY_OPERATOR, instead of TASK_KILLED, of tasks on agents that will be marked gone.
"""

from __future__ import annotations

import functools
from typing import TYPE_CHECKING

from merismos.core.master import agents, drains, inverse_offers, machines, messages, offers, registrar
from merismos.core.master.drains import Drain
from merismos.core.master.effects import Respond, SendToAgent
from merismos.core.master.views.values import time_info
from merismos.model.task_states import TERMINAL
from merismos.protocol import json, link, thin
from merismos.protocol.v1 import mesos

if TYPE_CHECKING:
    from merismos.core.master.state import Agent, Master, Task
    from merismos.protocol.v1.master import Call, Call_DrainAgent

_UNKNOWN = "Unknown agent"
_REASON = "REASON_AGENT_DRAINING"
_CAPABILITY = "AGENT_DRAINING"
_NANOS = 1_000_000_000


def on_drain(master: Master, call: Call, request: int, now: float) -> None:
    """End what runs on an agent, and offer nothing more of it."""
    assert call.drain_agent is not None
    master.drain_turns.take(functools.partial(_drain, call.drain_agent, request), master, now)


def on_deactivate(master: Master, call: Call, request: int, now: float) -> None:
    """Offer nothing more of an agent."""
    assert call.deactivate_agent is not None
    agent_id = call.deactivate_agent.agent_id.value
    master.drain_turns.take(functools.partial(_deactivate, agent_id, request), master, now)


def on_reactivate(master: Master, call: Call, request: int, now: float) -> None:
    """Offer of an agent again."""
    assert call.reactivate_agent is not None
    agent_id = call.reactivate_agent.agent_id.value
    master.drain_turns.take(functools.partial(_reactivate, agent_id, request), master, now)


def _drain(asked: Call_DrainAgent, request: int, master: Master, now: float) -> None:
    agent_id = asked.agent_id.value
    if not _is_known(master, agent_id):
        master.effects.append(Respond(request, 400, _UNKNOWN))
        return
    agent = master.agents.get(agent_id)
    scheduled = [] if agent is None else machines.covering(master, agent.hostname, agent.ip)
    if scheduled:
        text = f"Agent {agent_id} is part of a maintenance schedule under Machine {_name_of(scheduled[0].id)}"
        master.effects.append(Respond(request, 400, text))
        return
    grace = None
    if asked.max_grace_period is not None:
        grace = mesos.DurationInfo(
            nanoseconds=max(0, asked.max_grace_period.seconds * _NANOS + asked.max_grace_period.nanos)
        )
    config = mesos.DrainConfig(max_grace_period=grace, mark_gone=asked.mark_gone)
    info = mesos.DrainInfo(state=mesos.DrainState.DRAINING, config=config)
    _store(master, agent_id, Drain(info, _started(master, now)), request)


def _name_of(machine: mesos.MachineID) -> str:
    if machine.hostname and machine.ip:
        return f"{machine.hostname} ({machine.ip})"
    return machine.hostname or machine.ip or ""


def _is_known(master: Master, agent_id: str) -> bool:
    return any(
        agent_id in place
        for place in (master.agents, master.recovered_agents, master.unreachable_agents, master.admitting)
    )


def _deactivate(agent_id: str, request: int, master: Master, now: float) -> None:  # noqa: ARG001 - a change's shape
    if not _is_known(master, agent_id):
        master.effects.append(Respond(request, 400, _UNKNOWN))
        return
    _store(master, agent_id, master.drains.get(agent_id, Drain()), request)


def _reactivate(agent_id: str, request: int, master: Master, now: float) -> None:  # noqa: ARG001 - a change's shape
    drain = master.drains.get(agent_id)
    if drain is None:
        master.effects.append(Respond(request, 400, "Agent is not deactivated"))
        return
    if drain.is_draining():
        master.effects.append(Respond(request, 400, "Agent is still in the DRAINING state"))
        return
    _store(master, agent_id, None, request)


def _store(master: Master, agent_id: str, drain: Drain | None, request: int | None) -> None:
    master.drain_turns.begin()
    then = functools.partial(_on_stored, agent_id, drain, request)
    registrar.store(master, [drains.writing(agent_id, drain)], then)


def _on_stored(agent_id: str, drain: Drain | None, request: int | None, master: Master, now: float) -> None:
    status, text = 200, ""
    agent = master.agents.get(agent_id)
    if drain is None:
        master.drains.pop(agent_id, None)
        if agent is None:
            status, text = 409, "Agent removed while processing the call"
        else:
            agent.deactivated = False
            agent.active = True
            if agent.link is not None:
                master.allocator.activate_agent(agent_id)
    elif _is_known(master, agent_id):
        master.drains[agent_id] = drain
        if agent is not None:
            settle(master, agent, now)
    else:
        # It left for good while this was being written.
        registrar.store(master, [drains.writing(agent_id, None)])
    if request is not None:
        master.effects.append(Respond(request, status, text))
    master.drain_turns.end(master, now)


def settle(master: Master, agent: Agent, now: float) -> None:
    """Treat an agent as operators want it: offer nothing of it, and end what it runs if it is to be drained."""
    drain = master.drains.get(agent.id)
    if drain is None:
        return
    agent.deactivated = True
    agent.active = False
    master.allocator.deactivate_agent(agent.id)
    offers.rescind_all_of(master, agent, now, "an operator deactivated the agent")
    inverse_offers.withdraw(master, list(agent.inverse_offers.values()), rescind=True)
    if drain.info is None:
        return
    _tell(master, agent, drain)
    for task in agent.tasks:
        if task.state not in TERMINAL:
            _end(master, task, drain.info.config)
    if not agent.tasks and not agent.strays:
        on_empty(master, agent.id, now)


def _tell(master: Master, agent: Agent, drain: Drain) -> None:
    assert drain.info is not None
    if agent.link is None or _CAPABILITY not in agent.capabilities:
        return
    told = link.DrainAgent()
    if drain.is_draining() and drain.started is not None:
        told = link.DrainAgent(json.encode(drain.info.config), drain.started.nanoseconds)
    master.effects.append(SendToAgent(agent.link, told))


def _started(master: Master, now: float) -> mesos.TimeInfo:
    """Return the time in whole seconds, as Mesos estimates it."""
    nanoseconds = time_info(master, now).nanoseconds
    return mesos.TimeInfo(nanoseconds=nanoseconds - nanoseconds % _NANOS)


def _end(master: Master, task: Task, config: mesos.DrainConfig) -> None:
    gone = config.mark_gone and task.framework.partition_aware
    messages.end_task(
        master, task, _grace_s(task, config), reason=_REASON, state="TASK_GONE_BY_OPERATOR" if gone else ""
    )


def _grace_s(task: Task, config: mesos.DrainConfig) -> float | None:
    """Return the grace to kill with: the greatest one allowed where the task has none of its own or a greater one."""
    if config.max_grace_period is None:
        return None
    greatest = config.max_grace_period.nanoseconds
    policy = thin.decode_task(task.info).kill_policy
    own = None if policy is None or policy.grace_period is None else policy.grace_period.nanoseconds
    return greatest / _NANOS if own is None or own > greatest else None


def on_empty(master: Master, agent_id: str, now: float) -> None:
    """A deactivated agent has no tasks any more: if it is being drained, that is done."""
    drain = master.drains.get(agent_id)
    if drain is not None and drain.is_draining():
        master.drain_turns.take(functools.partial(_finish, agent_id), master, now)


def _finish(agent_id: str, master: Master, now: float) -> None:
    drain, agent = master.drains.get(agent_id), master.agents.get(agent_id)
    if drain is None or not drain.is_draining() or agent is None or agent_id in master.leaving:
        return
    if agent.tasks or agent.strays:
        return
    assert drain.info is not None
    config = drain.info.config
    if config.mark_gone:
        master.drain_turns.begin()
        agents.store_gone(master, agent_id, now, functools.partial(_on_gone, agent_id))
        return
    drained = mesos.DrainInfo(state=mesos.DrainState.DRAINED, config=config)
    _store(master, agent_id, Drain(drained, drain.started), None)


def _on_gone(agent_id: str, wall_at: float, master: Master, now: float) -> None:
    agents.mark_gone(master, agent_id, wall_at, now)
    master.drain_turns.end(master, now)
