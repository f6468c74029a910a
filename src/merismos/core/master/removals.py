"""How fast agents may be given up: `--agent_removal_rate_limit`.

Rules: who has to wait keeps its place, in the order in which it fell silent; an agent that comes back meanwhile leaves the queue
and costs no permit. Permits are spread evenly, as in Mesos: 3/1hrs is one every 20 minutes.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from merismos.core.master import counters

if TYPE_CHECKING:
    from merismos.core.master.state import Master


def permit(master: Master, agent_id: str, now: float) -> bool:
    """Say whether an agent may be given up at once; if not, it waits for its turn."""
    interval_s = master.config.agent_removal_interval_s
    if interval_s <= 0:
        return True
    if agent_id in master.removals_waiting:
        return False
    if not master.removals_waiting and master.next_removal_at <= now:
        master.next_removal_at = now + interval_s
        return True
    master.removals_waiting[agent_id] = None
    master.deadlines.set(("removal", ""), max(now, master.next_removal_at))
    return False


def cancel(master: Master, agent_id: str) -> None:
    """An agent needn't be given up any more."""
    if agent_id in master.removals_waiting:
        del master.removals_waiting[agent_id]
        counters.count(master, "master/slave_unreachable_canceled")


def next_permitted(master: Master, now: float) -> str | None:
    """Return the agent whose turn it is, None when nobody waits any more."""
    waiting = master.removals_waiting
    if not waiting:
        return None
    agent_id = next(iter(waiting))
    del waiting[agent_id]
    master.next_removal_at = now + master.config.agent_removal_interval_s
    if waiting:
        master.deadlines.set(("removal", ""), master.next_removal_at)
    return agent_id
