"""Operators who maintain machines and agents: they plan, take down and bring up, drain and reactivate, in good order mostly."""

from __future__ import annotations

from typing import TYPE_CHECKING

import msgspec

from merismos.core.master.machines import Mode
from merismos.protocol.v1.mesos import MachineInfo
from merismos.simulation.tasks import value

if TYPE_CHECKING:
    from merismos.simulation.tasks import Json
    from merismos.simulation.world import World

MACHINES_MAX = 3


class Upkeep:
    """What operators do to machines and agents."""

    def __init__(self, world: World) -> None:
        self.world = world

    def plan(self) -> None:
        """Replace the schedule by another one, which may leave out what is down."""
        dice = self.world.dice
        windows: list[Json] = []
        named: dict[str, None] = {}
        for _ in range(dice.below(MACHINES_MAX + 1)):
            host = dice.pick(self.world.hosts)
            if host.name not in named:
                named[host.name] = None
                machine = {"hostname": f"HOST{host.number}"} | ({"ip": "10.0.0.2"} if dice.chance(50) else {})
                start = {"nanoseconds": (1 + dice.below(5)) * 1_000_000_000}
                windows.append({"machine_ids": [machine], "unavailability": {"start": start}})
        windows += self._windows(Mode.DOWN) if dice.chance(80) else []
        self._update(windows)

    def take_down(self) -> None:
        """Take a machine down."""
        machines = self._machines(Mode.DRAINING) or self._machines(Mode.DOWN)
        if machines:
            self._change("START", [self.world.dice.pick(machines)])

    def bring_up(self) -> None:
        """Bring a machine up."""
        machines = self._machines(Mode.DOWN) or self._machines(Mode.DRAINING)
        if machines:
            self._change("STOP", [self.world.dice.pick(machines)])

    def drain(self) -> None:
        """Drain or deactivate an agent."""
        dice = self.world.dice
        if self.world.elected is None:
            return
        master = self.world.records
        known = [*master.agents, *master.unreachable_agents, *master.recovered_agents, *master.admitting, "nobody"]
        agent_id = {"agent_id": value(dice.pick(known))}
        if dice.chance(60):
            grace = {"max_grace_period": {"seconds": dice.below(4)}} if dice.chance(50) else {}
            asked = agent_id | grace | {"mark_gone": dice.chance(20)}
            self._operate({"type": "DRAIN_AGENT", "drain_agent": asked})
        else:
            self._operate({"type": "DEACTIVATE_AGENT", "deactivate_agent": agent_id})

    def reactivate(self) -> None:
        """Reactivate an agent."""
        drained = list(self.world.records.drains) if self.world.elected is not None else []
        if drained:
            agent_id = {"agent_id": value(self.world.dice.pick(drained))}
            self._operate({"type": "REACTIVATE_AGENT", "reactivate_agent": agent_id})

    def finish(self) -> None:
        """Bring up what is down, and plan nothing more."""
        self.reactivate()
        if self._machines(Mode.DOWN):
            self._change("STOP", self._machines(Mode.DOWN))
        elif self._machines(Mode.DRAINING):
            self._update([])

    def _known(self, mode: Mode) -> list[MachineInfo]:
        if self.world.elected is None:
            return []
        return [one for one in self.world.records.maintenance.machines.values() if one.mode is mode]

    def _machines(self, mode: Mode) -> list[Json]:
        return [msgspec.to_builtins(one.id) for one in self._known(mode)]

    def _windows(self, mode: Mode) -> list[Json]:
        return [
            {"machine_ids": [msgspec.to_builtins(one.id)], "unavailability": msgspec.to_builtins(one.unavailability)}
            for one in self._known(mode)
        ]

    def _update(self, windows: list[Json]) -> None:
        self._operate(
            {"type": "UPDATE_MAINTENANCE_SCHEDULE", "update_maintenance_schedule": {"schedule": {"windows": windows}}}
        )

    def _change(self, verb: str, machines: list[Json]) -> None:
        name = f"{verb}_MAINTENANCE"
        self._operate({"type": name, name.lower(): {"machines": machines}})

    def _operate(self, call: Json) -> None:
        if self.world.elected is not None:
            self.world.elected.operate(msgspec.json.encode(call))
