from __future__ import annotations

from hypothesis import assume, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, precondition, rule

from merismos.core.allocator import Allocator, AllocatorSettings, Grant
from merismos.model.identity import IdentityKey, identity_of
from merismos.model.resources import Resources, resources_of, sum_of
from unit.allocator.naive import KINDS_PER_SLOT_MAX, Naive, NaiveAgent, NaiveFramework
from unit.allocator.rig import attributes, constraint, constraints, res

REVOCABLE = resources_of([(identity_of(IdentityKey("cpus", "SCALAR", revocable=True)), 2000)])
TOTALS = [
    res("cpus:4;mem:4096;ports:[31000-32000]"),
    res("cpus:9;mem:1024"),
    res("cpus:2;mem:8192;gpus:1"),
    res("cpus:2;mem:512;cpus(eng):2;mem(eng/web):64"),
    res("cpus(ops):1;mem(ops):16;cpus(eng):0.001"),
    res("cpus:1;mem:512") + REVOCABLE,
]
ROLES = ["*", "eng", "eng/web", "eng/web/a", "ops"]
CAPABILITIES = ["GPU_RESOURCES", "REVOCABLE_RESOURCES", "RESERVATION_REFINEMENT"]
RACKS = ["r1", "r2"]
MINIMUMS: list[list[dict[str, int]]] = [[], [{"cpus": 2500}], [{"cpus": 1000, "mem": 2_000_000}, {"mem": 8_000_000}]]
roles = st.lists(st.sampled_from(ROLES), min_size=1, max_size=3, unique=True)
capabilities = st.lists(st.sampled_from(CAPABILITIES), unique=True)
refusals = st.sampled_from([None, 0.0, 0.3, 5.0, 40.0, 1e9])


