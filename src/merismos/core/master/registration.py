"""How agents are admitted, come back, and are turned away.

Rules:
- An id is given, and an agent taken from the unreachable ones, only after the registry has it. Who was admitted before needs no
  write to come back.
- A second agent with the id of one that is connected is turned away; the same agent over a new link replaces its old link.
- An agent that comes back brings its tasks, executors and frameworks. Where the master's record and the agent's differ the agent
  is right about what runs, the master about what shall no longer run.
- An id that no registry entry knows is admitted, not killed: an empty store never ends work.
"""

from __future__ import annotations

import functools
from typing import TYPE_CHECKING

import msgspec

from merismos.core.master import (
    agents,
    counters,
    drain,
    executors,
    frameworks,
    machines,
    maintenance,
    messages,
    publish,
    quota,
    registrar,
    removals,
    strays,
    tasks,
)
from merismos.core.master.effects import CloseLink, SendToAgent, SendUpdate
from merismos.core.master.state import Agent, Executor, Framework, Task
from merismos.core.master.statuses import STATES, keep_status, latest_status, state_for, status_of
from merismos.core.master.validate.task import demand_of
from merismos.model.ids import validate_id
from merismos.model.rejection import Rejection
from merismos.model.resource_protocol import from_protocol
from merismos.model.resources import EMPTY, Resources, sum_of
from merismos.model.task_states import TERMINAL
from merismos.protocol import json, link, thin
from merismos.protocol.errors import DecodeError
from merismos.protocol.v1 import mesos

if TYPE_CHECKING:
    from merismos.core.master.state import Master

_RETURNED = "Unreachable agent re-reregistered"
_UNKNOWN_TO_AGENT = "Reconciliation: Task is unknown to the agent"


class Arrival(msgspec.Struct, gc=False):
    """What an agent said about itself, checked."""

    info: mesos.AgentInfo
    total: Resources
    message: link.RegisterAgent | link.ReregisterAgent


def on_register_agent(master: Master, link_id: int, message: link.RegisterAgent, now: float) -> None:
    """A new agent asks for an id."""
    counters.count(master, "master/messages_register_slave")
    if link_id in master.admitting.values():
        return
    arrival = _read(message)
    if isinstance(arrival, Rejection):
        _turn_away(master, link_id, arrival.message, shutdown=True)
        return
    if machines.is_down(master, arrival.info.hostname, _address_of(message.pid)[0]):
        _turn_away(
            master, link_id, "the machine is down for maintenance; bring it up by STOP_MAINTENANCE", shutdown=False
        )
        return
    before = master.addresses.get(message.pid)
    if before is not None and before.link is None:
        agents.leave(master, before, now, agents.REPLACED, "registered")
    agent_id = f"{master.id}-S{master.next_agent}"
    master.next_agent += 1
    arrival.info.id = mesos.AgentID(value=agent_id)
    master.admitting[agent_id] = link_id
    changes = [("agents", agent_id, json.encode(arrival.info))]
    registrar.store(master, changes, functools.partial(_on_admitted, agent_id, arrival))


def _read(message: link.RegisterAgent | link.ReregisterAgent) -> Arrival | Rejection:
    try:
        info = json.decode(mesos.AgentInfo, message.info)
    except DecodeError as error:
        return Rejection(
            "agent_invalid", f"the AgentInfo does not decode ({error}); install the master's version on the agent"
        )
    if not info.hostname:
        return Rejection("agent_invalid", "the AgentInfo has no hostname; start the agent with --hostname")
    total = from_protocol(info.resources)
    if isinstance(total, Rejection):
        return Rejection("agent_invalid", f"{total.message}; correct the agent's --resources")
    return Arrival(info, total, message)


def _turn_away(master: Master, link_id: int, reason: str, *, shutdown: bool) -> None:
    master.effects.append(SendToAgent(link_id, link.RefuseAgent(reason, shutdown)))
    master.effects.append(CloseLink(link_id))


