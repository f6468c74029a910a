from __future__ import annotations

from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, precondition, rule

from merismos.core.allocator import Allocator, AllocatorSettings, Grant
from merismos.model.identity import IdentityKey, identity_of
from merismos.model.quota import Quota
from merismos.model.resources import Resources, resources_of, sum_of
from merismos.model.roles import is_in_subtree
from unit.allocator.rig import res

REVOCABLE = resources_of([(identity_of(IdentityKey("cpus", "SCALAR", revocable=True)), 2000)])
TOTALS = [
    res("cpus:4;mem:4096;ports:[31000-32000]"),
    res("cpus:9;mem:1024"),
    res("cpus:2;mem:512;cpus(eng):2;mem(eng/web):64"),
    res("cpus:3;mem:8192;gpus:3"),
    res("cpus:1;mem:512") + REVOCABLE,
]
ROLES = ["*", "eng", "eng/web", "ops"]
CAPABILITIES = ["GPU_RESOURCES", "REVOCABLE_RESOURCES", "RESERVATION_REFINEMENT"]
roles = st.lists(st.sampled_from(ROLES), min_size=1, max_size=3, unique=True)
amounts = st.dictionaries(
    st.sampled_from(["cpus", "mem", "gpus"]), st.integers(0, 9).map(lambda number: number * 500), max_size=2
)
Quantities = dict[str, int]


def counted(resources: Resources, role: str) -> Quantities:
    """What of an allocation counts for `role`, its reservations apart."""
    found: Quantities = {}
    for identity, value, copies in resources:
        owner = identity.reservation_role
        own = owner is not None and is_in_subtree(owner, role)
        if identity.type == "SCALAR" and not identity.revocable and not own:
            assert isinstance(value, int)
            found[identity.name] = found.get(identity.name, 0) + value * copies
    return found


def plus(*parts: Quantities) -> Quantities:
    total: Quantities = {}
    for part in parts:
        for name, milli in part.items():
            total[name] = total.get(name, 0) + milli
    return {name: milli for name, milli in total.items() if milli}


