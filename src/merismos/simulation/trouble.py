"""What goes wrong: links, agents, schedulers, supervisors; and the operators, who mean well."""

from __future__ import annotations

from typing import TYPE_CHECKING

import msgspec

from merismos.simulation.coordination import SESSION_S
from merismos.simulation.scheduler import ROLES
from merismos.simulation.streams import Stream
from merismos.simulation.tasks import value

if TYPE_CHECKING:
    from collections.abc import Callable

    from merismos.simulation.hosts import AgentHost
    from merismos.simulation.masters import MasterHost
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
            (5, self._crash),
            (3, self._lose_containers),
            (6, self._lose_stream),
            (5, self._fail_over),
            (1, self._tear_down),
            (3, self._weigh),
            (3, self._limit),
            (1, self._mark_gone),
            (2, world.upkeep.plan),
            (1, world.upkeep.take_down),
            (1, world.upkeep.bring_up),
            (1, world.upkeep.drain),
            (2, world.upkeep.reactivate),
            (3, self._watch),
            (2, self._be_wrong),
            (1, self._end_master),
            (2, self._stop_master),
            (2, self._cut_master),
            (1, self._trouble_coordination),
            (2, self._part),
            (2, self._part_scheduler),
            (2, self._break_disk),
            (3, self._lose_executor),
        ]
        self._kinds = [kind for weight, kind in kinds for _ in range(weight)]

    def mend(self) -> None:
        """Undo what lasts."""
        now = self.world.agenda.now
        self.world.partitions.heal()
        self.world.coordination.down_until = min(now, self.world.coordination.down_until)
        for host in self.world.hosts:
            host.detect()
        for scheduler in self.world.schedulers:
            scheduler.detect()
        for master in self.world.masters:
            master.cut_until = min(now, master.cut_until)

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
            dice = self.world.dice
            ends = dice.pick((host.end, host.end, host.end, host.end, host.cut_power, host.cut_power, host.lose_disk))
            ends(dice.uniform(0.1, 20.0) if dice.chance(60) else dice.uniform(20.0, 120.0))

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

    def _limit(self) -> None:
        """Set or remove quotas, of which some are nested, refused, or below what is in use."""
        dice = self.world.dice
        role = dice.pick(ROLES)
        if dice.chance(40):
            kind = dice.pick(("REMOVE_QUOTA", "UPDATE_QUOTA"))
            clears = {"quota_configs": [{"role": role}]}
            self._operate({"type": kind, kind.lower(): {"role": role} if kind == "REMOVE_QUOTA" else clears})
            return
        configs = []
        for one in {role: None, dice.pick(ROLES): None}:
            limits = {
                name: {"value": round(dice.uniform(0.0, most), 1)}
                for name, most in (("cpus", 4.5), ("mem", 1500.0))
                if dice.chance(70)
            }
            guarantees = {name: limit for name, limit in limits.items() if dice.chance(30)}
            configs.append({"role": one, "guarantees": guarantees, "limits": limits})
        update = {"force": dice.chance(50), "quota_configs": configs}
        self._operate({"type": "UPDATE_QUOTA", "update_quota": update})

    def _master(self) -> MasterHost:
        """Return a master, mostly the one that leads."""
        leader = self.world.elected
        return leader if leader is not None and self.world.dice.chance(70) else self.world.dice.pick(self.world.masters)

    def _end_master(self) -> None:
        master = self._master()
        if not master.is_down:
            master.crash(self.world.dice.uniform(0.1, 60.0), "killed")

    def _stop_master(self) -> None:
        master = self._master()
        if not master.is_down and not master.is_stopped():
            master.stop(self.world.dice.uniform(0.1, 60.0) if self.world.dice.chance(60) else 3.0)

    def _cut_master(self) -> None:
        """Cut a master off from ZooKeeper."""
        dice = self.world.dice
        master = self._master()
        master.cut_until = self.world.agenda.now + (
            dice.uniform(0.1, 5.0) if dice.chance(60) else dice.uniform(5.0, 60.0)
        )

    def _trouble_coordination(self) -> None:
        """Let ZooKeeper be gone for a while, or forget its sessions."""
        world = self.world
        forgets = world.dice.chance(25)
        down_s = world.dice.uniform(SESSION_S if forgets else 0.5, 90.0)
        world.coordination.down_until = max(world.coordination.down_until, world.agenda.now + down_s)
        if forgets:
            world.agenda.after(down_s, world.coordination.end_all)

    def _part(self) -> None:
        """Part some agents from everything, for a while: what is under way comes late, or the links break."""
        dice = self.world.dice
        duration_s = dice.uniform(1.0, 120.0)
        for host in self.world.hosts:
            if dice.chance(50):
                for master in self.world.masters:
                    self.world.part(host, master, duration_s)
                if dice.chance(30):
                    for wire in list(host.wires.values())[-1:]:
                        wire.lose()

    def _part_scheduler(self) -> None:
        """Part a scheduler from a master, or from all; it may think of another subscription meanwhile."""
        dice = self.world.dice
        scheduler = dice.pick(self.world.schedulers)
        duration_s = dice.uniform(0.5, 60.0)
        for master in self.world.masters if dice.chance(50) else [self._master()]:
            self.world.part(scheduler, master, duration_s)
        if dice.chance(30) and scheduler.id:
            scheduler.subscribe()

    def _break_disk(self) -> None:
        """Let writes to a disk fail for a while, as on one that is full."""
        self._host().disk.fail(self.world.dice.uniform(0.5, 30.0))

    def _lose_executor(self) -> None:
        self._host().executors.lose_one()

    def _mark_gone(self) -> None:
        if self.world.elected is None:
            return
        master = self.world.records
        known = [*master.agents, *master.unreachable_agents, *master.recovered_agents, *master.admitting, "nobody"]
        gone = self.world.dice.pick(known)
        self._operate({"type": "MARK_AGENT_GONE", "mark_agent_gone": {"agent_id": value(gone)}})

    def _watch(self) -> None:
        """Open an operator's event stream, or lose one."""
        if len(self._watching) > 1:
            self._watching.pop(0).closed_at_master()
        else:
            master = self._master()
            stream = Stream(self.world, master, None)
            self._watching.append(stream)
            master.watch(stream)

    def _be_wrong(self) -> None:
        """Make calls that the master has to refuse."""
        dice = self.world.dice
        scheduler = dice.pick(self.world.schedulers)
        body = {"type": dice.pick(("KILL", "ACCEPT", "REVIVE")), "framework_id": value(scheduler.id or "nobody")}
        self._master().call(msgspec.json.encode(body), dice.pick((None, "not-a-stream")))
        self._operate(
            dice.pick(({"type": "UPDATE_WEIGHTS"}, {"type": "TEARDOWN", "teardown": {"framework_id": value("x")}}))
        )

    def _operate(self, call: dict[str, object]) -> None:
        self._master().operate(msgspec.json.encode(call))