def _end(master: Master, link_id: int) -> None:
    """Tell an agent that was marked gone that this was meant."""
    if link_id in master.links:
        master.effects.append(SendToAgent(link_id, link.ShutdownAgent("Agent has been marked gone")))
        master.effects.append(CloseLink(link_id))


def _on_admitted(agent_id: str, arrival: Arrival, master: Master, now: float) -> None:
    link_id = master.admitting.pop(agent_id)
    if link_id not in master.links:
        # The agent left before it heard of its id: nobody will ever come back under it.
        registrar.store(master, [("agents", agent_id, b"")])
        return
    counters.count(master, "master/slave_registrations")
    agent = _make(master, agent_id, arrival, now)
    _add(master, agent, [])
    _connect(master, agent, link_id, now)
    publish.agent_added(master, agent)
    _settle(master, agent, now)


def _make(master: Master, agent_id: str, arrival: Arrival, now: float) -> Agent:
    info = arrival.info
    info.id = mesos.AgentID(value=agent_id)
    agent = Agent(agent_id, info, json.encode(info), arrival.total, now)
    _describe(master, agent, arrival.message)
    master.agents[agent_id] = agent
    master.unreachable_agents.pop(agent_id, None)
    master.recovered_agents.pop(agent_id, None)
    quota.resume_if_known(master)
    return agent


def _describe(master: Master, agent: Agent, message: link.RegisterAgent | link.ReregisterAgent) -> None:
    agents.forget_address(master, agent)
    agent.pid = message.pid
    master.addresses[agent.pid] = agent
    agent.ip, port = _address_of(message.pid)
    agent.port = int(port) if port.isdecimal() else agent.info.port
    agent.version = message.version
    agent.capabilities = list(message.capabilities)


def _settle(master: Master, agent: Agent, now: float) -> None:
    """Treat an agent that is there as operators want it."""
    maintenance.settle(master, agent, now)
    drain.settle(master, agent, now)


def _address_of(pid: str) -> tuple[str, str]:
    """Return the IP address and the port in `slave(1)@ip:port`."""
    ip, _, port = pid.rpartition("@")[2].rpartition(":")
    return ip, port


def _add(master: Master, agent: Agent, used: list[tuple[str, str, Resources]]) -> None:
    domain = None if agent.info.domain is None else agent.info.domain.fault_domain
    master.allocator.add_agent(
        agent.id,
        agent.total,
        agent.info.attributes,
        hostname=agent.hostname,
        region=None if domain is None else domain.region.name,
        zone=None if domain is None else domain.zone.name,
        active=True,
        used=used,
    )


def _connect(master: Master, agent: Agent, link_id: int, now: float) -> None:
    """Let an agent own a link, and tell it so."""
    agent.link = link_id
    agent.active = not agent.deactivated
    agent.pings_missed = 0
    master.links[link_id] = agent
    master.deadlines.cancel(("agent", agent.id))
    removals.cancel(master, agent.id)
    master.pings.put(agent.id, now)
    config = master.config
    answer = link.AgentRegistered(agent.id, config.agent_ping_timeout_s, config.pings_missed_max)
    master.effects.append(SendToAgent(link_id, answer))


def on_reregister_agent(master: Master, link_id: int, message: link.ReregisterAgent, now: float) -> None:
    """An agent that has an id is back."""
    counters.count(master, "master/messages_reregister_slave")
    agent_id = message.agent_id
    if agent_id in master.gone_agents:
        _end(master, link_id)
        return
    fault = validate_id(agent_id)
    if fault is not None:
        _turn_away(master, link_id, fault, shutdown=True)
        return
    if agent_id in master.admitting or agent_id in master.leaving:
        _turn_away(master, link_id, "another registration under this id is being written; try again", shutdown=False)
        return
    arrival = _read(message)
    if isinstance(arrival, Rejection):
        _turn_away(master, link_id, arrival.message, shutdown=True)
        return
    agent = master.agents.get(agent_id)
    if agent is not None:
        _reconnect(master, agent, link_id, arrival, now)
    elif agent_id in master.recovered_agents:
        _return(master, agent_id, link_id, arrival, now)
    else:
        _readmit(master, agent_id, link_id, arrival)


