"""Agents after their admission: pings, lost links, unreachable, gone, removed.

Rules:
- A ping every 15 s over the link. An agent that misses five, or whose link stays down as long as that takes, is unreachable:
  durably first, then for its frameworks (TASK_UNREACHABLE, TASK_LOST for those that don't know the state).
- While the link is down nothing is offered from the agent; its tasks keep their states.
- An admitted agent is in exactly one of registered, recovered, unreachable, gone; every move is one registry write.
"""

from __future__ import annotations

import functools
from typing import TYPE_CHECKING, Final, NamedTuple

from merismos.core.master import (
    counters,
    drains,
    inverse_offers,
    messages,
    offers,
    publish,
    quota,
    registrar,
    removals,
    strays,
    tasks,
)
from merismos.core.master.effects import CloseLink, SendToAgent
from merismos.core.master.statuses import state_for
from merismos.model.task_states import TERMINAL
from merismos.protocol import link

if TYPE_CHECKING:
    from collections.abc import Callable

    from merismos.core.master.state import Agent, Master, Task

UNHEALTHY = "health check timed out"
REPLACED = "a new agent registered at the same address"


class Ending(NamedTuple):
    """How an agent ends that never comes back: what it is told, what its tasks become, why, and what their schedulers read."""

    told: str
    state: str
    reason: str
    message: str


MARKED_GONE: Final = Ending(
    "Agent has been marked gone",
    "TASK_GONE_BY_OPERATOR",
    "REASON_AGENT_REMOVED_BY_OPERATOR",
    "Agent has been marked gone",
)


def ping(master: Master, now: float) -> None:
    """Send the pings that are due, and give up agents that answered none for too long."""
    for agent_id in master.pings.pop_due(now):
        agent = master.agents.get(agent_id)
        if agent is None or agent.link is None:
            continue
        if agent.pings_missed >= master.config.pings_missed_max:
            give_up_in_turn(master, agent, now)
            continue
        agent.pings_missed += 1
        agent.ping_sequence += 1
        master.effects.append(SendToAgent(agent.link, link.Ping(agent.ping_sequence)))
        master.pings.put(agent_id, now)


def forget_address(master: Master, agent: Agent) -> None:
    """Let go of an agent's pid, unless a later agent has it."""
    if master.addresses.get(agent.pid) is agent:
        del master.addresses[agent.pid]


def on_pong(master: Master, agent: Agent, message: link.Pong, now: float) -> None:  # noqa: ARG001 - every handler takes it
    """The agent is there."""
    agent.pings_missed = 0


def disconnect(master: Master, agent: Agent, now: float) -> None:
    """An agent's link is down; offer nothing from it and wait for it as long as for missed pings."""
    agent.link = None
    master.pings.cancel(agent.id)
    master.allocator.deactivate_agent(agent.id)
    offers.rescind_all_of(master, agent, now, "the link to the agent is down")
    inverse_offers.withdraw(master, list(agent.inverse_offers.values()), rescind=True)
    if master.addresses.get(agent.pid) is not agent:
        leave(master, agent, now, REPLACED, "registered")
        return
    patience_s = master.config.agent_ping_timeout_s * master.config.pings_missed_max
    master.deadlines.set(("agent", agent.id), now + patience_s)


def on_patience_over(master: Master, agent_id: str, now: float) -> None:
    """An agent whose link went down, or that a failed-over master waited for, didn't come back in time."""
    agent = master.agents.get(agent_id)
    if agent is not None:
        if agent.link is None:
            give_up_in_turn(master, agent, now)
    elif agent_id in master.recovered_agents and removals.permit(master, agent_id, now):
        _give_up_recovered(master, agent_id, now)


def on_removal_permitted(master: Master, now: float) -> None:
    """The next agent that waited for it may be given up."""
    agent_id = removals.next_permitted(master, now)
    if agent_id is None:
        return
    agent = master.agents.get(agent_id)
    if agent is not None:
        give_up(master, agent, now)
    else:
        _give_up_recovered(master, agent_id, now)


