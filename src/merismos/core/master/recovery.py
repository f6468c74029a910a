"""What a new leader does with what its registry remembers, until everybody is back; and how the registry is kept small.

Rules:
- The agents in the registry have `--agent_reregister_timeout` from the election to come back; none is given up before.
- If a larger part of them than `--recovery_agent_removal_limit` is missing then, the master stops and removes nothing: it is
  more likely that the network is broken than that so many agents are.
- Unreachable and gone agents, and frameworks that are over, are forgotten when they are too old or too many, the oldest first.
"""

from __future__ import annotations

import functools
from typing import TYPE_CHECKING

from merismos.core.master import agents, drains, registrar
from merismos.core.master.effects import Exit

if TYPE_CHECKING:
    from merismos.core.master.state import Master

EXIT_TOO_MANY_MISSING = 1
REREGISTRATIONS_S = 5000.0
WINDOW_S_MIN = 0.5

Forgotten = list[tuple[str, str, float]]


def window_s(agents_known: int) -> float:
    """Return the time over which so many agents spread their re-registrations with a new leader."""
    return max(WINDOW_S_MIN, agents_known / REREGISTRATIONS_S)


def begin(master: Master, now: float) -> None:
    """Wait for the agents that the registry knows."""
    master.agents_at_election = len(master.recovered_agents)
    if master.recovered_agents:
        master.deadlines.set(("recovery", ""), now + master.config.agent_reregister_timeout_s)
    if any(_tables(master).values()):
        registrar.expect_garbage(master, now)


def on_recovery_over(master: Master, now: float) -> None:
    """Give up the agents that didn't come back, or stop where too many didn't."""
    missing = [agent_id for agent_id in master.recovered_agents if agent_id not in master.leaving]
    allowed = master.config.recovery_agent_removal_limit
    if len(missing) > allowed * master.agents_at_election:
        reason = (
            f"{len(missing)} of {master.agents_at_election} agents did not re-register within"
            f" {master.config.agent_reregister_timeout_s:g} s of the election, more than"
            f" --recovery_agent_removal_limit={allowed * 100:g}% allows; nothing was removed: repair the network, or raise"
            " the limit or --agent_reregister_timeout, and start the master again"
        )
        master.suspended = reason
        master.effects.append(Exit(EXIT_TOO_MANY_MISSING, reason))
        return
    master.allocator.resume()
    for agent_id in missing:
        agents.on_patience_over(master, agent_id, now)


def collect_garbage(master: Master, now: float) -> None:
    """Forget what is too old or too much."""
    oldest = now + master.wall_offset_s - master.config.registry_max_agent_age_s
    forgotten: Forgotten = []
    for table, entries in _tables(master).items():
        # A stable order: by time, then as they were written.
        by_age = sorted(
            ((at, key) for key, at in entries.items() if key not in master.leaving and key not in master.admitting),
            key=lambda entry: entry[0],
        )
        too_many = len(by_age) - master.config.registry_max_agent_count
        forgotten += [(table, key, at) for index, (at, key) in enumerate(by_age) if index < too_many or at < oldest]
    if any(_tables(master).values()):
        registrar.expect_garbage(master, now)
    if forgotten:
        changes = [(table, key, b"") for table, key, _ in forgotten]
        changes += drains.forgetting(master, [key for table, key, _ in forgotten if table == "unreachable"])
        registrar.store(master, changes, functools.partial(_on_forgotten, forgotten))


def _tables(master: Master) -> dict[str, dict[str, float]]:
    return {
        "unreachable": master.unreachable_agents,
        "gone": master.gone_agents,
        "frameworks": master.removed_frameworks,
    }


def _on_forgotten(forgotten: Forgotten, master: Master, now: float) -> None:  # noqa: ARG001 - a continuation's shape
    tables = _tables(master)
    for table, key, at in forgotten:
        if tables[table].get(key) == at:
            del tables[table][key]
            master.agents_with_unreachable_tasks.pop(key, None)
            if table == "unreachable":
                master.drains.pop(key, None)