def _reconnect(master: Master, agent: Agent, link_id: int, arrival: Arrival, now: float) -> None:
    message = arrival.message
    if agent.link is not None:
        if agent.pid != message.pid:
            reason = f"agent {agent.id} is already connected from {agent.pid}; stop one of the two"
            _turn_away(master, link_id, reason, shutdown=False)
            return
        if link_id < agent.link:
            # Said before the agent gave that link up and came over a later one: it is out of date.
            master.links[link_id] = None
            master.effects.append(CloseLink(link_id))
            return
        # The agent noticed first that the old link is dead.
        old = agent.link
        agents.disconnect(master, agent, now)
        master.links[old] = None
        master.effects.append(CloseLink(old))
    counters.count(master, "master/slave_reregistrations")
    if arrival.total != agent.total:
        agent.total = arrival.total
        master.allocator.update_agent(agent.id, arrival.total, arrival.info.attributes)
    arrival.info.id = mesos.AgentID(value=agent.id)
    agent.info = arrival.info
    agent.info_json = json.encode(arrival.info)
    agent.hostname = arrival.info.hostname
    _describe(master, agent, message)
    agent.reregistered_at = now
    _connect(master, agent, link_id, now)
    assert isinstance(message, link.ReregisterAgent)
    _agree(master, agent, message, now)
    master.allocator.activate_agent(agent.id)
    messages.send_kept_kills(master, agent)
    _settle(master, agent, now)


def _agree(master: Master, agent: Agent, message: link.ReregisterAgent, now: float) -> None:
    """Bring the record of a registered agent in line with what the agent says that it runs."""
    _learn_frameworks(master, message, now)
    _shut_down_completed(master, agent, message)
    seen: dict[tuple[str, str], None] = {}
    for record in message.tasks:
        task_id = _task_id_of(record)
        if task_id is None:
            continue
        seen[record.framework_id, task_id] = None
        framework = master.frameworks.get(record.framework_id)
        if framework is None:
            continue
        _agree_on_task(master, framework, agent, task_id, record, now)
    strays.drop_all_but(master, agent, seen, now)
    strays.kill(master, agent)
    for task in list(agent.tasks):
        if (task.framework.id, task.id) in seen:
            continue
        if task.state not in TERMINAL:
            state = state_for(task.framework, "TASK_DROPPED")
            tasks.end(master, task, now, state, "REASON_RECONCILIATION", _UNKNOWN_TO_AGENT)
        tasks.remove(master, task)
    _lose_unreported(master, agent, now)
    _forget_executors(master, agent, message, now)
    for executor in _learn_executors(master, agent, message):
        master.allocator.allocate_used(executor.framework_id, executor.role, agent.id, executor.resources)


def _agree_on_task(
    master: Master, framework: Framework, agent: Agent, task_id: str, record: link.TaskRecord, now: float
) -> None:
    """Bring the record of one task in line with what its agent says, or make one."""
    task = framework.tasks.get(task_id)
    if task is not None and task.agent is agent:
        tasks.follow(master, task, record.state, now)
        return
    stray = agent.strays.get((framework.id, task_id))
    if stray is not None:
        strays.follow(master, stray, record.state, now)
        return
    made = _make_task(framework, agent, record)
    if made is None:
        return
    if made.state not in TERMINAL:
        master.allocator.allocate_used(framework.id, made.role, agent.id, made.resources)
    if (framework.id, task_id) not in agent.strays:
        _announce_return(master, made, now)


def _return(master: Master, agent_id: str, link_id: int, arrival: Arrival, now: float) -> None:
    """An agent that this leader waited for is back; it was admitted before, so nothing is written."""
    counters.count(master, "master/slave_reregistrations")
    agent = _make(master, agent_id, arrival, now)
    agent.reregistered_at = now
    _rebuild(master, agent, link_id, arrival, now)


