"""A cluster in which anything happens in any order; after each step the master's records must agree with each other."""

from __future__ import annotations

from collections import Counter

from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, precondition, rule

from merismos.core.master import events as happened
from merismos.core.master.state import Agent, Task
from merismos.model.resources import Resources, sum_of
from merismos.model.roles import ancestors
from merismos.model.task_states import TERMINAL
from merismos.protocol import link
from unit.master.rig import Peer, Rig, Scheduler, framework_info, launch, record_of, task, value

STATES = ["TASK_STARTING", "TASK_RUNNING", "TASK_KILLING", "TASK_FINISHED", "TASK_FAILED", "TASK_KILLED"]
PICK = st.integers(0, 10_000)


class Cluster(RuleBasedStateMachine):
    """Frameworks, agents and the clock, all driven by chance."""

    def __init__(self) -> None:
        super().__init__()
        self.rig = Rig()
        self.frameworks: list[Scheduler] = []
        self.agents: dict[str, Peer] = {}
        self.next_task = 0
        self.next_port = 5051
        self.last_states: dict[tuple[str, str], str] = {}

    @initialize(removal_interval_s=st.sampled_from([0.0, 0.0, 30.0, 600.0]))
    def begin(self, removal_interval_s: float) -> None:
        self.rig.master.config.agent_removal_interval_s = removal_interval_s
        self.join()
        self.subscribe("a", legacy=False)

    @rule()
    @precondition(lambda self: len(self.agents) < 4)
    def join(self) -> None:
        peer = self.rig.agent("cpus:4;mem:256", pid=f"slave(1)@127.0.0.1:{self.next_port}")
        self.next_port += 1
        self.agents[peer.id] = peer

    @rule(role=st.sampled_from(["a", "b", "b/c"]), legacy=st.booleans())
    @precondition(lambda self: len(self.frameworks) < 4)
    def subscribe(self, role: str, *, legacy: bool) -> None:
        info = framework_info(capabilities=(), role=role) if legacy else framework_info(roles=(role,))
        self.frameworks.append(self.rig.subscribe(info))

    def known(self) -> list[Scheduler]:
        return [one for one in self.frameworks if one.id in self.rig.master.frameworks and one.is_open]

    def connected(self) -> list[Peer]:
        return [peer for peer in self.agents.values() if peer.is_open and self.rig.master.links.get(peer.link)]

    @rule(
        pick=PICK,
        count=st.integers(1, 4),
        cpus=st.sampled_from([0.5, 1.0, 4.0, 1000.0]),
        refuse_s=st.sampled_from([0.0, 5.0]),
    )
    def accept(self, pick: int, count: int, cpus: float, refuse_s: float) -> None:
        offers = [(one, offer) for one in self.known() for offer in one.offers()]
        if not offers:
            return
        framework, offer = offers[pick % len(offers)]
        tasks = []
        for _ in range(count):
            tasks.append(task(f"t-{self.next_task}", offer, need=f"cpus:{cpus};mem:16"))
            self.next_task += 1
        assert framework.accept([offer], launch(*tasks), refuse_s=refuse_s)[0] == 202

    @rule(pick=PICK, seconds=st.sampled_from([0.0, 5.0, 90.0]), closes=st.booleans())
    def suspend(self, pick: int, seconds: float, *, closes: bool) -> None:
        self.rig.handle(happened.CoordinationSuspended("ZooKeeper is away"))
        peers = self.connected()
        if peers and closes:
            peers[pick % len(peers)].close()
        written = dict(self.rig.registry)
        self.rig.advance(seconds)
        assert self.rig.registry == written
        self.rig.handle(happened.CoordinationRestored())

    @rule(pick=PICK)
    def decline(self, pick: int) -> None:
        offers = [(one, offer) for one in self.known() for offer in one.offers()]
        if offers:
            framework, offer = offers[pick % len(offers)]
            framework.call("DECLINE", decline={"offer_ids": [offer["id"]]})

    @rule(pick=PICK, state=st.sampled_from(STATES), acknowledged=st.booleans(), wanted=st.booleans())
    def update(self, pick: int, state: str, *, acknowledged: bool, wanted: bool) -> None:
        found = [one for peer in self.connected() for one in peer.record.tasks]
        if not found:
            return
        chosen = found[pick % len(found)]
        peer = next(one for one in self.connected() if one.record is chosen.agent)
        peer.update(chosen.framework.id, chosen.id, state, uuid=b"0123456789abcdef" if wanted else b"")
        owner = next((one for one in self.known() if one.id == chosen.framework.id), None)
        if owner is not None and acknowledged and wanted:
            assert owner.acknowledge(owner.statuses()[-1])[0] == 202

    @rule(pick=PICK)
    def kill(self, pick: int) -> None:
        pairs = [(one, task_id) for one in self.known() for task_id in one.record.tasks]
        if pairs:
            framework, task_id = pairs[pick % len(pairs)]
            framework.call("KILL", kill={"task_id": value(task_id)})

    @rule(pick=PICK)
    def lose_link(self, pick: int) -> None:
        peers = self.connected()
        if peers:
            peers[pick % len(peers)].close()

    @rule(pick=PICK, forgotten=st.integers(0, 3))
    def come_back(self, pick: int, forgotten: int) -> None:
        gone = [agent_id for agent_id, peer in self.agents.items() if not peer.is_open]
        if not gone:
            return
        agent_id = gone[pick % len(gone)]
        records = [
            record_of(one.framework.id, one.id, agent_id, one.state) for one in self._tasks_on(agent_id)[forgotten:]
        ]
        for record in records:
            record.role = self.rig.master.frameworks[record.framework_id].roles[0]
        port = 5051 + list(self.agents).index(agent_id)
        again = self.rig.reregister(agent_id, pid=f"slave(1)@127.0.0.1:{port}", need="cpus:4;mem:256", tasks=records)
        if again.id:
            self.agents[agent_id] = again

    def _tasks_on(self, agent_id: str) -> list[Task]:
        found: list[Task] = []
        for framework in self.rig.master.frameworks.values():
            known = [*framework.tasks.values(), *framework.unreachable_tasks.values()]
            found += [one for one in known if one.agent.id == agent_id and one.state not in TERMINAL]
        return found

    @rule(pick=PICK)
    def disconnect(self, pick: int) -> None:
        known = self.known()
        if known:
            self.rig.hang_up(known[pick % len(known)])

    @rule(pick=PICK)
    def resubscribe(self, pick: int) -> None:
        ids = [one for one in self.frameworks if one.id in self.rig.master.frameworks]
        if ids:
            before = ids[pick % len(ids)]
            info = framework_info(roles=tuple(before.record.roles), id=value(before.id))
            self.frameworks[self.frameworks.index(before)] = self.rig.subscribe(info)

    @rule(pick=PICK)
    def tear_down(self, pick: int) -> None:
        known = self.known()
        if len(known) > 1:
            chosen = known[pick % len(known)]
            chosen.call("TEARDOWN")
            self.frameworks.remove(chosen)

    @rule(pick=PICK)
    def mark_gone(self, pick: int) -> None:
        if len(self.agents) > 1:
            agent_id = list(self.agents)[pick % len(self.agents)]
            call = {"type": "MARK_AGENT_GONE", "mark_agent_gone": {"agent_id": value(agent_id)}}
            assert self.rig.operate(call)[0] in {200, 404}

    @rule(pick=PICK, suppress=st.booleans())
    def prefer(self, pick: int, *, suppress: bool) -> None:
        known = self.known()
        if known:
            known[pick % len(known)].call("SUPPRESS" if suppress else "REVIVE")

    @rule(seconds=st.sampled_from([0.005, 0.5, 1.0, 10.0, 70.0, 100.0]))
    def wait(self, seconds: float) -> None:
        self.rig.advance(seconds)

    @invariant()
    def nothing_is_given_twice(self) -> None:
        for agent in self.rig.master.agents.values():
            used = self._used(agent)
            assert agent.total.contains(used), f"{used} of {agent.total}"

    def _used(self, agent: Agent) -> Resources:
        held = [offer.resources for offer in agent.offers.values()]
        held += [one.resources for one in agent.tasks if one.state not in TERMINAL]
        return sum_of(held)

    @invariant()
    def the_allocator_has_charged_what_is_held(self) -> None:
        master = self.rig.master
        held: dict[str, Counter[str]] = {}
        for framework in master.frameworks.values():
            holders = [
                *framework.offers.values(),
                *(one for one in framework.tasks.values() if one.state not in TERMINAL),
            ]
            for holder in holders:
                for role in (holder.role, *ancestors(holder.role)):
                    held.setdefault(role, Counter()).update(holder.resources.quantities())
        charged = {view.role: Counter(view.allocated_milli) for view in master.allocator.role_view()}
        assert {role: +amounts for role, amounts in charged.items() if +amounts} == held

    @invariant()
    def indices_agree(self) -> None:
        master = self.rig.master
        offers = [offer for framework in master.frameworks.values() for offer in framework.offers.values()]
        assert Counter(map(id, offers)) == Counter(map(id, master.offers.values()))
        offers = [offer for agent in master.agents.values() for offer in agent.offers.values()]
        assert Counter(map(id, offers)) == Counter(map(id, master.offers.values()))
        by_framework = [one for framework in master.frameworks.values() for one in framework.tasks.values()]
        by_agent = [one for agent in master.agents.values() for one in agent.tasks]
        assert Counter(map(id, by_framework)) == Counter(map(id, by_agent))
        for stream, framework in master.streams.items():
            assert framework.stream == stream
        for framework in master.frameworks.values():
            assert framework.stream is not None or not framework.offers

    @invariant()
    def an_admitted_agent_is_in_one_place(self) -> None:
        master = self.rig.master
        places = [*master.agents, *master.recovered_agents, *master.unreachable_agents, *master.gone_agents]
        assert max(Counter(places).values(), default=0) <= 1
        stored = [key for table, key in self.rig.registry if table in {"agents", "unreachable", "gone"}]
        assert sorted(places) == sorted(stored)

    @invariant()
    def a_terminal_state_is_final(self) -> None:
        for framework in self.rig.master.frameworks.values():
            for one in framework.tasks.values():
                key = (framework.id, one.id)
                if self.last_states.get(key) in TERMINAL:
                    assert one.state == self.last_states[key]
                self.last_states[key] = one.state

    def teardown(self) -> None:
        """In the end everything comes back: with no framework left every agent is free."""
        for one in list(self.rig.master.frameworks):
            self.rig.operate({"type": "TEARDOWN", "teardown": {"framework_id": value(one)}})
        late = self.rig.subscribe(framework_info("late", roles=("late",)))
        self.rig.advance(5)
        offered: dict[str, list[int]] = {}
        for offer in late.offers():
            offered.setdefault(offer["agent_id"]["value"], []).append(offer["quantities"].get("cpus", 0))
        linked = [agent.id for agent in self.rig.master.agents.values() if agent.link is not None]
        assert {agent_id: sum(cpus) for agent_id, cpus in offered.items()} == dict.fromkeys(linked, 4000)
        for peer in self.agents.values():
            assert all(isinstance(message, link.Message) for message in peer.messages)


Cluster.TestCase.settings = settings(
    max_examples=60, stateful_step_count=40, deadline=None, suppress_health_check=[HealthCheck.too_slow]
)
test_whatever_happens_the_masters_records_agree = Cluster.TestCase