class QuotasHold(RuleBasedStateMachine):
    """An allocator with quotas, and what its agents say."""

    @initialize(
        totals=st.lists(st.sampled_from(TOTALS), min_size=1, max_size=4),
        members=st.lists(roles, min_size=1, max_size=3),
        guarantees=amounts,
        limits=amounts,
    )
    def start(
        self, totals: list[Resources], members: list[list[str]], guarantees: Quantities, limits: Quantities
    ) -> None:
        self.real = Allocator(AllocatorSettings())
        self.now = 100.0
        self.quotas: dict[str, Quota] = {}
        self.frameworks: dict[str, list[str]] = {}
        self.numbers = iter(range(1, 1_000_000))
        self.offers: list[Grant] = []
        self.tasks: list[Grant] = []
        for total in totals:
            self.agent_came(total=total, used=False, pick=0)
        for one in members:
            self.framework_came(roles=one, capabilities=CAPABILITIES)
        self.quota_was_set("eng", guarantees, limits)

    # what the agents say ---------------------------------------------------
    def consumed(self, role: str) -> Quantities:
        parts: list[Quantities] = []
        for agent in self.real._cluster.agents.values():
            for owner, reserved in agent.total.reserved_by_role().items():
                if is_in_subtree(owner, role):
                    parts.append(dict(reserved.nonrevocable().quantities()))
            for slot, resources in agent.allocated.items():
                if is_in_subtree(slot.role, role):
                    parts.append(counted(resources, role))
        return plus(*parts)

    def spare(self) -> Quantities:
        return plus(
            *(
                dict(agent.free.unreserved().nonrevocable().filter(lambda one: one.type == "SCALAR").quantities())
                for agent in self.real._cluster.agents.values()
                if agent.active
            )
        )

    def required(self, above: str = "") -> Quantities:
        def is_below(role: str) -> bool:
            return not above or (role != above and is_in_subtree(role, above))

        right_below = [
            role
            for role in self.quotas
            if is_below(role)
            and not any(is_below(other) and other != role and is_in_subtree(role, other) for other in self.quotas)
        ]
        parts: list[Quantities] = []
        for role in right_below:
            asked = dict(self.required(role))
            consumed = self.consumed(role)
            for name, milli in self.quotas[role].guarantees.items():
                asked[name] = max(asked.get(name, 0), milli - consumed.get(name, 0))
            parts.append(asked)
        return plus(*parts)

    # operators -------------------------------------------------------------
    @rule(role=st.sampled_from(["eng", "ops", "*"]), guarantees=amounts, limits=amounts)
    def quota_was_set(self, role: str, guarantees: Quantities, limits: Quantities) -> None:
        guarantees = {name: min(milli, limits.get(name, milli)) for name, milli in guarantees.items()}
        self._set(role, Quota({name: milli for name, milli in guarantees.items() if milli}, limits))

    @rule(limits=amounts, share=st.sampled_from([0, 1, 2]))
    def quota_of_a_nested_role_was_set(self, limits: Quantities, share: int) -> None:
        above = self.quotas.get("eng", Quota()).guarantees
        guarantees = {name: milli * share // 2 for name, milli in above.items() if milli * share // 2}
        limits = {name: max(milli, guarantees.get(name, 0)) for name, milli in limits.items()}
        self._set("eng/web", Quota(guarantees, limits))

    def _set(self, role: str, quota: Quota) -> None:
        self.real.set_quotas({role: quota})
        self.quotas.pop(role, None)
        if quota != Quota():
            self.quotas[role] = quota

    # frameworks and agents -------------------------------------------------
    @rule(roles=roles, capabilities=st.lists(st.sampled_from(CAPABILITIES), unique=True))
    def framework_came(self, roles: list[str], capabilities: list[str]) -> None:
        framework_id = f"F{next(self.numbers)}"
        self.frameworks[framework_id] = roles
        self.real.add_framework(framework_id, roles, capabilities)

    @precondition(lambda self: self.frameworks)
    @rule(pick=st.integers(0, 99), what=st.sampled_from(["suppress", "revive"]))
    def framework_was_suppressed_or_revived(self, pick: int, what: str) -> None:
        getattr(self.real, what)(list(self.frameworks)[pick % len(self.frameworks)], [])

    @precondition(lambda self: self.frameworks)
    @rule(pick=st.integers(0, 99))
    def framework_went(self, pick: int) -> None:
        gone = list(self.frameworks)[pick % len(self.frameworks)]
        del self.frameworks[gone]
        self.real.remove_framework(gone)
        self.offers = [one for one in self.offers if one.framework_id != gone]
        self.tasks = [one for one in self.tasks if one.framework_id != gone]

    @rule(total=st.sampled_from(TOTALS), used=st.booleans(), pick=st.integers(0, 99))
    def agent_came(self, total: Resources, used: bool, pick: int) -> None:
        agent_id = f"S{next(self.numbers)}"
        came_with: list[tuple[str, str, Resources]] = []
        if used and self.frameworks:
            framework_id = list(self.frameworks)[pick % len(self.frameworks)]
            part = total.filter(lambda identity: identity.name == "cpus")
            came_with = [(framework_id, self.frameworks[framework_id][0], part)]
            self.tasks.append(Grant(framework_id, came_with[0][1], agent_id, part))
        self.real.add_agent(agent_id, total, [], hostname=agent_id, used=came_with)

    @precondition(lambda self: self.real._cluster.agents)
    @rule(
        pick=st.integers(0, 99),
        total=st.sampled_from(TOTALS),
        what=st.sampled_from(["activate", "deactivate", "remove", "update"]),
    )
    def agent_changed(self, pick: int, total: Resources, what: str) -> None:
        agents = list(self.real._cluster.agents)
        agent_id = agents[pick % len(agents)]
        if what == "update":
            self.real.update_agent(agent_id, total, [])
        else:
            getattr(self.real, f"{what}_agent")(agent_id)
        if what == "remove":
            self.offers = [one for one in self.offers if one.agent_id != agent_id]
            self.tasks = [one for one in self.tasks if one.agent_id != agent_id]

    # offers ----------------------------------------------------------------
    @rule(passed_s=st.sampled_from([0.001, 1.0, 6.0]))
    def cycle_ran(self, passed_s: float) -> None:
        self.now += passed_s
        spare, required = self.spare(), self.required()
        grants = self.real.allocate(self.now)
        self.offers.extend(grants)
        for grant in grants:
            for role, quota in self.quotas.items():
                if is_in_subtree(grant.role, role):
                    consumed = self.consumed(role)
                    for name in counted(grant.resources, role):
                        assert consumed.get(name, 0) <= quota.limits.get(name, 1 << 60)
        spare_after, required_after = self.spare(), self.required()
        for name, milli in required.items():
            before = spare.get(name, 0) - milli
            assert spare_after.get(name, 0) - required_after.get(name, 0) >= min(0, before)
        self.real._cluster.all_dirty = True
        assert self.real.allocate(self.now) == [], "what could be granted was not looked at"

    @precondition(lambda self: self.offers)
    @rule(pick=st.integers(0, 99), share=st.sampled_from([0, 1, 2]), refuse_s=st.sampled_from([None, 0.0, 5.0]))
    def offer_was_answered(self, pick: int, share: int, refuse_s: float | None) -> None:
        offer = self.offers.pop(pick % len(self.offers))
        kept = [entry.identity for entry in list(offer.resources)[: len(offer.resources) * share // 2]]
        used = offer.resources.filter(lambda identity: identity in kept)
        self.real.answered(offer.framework_id, offer.role, offer.agent_id)
        if used:
            self.tasks.append(Grant(offer.framework_id, offer.role, offer.agent_id, used))
        self._recover(offer, offer.resources - used, refuse_s)

    @precondition(lambda self: self.tasks)
    @rule(pick=st.integers(0, 99))
    def task_ended(self, pick: int) -> None:
        task = self.tasks.pop(pick % len(self.tasks))
        self._recover(task, task.resources, None)

    def _recover(self, grant: Grant, resources: Resources, refuse_s: float | None) -> None:
        self.real.recover(grant.framework_id, grant.role, grant.agent_id, resources, now=self.now, refuse_s=refuse_s)

    # what always holds -----------------------------------------------------
    @invariant()
    def accounts_say_what_the_agents_say(self) -> None:
        known = self.real._cluster.quotas
        assert list(known.roles) == sorted(self.quotas)
        for role in self.quotas:
            kept = {name: milli for name, milli in known.roles[role].consumed.items() if milli}
            assert kept == self.consumed(role) == self.real.consumption(role)
        if self.quotas:
            assert plus(known.spare) == self.spare()
            assert plus(known.root.below) == self.required()

    @invariant()
    def whole_gpus_are_granted_whole(self) -> None:
        assert all(offer.resources.gpus_milli % 1000 == 0 for offer in self.offers)

    @invariant()
    def nothing_is_granted_twice(self) -> None:
        for agent in self.real._cluster.agents.values():
            allocated = sum_of(agent.allocated.values())
            if agent.total.contains(allocated):
                assert agent.free + allocated == agent.total


TestQuotasHold = QuotasHold.TestCase
TestQuotasHold.settings = settings(max_examples=60, stateful_step_count=50, deadline=None)