def _readmit(master: Master, agent_id: str, link_id: int, arrival: Arrival) -> None:
    arrival.info.id = mesos.AgentID(value=agent_id)
    master.admitting[agent_id] = link_id
    changes = [("unreachable", agent_id, b""), ("agents", agent_id, json.encode(arrival.info))]
    registrar.store(master, changes, functools.partial(_on_readmitted, agent_id, arrival))


def _on_readmitted(agent_id: str, arrival: Arrival, master: Master, now: float) -> None:
    link_id = master.admitting.pop(agent_id)
    if agent_id in master.gone_agents:
        registrar.store(master, [("agents", agent_id, b"")])
        _end(master, link_id)
        return
    if link_id not in master.links:
        # It is admitted, and may come back at any time: wait for it as after a failover.
        master.unreachable_agents.pop(agent_id, None)
        master.recovered_agents[agent_id] = arrival.info
        master.deadlines.set(("agent", agent_id), now + master.config.agent_reregister_timeout_s)
        return
    counters.count(master, "master/slave_reregistrations")
    agent = _make(master, agent_id, arrival, now)
    agent.reregistered_at = now
    _rebuild(master, agent, link_id, arrival, now)


def _rebuild(master: Master, agent: Agent, link_id: int, arrival: Arrival, now: float) -> None:
    """Make the records of what an agent brings."""
    message = arrival.message
    assert isinstance(message, link.ReregisterAgent)
    _learn_frameworks(master, message, now)
    used: dict[tuple[str, str], list[Resources]] = {}
    returned: list[Task] = []
    for record in message.tasks:
        framework = master.frameworks.get(record.framework_id)
        if framework is None:
            continue
        task = _make_task(framework, agent, record)
        if task is None:
            continue
        if task.state not in TERMINAL:
            used.setdefault((framework.id, task.role), []).append(task.resources)
        if (framework.id, task.id) not in agent.strays:
            returned.append(task)
    learned = _learn_executors(master, agent, message)
    for executor in learned:
        used.setdefault((executor.framework_id, executor.role), []).append(executor.resources)
    _add(master, agent, [(*holder, sum_of(parts)) for holder, parts in used.items()])
    _connect(master, agent, link_id, now)
    _shut_down_completed(master, agent, message)
    strays.kill(master, agent)
    for task in returned:
        _announce_return(master, task, now)
    _lose_unreported(master, agent, now)
    publish.agent_added(master, agent)
    _settle(master, agent, now)


def _announce_return(master: Master, task: Task, now: float) -> None:
    """Tell a scheduler that a task which it believes unreachable runs."""
    framework = task.framework
    publish.task_added(master, task)
    if framework.unreachable_tasks.pop(task.id, None) is None or task.state in TERMINAL or framework.stream is None:
        return
    status = status_of(
        master,
        now,
        task.id,
        task.state,
        "REASON_AGENT_REREGISTERED",
        _RETURNED,
        agent_id=task.agent.id,
        latest=latest_status(task),
    )
    counters.count_event(framework, "UPDATE")
    master.effects.append(SendUpdate(framework.stream, status))


def _lose_unreported(master: Master, agent: Agent, now: float) -> None:
    """Give up tasks that were unreachable and that their agent, now that it is back, doesn't know."""
    if agent.id not in master.agents_with_unreachable_tasks:
        return
    del master.agents_with_unreachable_tasks[agent.id]
    for framework in master.frameworks.values():
        for task in [task for task in framework.unreachable_tasks.values() if task.agent.id == agent.id]:
            del framework.unreachable_tasks[task.id]
            task.state = STATES[state_for(framework, "TASK_GONE")]
            status = status_of(
                master, now, task.id, task.state, "REASON_RECONCILIATION", _UNKNOWN_TO_AGENT, agent_id=agent.id
            )
            keep_status(task, task.state, status)
            tasks.complete(master, framework, task)
            publish.task_updated(master, task, status)
            if framework.stream is not None:
                counters.count_event(framework, "UPDATE")
                master.effects.append(SendUpdate(framework.stream, status))


