"""What must hold of machines under maintenance and of drained agents between two events; one part of the sweeps."""

from __future__ import annotations

from typing import TYPE_CHECKING

import msgspec

from merismos.core.master import drains, machines
from merismos.model.task_states import TERMINAL
from merismos.protocol.v1 import mesos
from merismos.simulation.checkers import Violation

if TYPE_CHECKING:
    from collections.abc import Mapping

    from merismos.core.master.state import Master

_DECODER = msgspec.json.Decoder(mesos.MachineInfo)


def check_maintenance(master: Master) -> None:
    """Check each agent against what is planned for its machine, and the indices of inverse offers."""
    for agent in master.agents.values():
        if machines.is_down(master, agent.hostname, agent.ip):
            if agent.id not in master.leaving:
                raise Violation("maintenance", f"agent {agent.id} is kept on {agent.hostname}, which is down")
            if agent.offers:
                raise Violation("maintenance", f"agent {agent.id} is offered, and {agent.hostname} is down")
        elif agent.unavailability != machines.unavailability_of(master, agent):
            raise Violation("maintenance", f"agent {agent.id} knows nothing of what is planned for {agent.hostname}")
        for one in agent.inverse_offers.values():
            if agent.link is None or one.framework.stream is None or one.unavailability != agent.unavailability:
                raise Violation("maintenance", f"inverse offer {one.id} of {agent.id} is out of date")
    under = [agent.id for agent in master.agents.values() if agent.unavailability is not None]
    if sorted(under) != sorted(master.maintenance.agents):
        raise Violation("maintenance", f"{under} will be away, {list(master.maintenance.agents)} are asked to be left")
    by_agent = [one.id for agent in master.agents.values() for one in agent.inverse_offers.values()]
    by_framework = [one.id for framework in master.frameworks.values() for one in framework.inverse_offers.values()]
    if not sorted(master.inverse_offers) == sorted(by_agent) == sorted(by_framework):
        raise Violation(
            "maintenance", "the inverse offers of the master, its frameworks and its agents are not the same"
        )


def check_drains(master: Master) -> None:
    """Check that an agent is deactivated if and only if operators want it, and offered nothing of then."""
    for agent in master.agents.values():
        drain = master.drains.get(agent.id)
        if agent.deactivated is not (drain is not None):
            raise Violation("drain", f"agent {agent.id} is deactivated: {agent.deactivated}, and wanted is {drain}")
        if drain is None:
            continue
        if agent.offers or agent.inverse_offers or master.allocator._cluster.agents[agent.id].active:
            raise Violation("drain", f"agent {agent.id} is deactivated, and its resources are offered")
        # An agent that lost its power may owe again what was acknowledged: only what lives has to be ended.
        alive = [task.id for task in agent.tasks if task.state not in TERMINAL]
        if drain.info is not None and not set(alive) <= {task_id for _, task_id in agent.kills}:
            raise Violation("drain", f"agent {agent.id} is drained, and nobody ends {alive}")


def drains_kept(registry: Mapping[tuple[str, str], bytes]) -> dict[str, drains.Drain]:
    """Return what a registry holds of deactivated agents."""
    return {key: drains.decode(value) for (table, key), value in registry.items() if table == drains.TABLE}


def machines_known(master: Master) -> list[tuple[machines.Key, str]]:
    """Return the machines that a master knows, and their modes."""
    return sorted((key, str(machine.mode)) for key, machine in master.maintenance.machines.items())


def machines_kept(registry: Mapping[tuple[str, str], bytes]) -> list[tuple[machines.Key, str]]:
    """Return the machines that a registry holds, and their modes."""
    kept = [_DECODER.decode(value) for (table, _), value in registry.items() if table == machines.MACHINES]
    return sorted((machines.key_of(machine.id), str(machine.mode)) for machine in kept)
