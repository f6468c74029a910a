"""How an agent becomes known to a master and stays so.

Rules: the first attempt goes out at once; after a lost link or a refusal the next waits a random part of a backoff that
doubles with each failure up to one minute, so that agents that lost their master together don't return together. With a new
leader an agent waits a random part of the time that its Hello names before it introduces itself. Tasks go on meanwhile. A master of a lower epoch than one that was seen is no leader any more: its link is closed, its messages dropped.
A master that sends no Ping for as long as it would itself wait for a silent agent is given up.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from merismos.core.agent.checkpoints import AGENT, AgentKnown
from merismos.core.agent.effects import CloseLink, Log, OpenCheckpoints, OpenLink, SendMessage
from merismos.core.agent.kill import stop
from merismos.core.agent.state import Agent, Link
from merismos.protocol import json, link

if TYPE_CHECKING:
    from merismos.core.agent import events

BACKOFF_S_MAX = 60.0
ANSWER_S_MAX = 30.0


def on_master_detected(agent: Agent, event: events.MasterDetected, now: float) -> None:
    """Go to the leading master; leave one that leads no more."""
    registration = agent.registration
    first = registration.address is None and registration.links == 0
    if event.address == registration.address:
        return
    registration.address = event.address
    registration.attempts = 0
    if registration.status is not Link.NONE:
        close(agent, "another master leads" if event.address else "no master leads")
    if event.address is None:
        agent.deadlines.cancel(("connect", ""))
    elif first:
        open_link(agent)
    else:
        retry(agent, now)


def on_link_opened(agent: Agent, event: events.LinkOpened, now: float) -> None:
    """Introduce the agent to the master at the other end."""
    registration = agent.registration
    if event.link != registration.link:
        return
    if event.epoch < registration.epoch:
        seen = f"epoch {registration.epoch} was seen"
        close(agent, f"master {event.master_id} leads epoch {event.epoch}, but {seen}: it leads no more")
        retry(agent, now)
        return
    follows = registration.agent_id and 0 < registration.epoch < event.epoch
    registration.epoch = event.epoch
    registration.master_id = event.master_id
    registration.status = Link.REGISTERING
    if follows and event.window_s > 0:
        agent.deadlines.set(("introduce", ""), now + agent.prng.uniform(0.0, event.window_s))
    else:
        on_introduction_due(agent, now)


def on_introduction_due(agent: Agent, now: float) -> None:
    """Say who we are, and wait for the answer."""
    agent.registration.exits_owed.clear()
    agent.deadlines.set(("answer", ""), now + ANSWER_S_MAX)
    agent.effects.append(SendMessage(agent.registration.link, introduce(agent)))


def on_link_closed(agent: Agent, event: events.LinkClosed, now: float) -> None:
    """Try again later."""
    if event.link != agent.registration.link:
        return
    if agent.exiting is None:
        agent.effects.append(Log("warning", f"no link to the master at {agent.registration.address}: {event.reason}"))
    down(agent)
    retry(agent, now)


def on_agent_registered(agent: Agent, message: link.AgentRegistered, now: float) -> None:
    """The master knows us: send what is owed."""
    registration = agent.registration
    if registration.agent_id != message.agent_id:
        registration.agent_id = message.agent_id
        agent.effects.append(OpenCheckpoints(message.agent_id))
        keep_agent(agent)
    registration.status = Link.REGISTERED
    registration.attempts = 0
    agent.drain = None
    registration.ping_limit_s = message.ping_timeout_s * max(message.pings_missed_max, 1)
    agent.deadlines.cancel(("answer", ""))
    agent.deadlines.set(("ping", ""), now + registration.ping_limit_s)
    agent.effects.append(Log("notice", f"registered with master {registration.master_id} as {message.agent_id}"))
    for exited in registration.exits_owed:
        agent.effects.append(SendMessage(registration.link, exited))
    registration.exits_owed.clear()
    for update in agent.updates.connect(now):
        agent.effects.append(SendMessage(registration.link, update))


def keep_agent(agent: Agent) -> None:
    """Write down who we are, and that it is this boot of the machine."""
    info = json.encode(agent.settings.info)
    agent.checkpoints.keep(AGENT, AgentKnown(agent.registration.agent_id, info, agent.boot_id), durable=True)


def on_refuse_agent(agent: Agent, message: link.RefuseAgent, now: float) -> None:
    """The master doesn't want us: for good, or for now."""
    if message.shutdown:
        agent.effects.append(Log("err", f"the master refused this agent: {message.reason}"))
        stop(agent, f"the master refused this agent: {message.reason}", now)
        return
    close(agent, f"refused by the master: {message.reason}")
    retry(agent, now)


