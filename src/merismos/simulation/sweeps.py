"""What must hold of all records between two events, and once a cluster has come to rest.

| checker     | what it finds                                                                                       |
|-------------|-----------------------------------------------------------------------------------------------------|
| accounting  | an agent on which offered + used + free isn't the total, or master and allocator disagree           |
| twice       | resources that are in two offers, or in an offer and in use                                         |
| overcommit  | an agent whose live tasks have more than there is                                                   |
| indices     | an offer, task or stream that one index has and another hasn't                                      |
| places      | an agent in two of registered, recovered, unreachable, gone; a registry that says otherwise          |
| quota       | quotas that aren't those of the registry, accounts that aren't the records': `quotas.py`             |
| maintenance | an agent kept on a machine that is down, or that asks nobody to leave what will be away             |
| drain       | an agent that operators deactivated and that is offered, or whose drain isn't what the registry says |
| table       | a task whose record leaves the table of states, or a terminal one that changes                      |
| lost        | a status update that no scheduler of its framework saw                                              |
| convergence | machines that still disagree when everything has healed                                             |
"""

from __future__ import annotations

from collections import Counter
from typing import TYPE_CHECKING, Any

import msgspec

from merismos.core.agent.executors_state import ExecutorPhase
from merismos.core.agent.state import Phase
from merismos.core.agent.state import Task as AgentTask
from merismos.core.master.state import Task
from merismos.core.master.tasks import MOVES
from merismos.core.master.validate.task import demand_of
from merismos.model.rejection import Rejection
from merismos.model.resource_protocol import from_protocol
from merismos.model.resources import EMPTY, Resources, sum_of
from merismos.model.task_states import TERMINAL
from merismos.protocol.thin import decode_task
from merismos.simulation.checkers import Violation, records_of
from merismos.simulation.quotas import QuotaFault
from merismos.simulation.scheduler import OVER
from merismos.simulation.sweeps_maintenance import (
    check_drains,
    check_maintenance,
    drains_kept,
    machines_kept,
    machines_known,
)

if TYPE_CHECKING:
    from merismos.core.master.state import Agent, Master
    from merismos.simulation.hosts import AgentHost
    from merismos.simulation.masters import MasterHost
    from merismos.simulation.scheduler import Scheduler
    from merismos.simulation.world import World

StateKey = tuple[str, str, str]  # process of a master, framework, task
PLACES = frozenset({"agents", "unreachable", "gone"})
_OWN_MOVES = frozenset({"TASK_UNREACHABLE", "TASK_GONE_BY_OPERATOR", "TASK_GONE"})