def give_up_in_turn(master: Master, agent: Agent, now: float) -> None:
    """Make an agent unreachable as soon as the rate limit allows.

    The limit holds back what can't be undone, TASK_LOST; who knows TASK_UNREACHABLE hears it at once.
    """
    if agent.id in master.leaving:
        return
    counters.count(master, "master/slave_unreachable_scheduled")
    if removals.permit(master, agent.id, now):
        give_up(master, agent, now)
        return
    if agent.link is not None:
        # It has to introduce itself again, so that both sides agree on what runs.
        master.effects.append(CloseLink(agent.link))
        master.links[agent.link] = None
        disconnect(master, agent, now)
        master.deadlines.cancel(("agent", agent.id))
    wall_at = now + master.wall_offset_s
    for task in list(agent.tasks):
        if task.framework.partition_aware and task.state not in TERMINAL:
            _end_unreachable(master, task, wall_at, now)


def give_up(master: Master, agent: Agent, now: float) -> None:
    """Make an agent unreachable, once that is durable."""
    if agent.id in master.leaving:
        return
    wall_at = now + master.wall_offset_s
    changes = [("agents", agent.id, b""), ("unreachable", agent.id, registrar.number(wall_at))]
    master.leaving[agent.id] = None
    registrar.store(master, changes, functools.partial(_on_unreachable, agent.id, wall_at))


def _on_unreachable(agent_id: str, wall_at: float, master: Master, now: float) -> None:
    master.leaving.pop(agent_id, None)
    agent = master.agents.get(agent_id)
    if agent is None:
        return
    counters.count(master, "master/slave_unreachable_completed")
    counters.count(master, "master/slave_removals")
    counters.count(master, "master/slave_removals/reason_unhealthy")
    master.unreachable_agents[agent_id] = wall_at
    registrar.expect_garbage(master, now)
    for task in list(agent.tasks):
        if task.state in TERMINAL:
            tasks.remove(master, task)
        else:
            _end_unreachable(master, task, wall_at, now)
    _forget(master, agent, now)


def _end_unreachable(master: Master, task: Task, wall_at: float, now: float) -> None:
    framework = task.framework
    state = state_for(framework, "TASK_UNREACHABLE")
    tasks.end(master, task, now, state, "REASON_AGENT_REMOVED", UNHEALTHY, unreachable_at=wall_at)
    master.agents_with_unreachable_tasks[task.agent.id] = None
    del framework.tasks[task.id]
    del task.agent.tasks[task]
    kept = framework.unreachable_tasks
    kept[task.id] = task
    while len(kept) > master.config.max_unreachable_tasks_per_framework:
        del kept[next(iter(kept))]


def _give_up_recovered(master: Master, agent_id: str, now: float) -> None:
    if agent_id in master.leaving or agent_id not in master.recovered_agents:
        return
    wall_at = now + master.wall_offset_s
    changes = [("agents", agent_id, b""), ("unreachable", agent_id, registrar.number(wall_at))]
    master.leaving[agent_id] = None
    registrar.store(master, changes, functools.partial(_on_recovered_unreachable, agent_id, wall_at))


def _on_recovered_unreachable(agent_id: str, wall_at: float, master: Master, now: float) -> None:
    master.leaving.pop(agent_id, None)
    if master.recovered_agents.pop(agent_id, None) is None:
        return
    quota.resume_if_known(master)
    counters.count(master, "master/recovery_slave_removals")
    master.unreachable_agents[agent_id] = wall_at
    registrar.expect_garbage(master, now)
    for framework in master.frameworks.values():
        messages.send_failure(master, framework, agent_id)


def on_unregister_agent(master: Master, agent: Agent, message: link.UnregisterAgent, now: float) -> None:
    """An agent leaves in good order."""
    counters.count(master, "master/messages_unregister_slave")
    reason = message.reason or "agent unregistered"
    leave(master, agent, now, reason, "unregistered")