def on_ping(agent: Agent, message: link.Ping, now: float) -> None:
    """Answer that we are there."""
    agent.deadlines.set(("ping", ""), now + agent.registration.ping_limit_s)
    agent.effects.append(SendMessage(agent.registration.link, link.Pong(message.sequence)))


def on_answer_overdue(agent: Agent, now: float) -> None:
    """The master didn't answer our introduction."""
    close(agent, f"the master did not answer the registration within {ANSWER_S_MAX:g} s")
    retry(agent, now)


def on_ping_overdue(agent: Agent, now: float) -> None:
    """The master has fallen silent."""
    close(agent, f"the master sent no ping for {agent.registration.ping_limit_s:g} s")
    retry(agent, now)


def open_link(agent: Agent) -> None:
    """Open a new link to the leading master."""
    registration = agent.registration
    if registration.address is None or registration.status is not Link.NONE or agent.exiting is not None:
        return
    registration.links += 1
    registration.link = registration.links
    registration.status = Link.OPENING
    agent.effects.append(OpenLink(registration.link, registration.address))


def retry(agent: Agent, now: float) -> None:
    """Open a link after a random part of the backoff."""
    registration = agent.registration
    if registration.address is None or agent.exiting is not None:
        return
    limit = min(agent.settings.registration_backoff_s * 2.0**registration.attempts, BACKOFF_S_MAX)
    registration.attempts = min(registration.attempts + 1, 16)
    agent.deadlines.set(("connect", ""), now + agent.prng.uniform(limit / 10, limit))


def close(agent: Agent, reason: str) -> None:
    """Close the link that there is."""
    agent.effects.append(Log("notice", f"closing the link to the master at {agent.registration.address}: {reason}"))
    agent.effects.append(CloseLink(agent.registration.link, reason))
    down(agent)


def down(agent: Agent) -> None:
    """Take the link as gone."""
    agent.registration.link = 0
    agent.registration.status = Link.NONE
    agent.updates.disconnect()
    for kind in ("introduce", "answer", "ping"):
        agent.deadlines.cancel((kind, ""))


def introduce(agent: Agent) -> link.RegisterAgent | link.ReregisterAgent:
    """Return what the agent says about itself, with all that it runs if it has an id already.

    What it is about to end for good, it ends without a word to anybody: no master shall wait for it.
    """
    settings = agent.settings
    info = json.encode(settings.info)
    if not agent.registration.agent_id:
        return link.RegisterAgent(info, settings.version, settings.pid, settings.capabilities)
    tasks = []
    for task in agent.tasks():
        if not task.acknowledged and not agent.frameworks[task.framework_id].shutting_down:
            status = task.statuses[-1] if task.statuses else b""
            tasks.append(link.TaskRecord(task.framework_id, task.raw, task.role, task.state, status))
    executors = [
        link.ExecutorRecord(executor.framework_id, executor.raw, executor.container_id)
        for executor in agent.executors.values()
        if not agent.frameworks[executor.framework_id].shutting_down
    ]
    frameworks = {
        framework.framework_id: framework.raw
        for framework in agent.frameworks.values()
        if (framework.tasks or framework.executors) and not framework.shutting_down
    }
    for record, framework in agent.refused.values():
        tasks.append(record)
        frameworks.setdefault(record.framework_id, framework)
    return link.ReregisterAgent(
        agent.registration.agent_id,
        info,
        settings.version,
        settings.pid,
        settings.capabilities,
        tasks,
        list(frameworks.values()),
        executors,
    )