class Allocators(RuleBasedStateMachine):
    """The real allocator and the naive one, told the same."""

    @initialize(interval_s=st.sampled_from([1.0, 0.5]), agents=st.lists(st.sampled_from(TOTALS), max_size=4))
    def start(self, interval_s: float, agents: list[Resources]) -> None:
        self.real = Allocator(AllocatorSettings(allocation_interval_s=interval_s))
        self.real._cluster.table.retired_max = 1
        self.naive = Naive(interval_s)
        self.now = 100.0
        self.offers: list[Grant] = []
        self.tasks: list[Grant] = []
        self.numbers = iter(range(1, 1_000_000))
        for total in agents:
            self.agent_came(total=total, rack="r1", used=False, pick=0)

    # frameworks ------------------------------------------------------------
    @rule(
        roles=roles,
        capabilities=capabilities,
        rack=st.sampled_from([None, None, *RACKS]),
        minimum=st.sampled_from([None, None, *MINIMUMS]),
        silent=st.booleans(),
        active=st.sampled_from([True, True, False]),
        again=st.booleans(),
        pick=st.integers(0, 99),
    )
    def framework_came_or_changed(
        self,
        roles: list[str],
        capabilities: list[str],
        rack: str | None,
        minimum: list[dict[str, int]] | None,
        silent: bool,
        active: bool,
        again: bool,
        pick: int,
    ) -> None:
        known = list(self.naive.frameworks)
        new = not (again and known)
        framework_id = f"F{next(self.numbers)}" if new else known[pick % len(known)]
        suppressed = roles[:1] if silent else []
        wanted = None
        if rack is not None:
            wanted = constraints(roles[0], [constraint(text_equals=rack)])
            for role in roles[1:]:
                wanted.role_constraints[role] = wanted.role_constraints[roles[0]]
        minimums = {} if minimum is None else dict.fromkeys(roles, minimum)
        described = {"suppressed": suppressed, "constraints": wanted, "min_allocatable": minimums}
        naive = self.naive.framework(framework_id)
        if new:
            self.real.add_framework(framework_id, roles, capabilities, active=active, **described)  # type: ignore[arg-type]
            naive.active = active
        else:
            self.real.update_framework(framework_id, roles, capabilities, **described)  # type: ignore[arg-type]
        kept = NaiveFramework(
            naive.active, {role: role in suppressed for role in roles}, capabilities, rack, minimums, naive.held
        )
        self.naive.frameworks[framework_id] = kept
        self._forget_filters_of_gone_slots()

    @precondition(lambda self: self.naive.frameworks)
    @rule(pick=st.integers(0, 99), role=st.sampled_from([None, *ROLES]), what=st.sampled_from(["suppress", "revive"]))
    def role_was_suppressed_or_revived(self, pick: int, role: str | None, what: str) -> None:
        framework_id, framework = self._framework(pick)
        roles = list(framework.roles) if role is None else [role] if role in framework.roles else []
        if not roles:
            return
        getattr(self.real, what)(framework_id, [] if role is None else roles)
        for one in roles:
            framework.roles[one] = what == "suppress"
        if what == "revive":
            self._unfilter(framework_id, roles)

    @precondition(lambda self: self.naive.frameworks)
    @rule(pick=st.integers(0, 99), what=st.sampled_from(["activate", "deactivate", "remove"]))
    def scheduler_came_or_went(self, pick: int, what: str) -> None:
        framework_id, framework = self._framework(pick)
        getattr(self.real, f"{what}_framework")(framework_id)
        framework.active = what == "activate"
        if what == "activate":
            self._unfilter(framework_id, list(framework.roles))
        if what == "remove":
            del self.naive.frameworks[framework_id]
            self._unfilter(framework_id, ROLES)
            for agent in self.naive.agents.values():
                agent.allocated = {slot: had for slot, had in agent.allocated.items() if slot[0] != framework_id}
                agent.held = {slot: count for slot, count in agent.held.items() if slot[0] != framework_id}
            self.offers = [one for one in self.offers if one.framework_id != framework_id]
            self.tasks = [one for one in self.tasks if one.framework_id != framework_id]
        self._forget_filters_of_gone_slots()

    @rule(role=st.sampled_from(ROLES), weight=st.sampled_from([0.5, 1.0, 2.0, 3.0]))
    def role_got_a_weight(self, role: str, weight: float) -> None:
        self.real.set_weight(role, weight)
        self.naive.weights[role] = weight

    # agents ----------------------------------------------------------------
    @rule(
        total=st.sampled_from(TOTALS), rack=st.sampled_from([None, *RACKS]), used=st.booleans(), pick=st.integers(0, 99)
    )
    def agent_came(self, total: Resources, rack: str | None, used: bool, pick: int) -> None:
        agent_id = f"S{next(self.numbers)}"
        marks = attributes("" if rack is None else f"rack:{rack}")
        agent = NaiveAgent(total, rack)
        came_with: list[tuple[str, str, Resources]] = []
        if used and self.naive.frameworks:
            framework_id, framework = self._framework(pick)
            part = total.filter(lambda identity: identity.name == "cpus")
            came_with = [(framework_id, next(iter(framework.roles)), part)]
            agent.allocated[came_with[0][:2]] = part
            self.tasks.append(Grant(framework_id, came_with[0][1], agent_id, part))
        self.real.add_agent(agent_id, total, marks, hostname=agent_id, used=came_with)
        self.naive.agents[agent_id] = agent
        self.naive.follow_slots()

    @precondition(lambda self: self.naive.agents)
    @rule(
        pick=st.integers(0, 99),
        total=st.sampled_from(TOTALS),
        what=st.sampled_from(["activate", "deactivate", "remove", "update"]),
    )
    def agent_changed(self, pick: int, total: Resources, what: str) -> None:
        agent_id = list(self.naive.agents)[pick % len(self.naive.agents)]
        agent = self.naive.agents[agent_id]
        if what == "update":
            agent.total = total
            marks = attributes("" if agent.rack is None else f"rack:{agent.rack}")
            self.real.update_agent(agent_id, total, marks)
        else:
            getattr(self.real, f"{what}_agent")(agent_id)
            agent.active = what == "activate"
        if what in {"remove", "update"}:
            self.naive.filters = [one for one in self.naive.filters if one.agent_id != agent_id]
        if what == "remove":
            for (framework_id, _), count in agent.held.items():
                self.naive.frameworks[framework_id].held -= count
            del self.naive.agents[agent_id]
            self.offers = [one for one in self.offers if one.agent_id != agent_id]
            self.tasks = [one for one in self.tasks if one.agent_id != agent_id]
            self._forget_filters_of_gone_slots()

    # offers ----------------------------------------------------------------
    @rule(passed_s=st.sampled_from([0.0, 0.001, 0.4, 1.0, 3.0, 45.0]))
    def cycle_ran(self, passed_s: float) -> None:
        self.now += passed_s
        cluster = self.real._cluster
        before = self.real.next_deadline()
        order = list(cluster.agents) if cluster.all_dirty else [agent.id for agent in cluster.dirty]
        grants = self.real.allocate(self.now)
        # Filters that end make their agents dirty in the cycle itself; nobody else may get anything.
        order += [one.agent_id for one in grants] + list(self.naive.agents)
        self.naive.follow_slots()
        expected = self.naive.allocate(self.now, list(dict.fromkeys(order)))
        assert [(one.framework_id, one.role, one.agent_id, one.resources) for one in grants] == expected
        assert not grants or (before is not None and before <= self.now + 1.0)
        self.offers.extend(grants)

    @precondition(lambda self: self.offers)
    @rule(pick=st.integers(0, 99), share=st.sampled_from([0, 0, 1, 2]), refuse_s=refusals)
    def offer_was_answered(self, pick: int, share: int, refuse_s: float | None) -> None:
        offer = self.offers.pop(pick % len(self.offers))
        slot = (offer.framework_id, offer.role)
        entries = list(offer.resources)
        kept = [entry.identity for entry in entries[: len(entries) * share // 2]]
        used = offer.resources.filter(lambda identity: identity in kept)
        rest = offer.resources - used
        self.real.answered(*slot, offer.agent_id)
        agent = self.naive.agents[offer.agent_id]
        agent.held[slot] -= 1
        if not agent.held[slot]:
            del agent.held[slot]
        self.naive.frameworks[offer.framework_id].held -= 1
        if used:
            self.tasks.append(Grant(*slot, offer.agent_id, used))
        if rest:
            self._recover(offer, rest, refuse_s)

    @precondition(lambda self: self.offers)
    @rule(uses=st.booleans(), refuse_s=refusals, passed_s=st.sampled_from([0.0, 1.0, 6.0]))
    def everyone_answered_and_a_cycle_ran(self, uses: bool, refuse_s: float | None, passed_s: float) -> None:
        for number in range(len(self.offers)):
            self.offer_was_answered(pick=0, share=number % 2 if uses else 0, refuse_s=refuse_s)
        self.cycle_ran(passed_s=passed_s)

    @precondition(lambda self: self.tasks)
    @rule(pick=st.integers(0, 99))
    def task_ended(self, pick: int) -> None:
        task = self.tasks.pop(pick % len(self.tasks))
        self._recover(task, task.resources, None)

    def _recover(self, grant: Grant, resources: Resources, refuse_s: float | None) -> None:
        slot = (grant.framework_id, grant.role)
        self.real.recover(*slot, grant.agent_id, resources, now=self.now, refuse_s=refuse_s)
        self.naive.recover(slot, grant.agent_id, resources, self.now, refuse_s)
        self._forget_filters_of_gone_slots()
        assume(self.naive.kinds_of_slot(grant.agent_id, slot) <= KINDS_PER_SLOT_MAX)

    # what always holds -----------------------------------------------------
    @invariant()
    def what_is_allocated_and_free_is_the_total(self) -> None:
        cluster = self.real._cluster
        assert list(cluster.agents) == list(self.naive.agents)
        for agent in cluster.agents.values():
            allocated = sum_of(agent.allocated.values())
            if agent.total.contains(allocated):
                assert agent.free + allocated == agent.total
            assert agent.free == self.naive.agents[agent.id].free
            by_slot = {(slot.framework.id, slot.role): had for slot, had in agent.allocated.items()}
            assert by_slot == self.naive.agents[agent.id].allocated

    @invariant()
    def roles_have_what_their_frameworks_have(self) -> None:
        for view in self.real.role_view():
            parts = [
                had
                for agent in self.naive.agents.values()
                for (_, role), had in agent.allocated.items()
                if role == view.role or role.startswith(view.role + "/")
            ]
            scalars = sum_of(parts).filter(lambda identity: identity.type == "SCALAR")
            assert view.allocated_milli == dict(scalars.quantities())

    @invariant()
    def unanswered_offers_are_counted(self) -> None:
        for framework_id, framework in self.naive.frameworks.items():
            mine = [one for one in self.offers if one.framework_id == framework_id]
            assert self.real._cluster.frameworks[framework_id].held == framework.held == len(mine)

    # ------------------------------------------------------------------------
    def _framework(self, pick: int) -> tuple[str, NaiveFramework]:
        items = list(self.naive.frameworks.items())
        return items[pick % len(items)]

    def _unfilter(self, framework_id: str, roles: list[str]) -> None:
        self.naive.filters = [
            one for one in self.naive.filters if one.slot[0] != framework_id or one.slot[1] not in roles
        ]

    def _forget_filters_of_gone_slots(self) -> None:
        self.naive.follow_slots()
        slots = self.naive.slots()
        self.naive.filters = [one for one in self.naive.filters if one.slot in slots]


TestAllocators = Allocators.TestCase
TestAllocators.settings = settings(max_examples=80, stateful_step_count=40, deadline=None)
