"""Tasks that an agent brings back although their framework has another one of the same id elsewhere by now: strays.

Rules: after a failover a framework may use an id again before the agent of the first task is back, and nobody can refuse that. The framework
means the later task; the stray is killed on its agent, and stays charged there until its end is told. Its updates are acknowledged here
and passed on to nobody, since they would be taken for those of the other task. Its id can't be used on that agent until it is over.
Whoever has no strays pays for one look at an empty dict.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from merismos.core.master.effects import SendToAgent
from merismos.core.master.statuses import STATES
from merismos.model.task_states import TERMINAL
from merismos.protocol import link

if TYPE_CHECKING:
    from merismos.core.master.state import Agent, Framework, Master, Task


def kill(master: Master, agent: Agent) -> None:
    """End every stray of an agent."""
    for framework_id, task_id in agent.strays:
        assert agent.link is not None, "an agent that came back has a link"
        master.effects.append(SendToAgent(agent.link, link.KillTask(framework_id, task_id)))


def on_update(master: Master, agent: Agent, message: link.UpdateStatus, now: float) -> bool:
    """Take an update of a stray; False where it is of another task."""
    stray = agent.strays.get((message.framework_id, message.task_id))
    if stray is None:
        return False
    if message.uuid and agent.link is not None:
        acknowledged = link.AcknowledgeStatus(message.framework_id, message.task_id, message.uuid)
        master.effects.append(SendToAgent(agent.link, acknowledged))
    follow(master, stray, message.latest_state, now)
    if STATES.get(message.state) in TERMINAL:
        drop(master, stray, now)
    return True


def follow(master: Master, stray: Task, state: str, now: float) -> None:
    """Let a stray be in the state that its agent names."""
    if STATES.get(state) in TERMINAL and stray.state not in TERMINAL:
        master.allocator.recover(stray.framework.id, stray.role, stray.agent.id, stray.resources, now=now)
    stray.state = STATES.get(state, stray.state)


def drop(master: Master, stray: Task, now: float) -> None:
    """Know nothing of a stray any more."""
    agent = stray.agent
    follow(master, stray, "TASK_GONE", now)
    del agent.strays[stray.framework.id, stray.id]
    if agent.deactivated and not agent.tasks and not agent.strays:
        master.deadlines.set(("empty", agent.id), 0.0)


def drop_all(master: Master, agent: Agent, framework: Framework | None, now: float) -> None:
    """Know nothing any more of an agent's strays, those of one framework only where one is given."""
    for stray in list(agent.strays.values()):
        if framework is None or stray.framework is framework:
            drop(master, stray, now)


def drop_all_but(master: Master, agent: Agent, known: dict[tuple[str, str], None], now: float) -> None:
    """Know nothing any more of those that an agent doesn't bring back."""
    for key, stray in list(agent.strays.items()):
        if key not in known:
            drop(master, stray, now)