def _learn_frameworks(master: Master, message: link.ReregisterAgent, now: float) -> None:
    """Make records of frameworks that a new leader hears of from their agents first."""
    for raw in message.frameworks:
        try:
            info = json.decode(mesos.FrameworkInfo, raw)
        except DecodeError:
            counters.count(master, "master/dropped_messages")
            continue
        if info.id is None or not info.id.value:
            continue
        if info.id.value not in master.frameworks and info.id.value not in master.removed_frameworks:
            frameworks.recover(master, info, now)


def _shut_down_completed(master: Master, agent: Agent, message: link.ReregisterAgent) -> None:
    """Stop what an agent still runs of frameworks that are over; of those nothing is known of, nothing is ended."""
    assert agent.link is not None
    used = [record.framework_id for record in message.tasks] + [record.framework_id for record in message.executors]
    for framework_id in dict.fromkeys(used):
        if framework_id in master.removed_frameworks:
            master.effects.append(SendToAgent(agent.link, link.ShutdownFramework(framework_id)))


def _task_id_of(record: link.TaskRecord) -> str | None:
    try:
        return thin.decode_task(record.task).task_id.value
    except DecodeError:
        return None


def _make_task(framework: Framework, agent: Agent, record: link.TaskRecord) -> Task | None:
    try:
        view = thin.decode_task(record.task)
    except DecodeError:
        return None
    task_id = view.task_id.value
    known = framework.tasks.get(task_id)
    if known is not None and known.agent is agent:
        return None
    resources = demand_of(bytes(view.resources)).resources
    executor_id = "" if view.executor is None else view.executor.executor_id.value
    task = Task(task_id, framework, agent, record.role, resources, record.task, executor_id)
    task.state = STATES.get(record.state, "TASK_STAGING")
    if known is not None:
        agent.strays[framework.id, task_id] = task
        return task
    before = framework.unreachable_tasks.get(task_id)
    if before is not None and len(before.statuses) > 1:
        # The last one says that it was unreachable, the one before what the agent said last.
        task.statuses = before.statuses[:-1]
        task.update_state = task.state
    if record.status:
        keep_status(task, task.state, record.status)
    tasks.add(task)
    return task


def _forget_executors(master: Master, agent: Agent, message: link.ReregisterAgent, now: float) -> None:
    """Free what is held for executors that ended, or were never started, while the link was down."""
    brought: dict[tuple[str, str], None] = {}
    for record in message.executors:
        executor_id = _executor_id_of(record)
        if executor_id is not None:
            brought[record.framework_id, executor_id] = None
    for key, executor in list(agent.executors.items()):
        if key not in brought:
            tasks.remove_executor(master, agent, master.frameworks[key[0]], executor, now)


def _executor_id_of(record: link.ExecutorRecord) -> str | None:
    try:
        return thin.decode_executor(record.executor).executor_id.value
    except DecodeError:
        return None


def _learn_executors(master: Master, agent: Agent, message: link.ReregisterAgent) -> list[Executor]:
    """Record the executors that an agent brings and the master doesn't know; return them."""
    learned: list[Executor] = []
    for record in message.executors:
        framework = master.frameworks.get(record.framework_id)
        if framework is None:
            continue
        try:
            view = thin.decode_executor(record.executor)
        except DecodeError:
            continue
        executor_id = view.executor_id.value
        if (framework.id, executor_id) in agent.executors:
            continue
        resources = demand_of(bytes(view.resources)).resources
        role = _role_of(framework, agent, executor_id)
        executor = Executor(framework.id, executor_id, record.executor, resources or EMPTY, role)
        executors.record(framework, agent, executor)
        learned.append(executor)
    return learned


def _role_of(framework: Framework, agent: Agent, executor_id: str) -> str:
    for task in agent.tasks:
        if task.framework is framework and task.executor_id == executor_id:
            return task.role
    return framework.roles[0] if framework.roles else "*"