class Sweeps:
    """The checkers that look at everything."""

    def __init__(self, world: World) -> None:
        self.world = world
        self._states: dict[StateKey, tuple[Task, str]] = {}
        self._demands: dict[tuple[str, str], Resources] = {}
        self._totals: dict[int, Resources] = {}

    @property
    def _master(self) -> Master:
        return self.world.records

    def sweep(self) -> None:
        """Check all records against each other."""
        states: dict[StateKey, tuple[Task, str]] = {}
        for one in self.world.masters:
            if one.machine is not None:
                master = one.machine.master
                self._check_indices(master)
                for agent in master.agents.values():
                    self._check_agent(master, agent)
                self._check_places(master)
                self._check_quotas(one, master)
                check_maintenance(master)
                check_drains(master)
                self._check_tasks(f"{one.name}/{one.run}", master, states)
        self._states = states
        if self.world.elected is not None:
            self._check_registry(self.world.elected)
        for host in self.world.hosts:
            if host.down_until is None:
                self._check_host(host)

    def _check_agent(self, master: Master, agent: Agent) -> None:
        held: dict[tuple[str, str], Resources] = {}
        holders: list[Any] = [*agent.offers.values(), *agent.executors.values()]
        holders += [task for task in (*agent.tasks, *agent.strays.values()) if task.state not in TERMINAL]
        for holder in holders:
            framework_id = holder.framework_id if hasattr(holder, "framework_id") else holder.framework.id
            if holder.resources:
                key = (framework_id, holder.role)
                held[key] = held.get(key, EMPTY) + holder.resources
        if not agent.total.contains(sum_of(held.values())):
            raise Violation("twice", f"agent {agent.id} has {agent.total}, but {held} is offered or in use")
        cluster = master.allocator._cluster
        known = cluster.agents.get(agent.id)
        if known is None:
            raise Violation("accounting", f"the allocator doesn't know agent {agent.id}")
        charged = {(slot.framework.id, slot.role): resources for slot, resources in known.allocated.items()}
        if charged != held:
            raise Violation("accounting", f"agent {agent.id}: {held} is offered or in use, {charged} is charged")
        if sum_of([known.free, *charged.values()]) != agent.total or known.total != agent.total:
            raise Violation("accounting", f"agent {agent.id}: {known.free} free and {charged} are not {agent.total}")
        offers = Counter((offer.framework.id, offer.role) for offer in agent.offers.values())
        counted = {(slot.framework.id, slot.role): count for slot, count in known.held.items()}
        if offers != counted:
            raise Violation("accounting", f"agent {agent.id}: {offers} offers are out, {counted} are counted")

    def _check_indices(self, master: Master) -> None:
        by_framework = [offer for framework in master.frameworks.values() for offer in framework.offers.values()]
        by_agent = [offer for agent in master.agents.values() for offer in agent.offers.values()]
        everywhere = sorted(master.offers)
        if not everywhere == sorted(one.id for one in by_framework) == sorted(one.id for one in by_agent):
            raise Violation("indices", "the offers of the master, its frameworks and its agents are not the same")
        tasks = [id(task) for framework in master.frameworks.values() for task in framework.tasks.values()]
        if sorted(tasks) != sorted(id(task) for agent in master.agents.values() for task in agent.tasks):
            raise Violation("indices", "the tasks of the frameworks and of the agents are not the same")
        for framework in master.frameworks.values():
            if (framework.stream is not None) != (master.streams.get(framework.stream or 0) is framework):
                raise Violation("indices", f"the stream of {framework.id} is not its own")
            if framework.stream is None and framework.offers:
                raise Violation("indices", f"{framework.id} isn't there and holds offers")
        for agent in master.agents.values():
            if agent.link is not None and master.links.get(agent.link) is not agent:
                raise Violation("indices", f"the link of {agent.id} is not its own")
        if sorted(master.agents) != sorted(master.allocator._cluster.agents):
            raise Violation("indices", "the agents of the master and of its allocator are not the same")

    def _check_places(self, master: Master) -> None:
        twice = [agent_id for agent_id, count in Counter(_places(master)).items() if count > 1]
        if twice:
            raise Violation("places", f"{twice} are in two places")

    def _check_registry(self, host: MasterHost) -> None:
        records = records_of(host)
        if records.kept:
            return  # suspended, it has yet to hear what became of its writes
        places = sorted(_places(records))
        stored = sorted(key for table, key in self.world.coordination.registry if table in PLACES)
        if not host.writes and stored != places:
            raise Violation("places", f"the registry has {stored}, the master {places}")
        machines = [machines_kept(self.world.coordination.registry), machines_known(records)]
        if not host.writes and machines[0] != machines[1]:
            raise Violation("maintenance", f"the registry has {machines[0]}, the master {machines[1]}")
        kept = drains_kept(self.world.coordination.registry)
        if not host.writes and kept != records.drains:
            raise Violation("drain", f"the registry has {kept}, the master {records.drains}")

    def _check_quotas(self, host: MasterHost, master: Master) -> None:
        try:
            self.world.checkers.quotas.sweep(host, master)
        except QuotaFault as fault:
            raise Violation("quota", str(fault)) from None

    def _check_tasks(self, run: str, master: Master, states: dict[StateKey, tuple[Task, str]]) -> None:
        for framework in master.frameworks.values():
            for task in [*framework.tasks.values(), *framework.unreachable_tasks.values()]:
                key = (run, framework.id, task.id)
                states[key] = (task, task.state)
                before = self._states.get(key)
                if before is None or before[0] is not task or before[1] == task.state:
                    continue
                if task.state not in MOVES.get(before[1], ()) and not (
                    before[1] not in TERMINAL and task.state in _OWN_MOVES
                ):
                    raise Violation("table", f"task {key} goes from {before[1]} to {task.state}")

    def _check_host(self, host: AgentHost) -> None:
        state = host.machine.state
        live = [
            self._demand(task)
            for framework in state.frameworks.values()
            if not framework.shutting_down
            for task in framework.tasks.values()
            if task.phase is not Phase.ENDED
        ]
        for executor in state.executors.values():
            is_freed = state.frameworks[executor.framework_id].shutting_down
            if executor.phase is not ExecutorPhase.ENDED and not is_freed:
                own = from_protocol(executor.info.resources)
                assert not isinstance(own, Rejection)
                live.append(own)
        total = self._total(host)
        if not total.contains(sum_of(live)):
            raise Violation("overcommit", f"{host.name} has {total} and runs {sum_of(live)}")

    def _total(self, host: AgentHost) -> Resources:
        total = self._totals.get(host.number)
        if total is None:
            read = from_protocol(host.machine.state.settings.info.resources)
            assert not isinstance(read, Rejection)
            total = self._totals[host.number] = read
        return total

    def _demand(self, task: AgentTask) -> Resources:
        key = (task.container_id, task.task_id)
        demand = self._demands.get(key)
        if demand is None:
            demand = self._demands[key] = demand_of(bytes(decode_task(task.raw).resources)).resources
        return demand

    # ------------------------------------------------------------ at rest
    def disagreement(self) -> str | None:
        """Return where a healed cluster's machines still disagree, None where nowhere."""
        if self.world.elected is None:
            return "nobody leads"
        for host in self.world.hosts:
            fault = self._disagreement_on(host)
            if fault is not None:
                return fault
        for scheduler in self.world.schedulers:
            framework = self._master.frameworks.get(scheduler.id)
            if not scheduler.subscribed or framework is None or framework.stream is None:
                return f"{scheduler.name} ({scheduler.id}) is not subscribed"
            for task in framework.tasks.values():
                view = scheduler.tasks.get(task.id)
                known = task.update_state or task.state
                if view is not None and view.agent_id == task.agent.id and view.state != known and not view.interrupted:
                    return f"{scheduler.name} takes {task.id} for {view.state}, the master for {known}"
        if self.world.leader.writes:
            return "a write to the registry is under way"
        weights = {
            key: msgspec.json.decode(text)
            for (table, key), text in self.world.coordination.registry.items()
            if table == "weights"
        }
        return None if weights == self._master.weights else f"the weights {self._master.weights} are not {weights}"

    def _disagreement_on(self, host: AgentHost) -> str | None:
        state = host.machine.state
        agent = self._master.agents.get(state.registration.agent_id)
        if not host.is_registered() or agent is None or agent.link is None:
            return f"{host.name} is not registered"
        ours = {(task.framework_id, task.task_id): task.state for task in state.tasks()}
        theirs = {(task.framework.id, task.id): task.state for task in (*agent.tasks, *agent.strays.values())}
        if ours != theirs:
            return f"{host.name} runs {ours}, the master believes {theirs}"
        if len(state.updates):
            return f"{host.name} still owes updates: {[one.task_id for one in state.updates.unacknowledged()]}"
        return None

    def check_nothing_was_lost(self) -> None:
        """Check that each update of an agent that is still there reached its scheduler, if that is still there."""
        lives = {host.number: host.life for host in self.world.hosts}
        ended = self.world.checkers.shut_down
        for update in self.world.checkers.updates.values():
            number, life, framework_id, task_id = update.key
            if lives[number] != life or framework_id not in self._master.frameworks or framework_id in ended:
                continue
            if (framework_id, task_id) in self.world.checkers.reused:
                continue  # of a stray nobody is told
            if update.uuid not in self.world.checkers.seen.get(framework_id, ()):
                raise Violation("lost", f"{framework_id} never saw that {task_id} is {update.state}")

    def still_alive(self) -> str | None:
        """Return which task isn't over yet, at the master or for a scheduler that missed nothing; None where none is."""
        if self.world.elected is None:
            return "nobody leads"
        for agent in self._master.agents.values():
            alive = [f"{task.id} {task.state}" for task in (*agent.tasks, *agent.strays.values())]
            if alive:
                return f"{agent.id} has {alive}"
            if agent.executors:
                return f"{agent.id} has the executors {list(agent.executors)}"
        for scheduler in self.world.schedulers:
            alive = _alive(scheduler, even_interrupted=False)
            if alive:
                return f"{scheduler.name} ({scheduler.id}) waits for {alive}"
        return None

    def still_doubtful(self) -> str | None:
        """Return which task isn't over yet for its scheduler, though it asked; None where none is."""
        for scheduler in self.world.schedulers:
            alive = _alive(scheduler, even_interrupted=True)
            if alive:
                return f"{scheduler.name} ({scheduler.id}) still waits for {alive}"
        return None

    def still_in_use(self) -> str | None:
        """Return where something is in use though no task is, as while an executor is being ended; None where nowhere."""
        if self.world.elected is None:
            return "nobody leads"
        for agent in self._master.agents.values():
            offered = sum_of(offer.resources for offer in agent.offers.values())
            free = self._master.allocator._cluster.agents[agent.id].free
            if offered + free != agent.total:
                return f"agent {agent.id} runs nothing, yet only {offered + free} is free"
        return None


def _places(master: Master) -> list[str]:
    return [*master.agents, *master.recovered_agents, *master.unreachable_agents, *master.gone_agents]


def _alive(scheduler: Scheduler, *, even_interrupted: bool) -> list[str]:
    return [
        f"{task.id} {task.state} on {task.agent_id}"
        for task in scheduler.tasks.values()
        if task.state not in OVER and (even_interrupted or not task.interrupted)
    ]
