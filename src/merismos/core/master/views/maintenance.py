"""The maintenance schedule, and what became of it so far, in the operator API's words."""

from __future__ import annotations

from typing import TYPE_CHECKING

from merismos.core.master.machines import Mode, agents_by_machine, key_of
from merismos.protocol.v1 import maintenance

if TYPE_CHECKING:
    from merismos.core.master.machines import Key
    from merismos.core.master.state import Agent, Master


def status(master: Master) -> maintenance.ClusterStatus:
    """Return the machines that are draining, with what frameworks answered to inverse offers, and those that are down."""
    known = master.maintenance.machines
    agents: dict[Key, list[Agent]] = {}
    for key, agent in agents_by_machine(master):
        agents.setdefault(key, []).append(agent)
    draining = [
        maintenance.ClusterStatus_DrainingMachine(
            id=machine.id,
            statuses=[
                answered for agent in agents.get(key_of(machine.id), []) for answered in agent.inverse_statuses.values()
            ],
        )
        for machine in known.values()
        if machine.mode is Mode.DRAINING
    ]
    down = [machine.id for machine in known.values() if machine.mode is Mode.DOWN]
    return maintenance.ClusterStatus(draining_machines=draining, down_machines=down)