def leave(master: Master, agent: Agent, now: float, message: str, metric: str) -> None:  # noqa: ARG001 - as its siblings
    """Remove an agent for good, once that is durable; its tasks are gone."""
    if agent.id in master.leaving:
        return
    master.leaving[agent.id] = None
    then = functools.partial(_on_left, agent.id, message, metric)
    registrar.store(master, [("agents", agent.id, b""), *drains.forgetting(master, [agent.id])], then)


def _on_left(agent_id: str, message: str, metric: str, master: Master, now: float) -> None:
    master.leaving.pop(agent_id, None)
    agent = master.agents.get(agent_id)
    if agent is None:
        return
    counters.count(master, "master/slave_removals")
    counters.count(master, f"master/slave_removals/reason_{metric}")
    master.drains.pop(agent_id, None)
    _end_tasks(master, agent, now, "TASK_GONE", "REASON_AGENT_REMOVED", f"Agent {agent.hostname} removed: {message}")
    _forget(master, agent, now)
    publish.agent_removed(master, agent)


def store_gone(master: Master, agent_id: str, now: float, then: Callable[[float, Master, float], None]) -> None:
    """Write down that an agent never comes back; `then` is called with the wall time of that, and has to call `mark_gone`."""
    wall_at = now + master.wall_offset_s
    master.leaving[agent_id] = None
    changes = [
        ("agents", agent_id, b""),
        ("unreachable", agent_id, b""),
        ("gone", agent_id, registrar.number(wall_at)),
        *drains.forgetting(master, [agent_id]),
    ]
    registrar.store(master, changes, functools.partial(then, wall_at))


def mark_gone(master: Master, agent_id: str, wall_at: float, now: float, ending: Ending = MARKED_GONE) -> None:
    """An operator says that an agent never comes back, and it is written down: end what it had."""
    master.leaving.pop(agent_id, None)
    master.gone_agents[agent_id] = wall_at
    master.drains.pop(agent_id, None)
    master.agents_with_unreachable_tasks.pop(agent_id, None)
    registrar.expect_garbage(master, now)
    master.unreachable_agents.pop(agent_id, None)
    master.recovered_agents.pop(agent_id, None)
    quota.resume_if_known(master)
    master.deadlines.cancel(("agent", agent_id))
    removals.cancel(master, agent_id)
    agent = master.agents.get(agent_id)
    if agent is None:
        return
    if agent.link is not None:
        master.effects.append(SendToAgent(agent.link, link.ShutdownAgent(ending.told)))
    _end_tasks(master, agent, now, ending.state, ending.reason, ending.message)
    _forget(master, agent, now)


def _end_tasks(master: Master, agent: Agent, now: float, state: str, reason: str, message: str) -> None:
    for task in list(agent.tasks):
        if task.state not in TERMINAL:
            tasks.end(master, task, now, state_for(task.framework, state), reason, message)
        tasks.remove(master, task)


def _forget(master: Master, agent: Agent, now: float) -> None:
    """Take an agent that has no tasks any more out of every index, and tell its frameworks."""
    for framework_id, executor_id in list(agent.executors):
        framework = master.frameworks[framework_id]
        tasks.remove_executor(master, agent, framework, agent.executors[framework_id, executor_id], now)
    strays.drop_all(master, agent, None, now)
    offers.rescind_all_of(master, agent, now, "the agent left the cluster")
    inverse_offers.forget(master, agent)
    master.allocator.remove_agent(agent.id)
    master.deadlines.cancel(("agent", agent.id))
    removals.cancel(master, agent.id)
    master.pings.cancel(agent.id)
    if agent.link is not None:
        master.effects.append(CloseLink(agent.link))
        master.links[agent.link] = None
        agent.link = None
    del master.agents[agent.id]
    forget_address(master, agent)
    for framework in master.frameworks.values():
        messages.send_failure(master, framework, agent.id)
