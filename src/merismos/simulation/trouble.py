"""What goes wrong: links, agents, schedulers, supervisors; and the operators, who mean well."""

from __future__ import annotations

from typing import TYPE_CHECKING

import msgspec

from merismos.simulation.leader import Stream
from merismos.simulation.scheduler import ROLES
from merismos.simulation.tasks import value

if TYPE_CHECKING:
    from collections.abc import Callable

    from merismos.simulation.hosts import AgentHost
    from merismos.simulation.world import World


class Trouble:
    """Everything that happens to a world from outside, until `is_over`."""

    def __init__(self, world: World) -> None:
        self.world = world
        self.is_over = False
        self._watching: list[Stream] = []
        kinds: list[tuple[int, Callable[[], None]]] = [
            (30, self._act),
            (12, self._lose_link),
            (4, self._clog),
            (3, self._crash),
            (3, self._lose_containers),
            (6, self._lose_stream),
            (5, self._fail_over),
            (1, self._tear_down),
            (3, self._weigh),
            (1, self._mark_gone),
            (3, self._watch),
            (2, self._be_wrong),
        ]
        self._kinds = [kind for weight, kind in kinds for _ in range(weight)]

    def begin(self) -> None:
        """Let the first trouble come."""
        self._plan()

    def _plan(self) -> None:
        dice = self.world.dice
        pause_s = dice.uniform(0.01, 0.6) if dice.chance(95) else dice.uniform(1.0, 100.0)
        self.world.agenda.after(pause_s, self._strike)

    def _strike(self) -> None:
        if not self.is_over:
            self.world.dice.pick(self._kinds)()
            self._plan()

    def _act(self) -> None:
        self.world.dice.pick(self.world.schedulers).act()

    def _host(self) -> AgentHost:
        return self.world.dice.pick(self.world.hosts)

    def _lose_link(self) -> None:
        for wire in list(self._host().wires.values())[-1:]:
            wire.lose()

    def _clog(self) -> None:
        dice = self.world.dice
        for wire in list(self._host().wires.values())[-1:]:
            dice.pick((wire.up, wire.down)).clog(dice.uniform(1.0, 100.0))

    def _crash(self) -> None:
        host = self._host()
        if host.down_until is None:
            host.crash(self.world.dice.uniform(0.1, 120.0))

    def _lose_containers(self) -> None:
        host = self._host()
        if host.down_until is None:
            host.containers.lose_all()

    def _lose_stream(self) -> None:
        self.world.dice.pick(self.world.schedulers).lose()

    def _fail_over(self) -> None:
        """Subscribe another scheduler of a framework, while the old one's stream may still be open."""
        scheduler = self.world.dice.pick(self.world.schedulers)
        if scheduler.id:
            scheduler.subscribe()

    def _tear_down(self) -> None:
        scheduler = self.world.dice.pick(self.world.schedulers)
        if self.world.dice.chance(50):
            scheduler.tear_down()
        elif scheduler.id:
            scheduler.interrupt()
            self._operate({"type": "TEARDOWN", "teardown": {"framework_id": value(scheduler.id)}})

    def _weigh(self) -> None:
        dice = self.world.dice
        infos = [{"role": dice.pick(ROLES[:3]), "weight": dice.pick((0.5, 1.0, 2.0, 10.0))}]
        self._operate({"type": "UPDATE_WEIGHTS", "update_weights": {"weight_infos": infos}})

    def _mark_gone(self) -> None:
        master = self.world.master.machine.master
        known = [*master.agents, *master.unreachable_agents, *master.recovered_agents, *master.admitting, "nobody"]
        gone = self.world.dice.pick(known)
        self._operate({"type": "MARK_AGENT_GONE", "mark_agent_gone": {"agent_id": value(gone)}})

    def _watch(self) -> None:
        """Open an operator's event stream, or lose one."""
        if len(self._watching) > 1:
            self._watching.pop(0).closed_at_master()
        else:
            stream = Stream(self.world, None)
            self._watching.append(stream)
            self.world.master.watch(stream)

    def _be_wrong(self) -> None:
        """Make calls that the master has to refuse."""
        dice = self.world.dice
        scheduler = dice.pick(self.world.schedulers)
        body = {"type": dice.pick(("KILL", "ACCEPT", "REVIVE")), "framework_id": value(scheduler.id or "nobody")}
        self.world.master.call(msgspec.json.encode(body), dice.pick((None, "not-a-stream")))
        self._operate(
            dice.pick(({"type": "UPDATE_WEIGHTS"}, {"type": "TEARDOWN", "teardown": {"framework_id": value("x")}}))
        )

    def _operate(self, call: dict[str, object]) -> None:
        self.world.master.operate(msgspec.json.encode(call))
