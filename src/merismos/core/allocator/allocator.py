"""The allocator: who is offered what, when. The master tells it what happened and asks it for grants.

Rules:
- Synchronous and pure: no clock, no I/O; the same calls give the same grants.
- An event marks agents dirty and returns; a cycle looks at dirty agents only. Cycles are at least `debounce_s` apart, and further
  after a cycle that looked at many agents, so that allocating never takes most of the time. An event that finds the allocator
  rested is served at once.
- The batch interval is the floor of fairness: what a framework declined it isn't offered again before the next multiple of it.
- What isn't known any more (a framework or agent already removed) is ignored; giving back more than was given is a bug.
"""

from __future__ import annotations

from collections.abc import Container, Iterable, Mapping, Sequence
from typing import TYPE_CHECKING, Final

from merismos.core.allocator import explanation
from merismos.core.allocator.agents import Agent
from merismos.core.allocator.cluster import Cluster, minimum_of
from merismos.core.allocator.constraints import conditions_of
from merismos.core.allocator.cycle import Cycle
from merismos.core.allocator.filters import last_step, refuse
from merismos.core.allocator.quota import consumption
from merismos.core.allocator.quota_cycle import QuotaCycle
from merismos.core.allocator.settings import AllocatorSettings, Grant, RoleView
from merismos.core.allocator.views import role_views
from merismos.core.kernel import Prng
from merismos.model.resources import Resources

if TYPE_CHECKING:
    from merismos.core.allocator.explanation import Explanation
    from merismos.core.allocator.slots import Framework
    from merismos.model.quota import Quota
    from merismos.protocol.v1 import mesos, scheduler

REST_PER_AGENT_S: Final = 5e-6
REST_PER_AGENT_WITH_QUOTA_S: Final = 40e-6


class Allocator:
    """A hierarchical DRF allocator.

    Units: `now` and deadlines in seconds of the shell's monotonic clock.
    """

    def __init__(self, settings: AllocatorSettings, seed: int = 0) -> None:
        self.settings = settings
        self._cluster = Cluster(settings, Prng(seed))
        self._cycle = Cycle(self._cluster)
        self._quota_cycle = QuotaCycle(self._cluster)
        self._paused = ""
        self._rested_at = 0.0
        self._last_refusal = (-1.0, 0.0, 0)  # now, refuse_s and the step that they give: many are declined at once
        self.runs = 0

    # ------------------------------------------------------------ frameworks
    def add_framework(
        self,
        framework_id: str,
        roles: Sequence[str],
        capabilities: Container[str],
        *,
        suppressed: Iterable[str] = (),
        active: bool = True,
        constraints: scheduler.OfferConstraints | None = None,
        min_allocatable: Mapping[str, Sequence[dict[str, int]]] | None = None,
    ) -> None:
        """Let a framework take part in its roles; what it already has on agents is known."""
        framework = self._cluster.framework(framework_id)
        framework.active = active
        self._describe(framework, roles, capabilities, suppressed, constraints, min_allocatable)

    def update_framework(
        self,
        framework_id: str,
        roles: Sequence[str],
        capabilities: Container[str],
        *,
        suppressed: Iterable[str] = (),
        constraints: scheduler.OfferConstraints | None = None,
        min_allocatable: Mapping[str, Sequence[dict[str, int]]] | None = None,
    ) -> None:
        """Take over what changed; filters of roles that stay are kept."""
        framework = self._cluster.frameworks.get(framework_id)
        if framework is not None:
            self._describe(framework, roles, capabilities, suppressed, constraints, min_allocatable)

    def _describe(
        self,
        framework: Framework,
        roles: Sequence[str],
        capabilities: Container[str],
        suppressed: Iterable[str],
        constraints: scheduler.OfferConstraints | None,
        min_allocatable: Mapping[str, Sequence[dict[str, int]]] | None,
    ) -> None:
        cluster = self._cluster
        framework.capabilities = capabilities
        framework.conditions = conditions_of(constraints)
        framework.minimums = {role: minimum_of(alternatives) for role, alternatives in (min_allocatable or {}).items()}
        silent = dict.fromkeys(suppressed)
        for slot in list(framework.slots.values()):
            cluster.describe_again(slot)
            slot.subscribed = False
        for role in roles:
            slot = cluster.slot(framework, role)
            slot.subscribed = True
            slot.suppressed = role in silent
        for slot in list(framework.slots.values()):
            cluster.seat(slot)

    def activate_framework(self, framework_id: str) -> None:
        """Offer to a framework whose scheduler is there; no filter stands in its way."""
        framework = self._cluster.frameworks.get(framework_id)
        if framework is None:
            return
        framework.active = True
        for slot in framework.slots.values():
            self._cluster.unfilter(slot)
            self._cluster.seat(slot)

    def deactivate_framework(self, framework_id: str) -> None:
        """Offer nothing to a framework whose scheduler is away; it keeps what it has."""
        framework = self._cluster.frameworks.get(framework_id)
        if framework is None:
            return
        framework.active = False
        for slot in list(framework.slots.values()):
            self._cluster.seat(slot)

    def remove_framework(self, framework_id: str) -> None:
        """Forget a framework; whatever it still has anywhere is free again."""
        cluster = self._cluster
        framework = cluster.frameworks.get(framework_id)
        if framework is None:
            return
        for slot in list(framework.slots.values()):
            if slot.places:
                for agent in cluster.agents.values():
                    cluster.settle_offers(agent, slot, agent.held.get(slot, 0))
                    left = agent.allocated.get(slot)
                    if left is not None:
                        cluster.give_back(agent, slot, left)
            slot.subscribed = False
            cluster.seat(slot)
        cluster.forget(framework)

    def suppress(self, framework_id: str, roles: Sequence[str]) -> None:
        """Offer nothing in these roles, in all where none is named."""
        framework = self._cluster.frameworks.get(framework_id)
        if framework is None:
            return
        for role in roles or list(framework.slots):
            slot = framework.slots.get(role)
            if slot is not None:
                slot.suppressed = True
                self._cluster.seat(slot)

    def revive(self, framework_id: str, roles: Sequence[str]) -> None:
        """Offer again in these roles (all where none is named), and clear every filter of theirs."""
        framework = self._cluster.frameworks.get(framework_id)
        if framework is None:
            return
        for role in roles or list(framework.slots):
            slot = framework.slots.get(role)
            if slot is not None:
                slot.suppressed = False
                self._cluster.unfilter(slot)
                self._cluster.seat(slot)

    # ------------------------------------------------------------ agents
    def add_agent(
        self,
        agent_id: str,
        total: Resources,
        attributes: list[mesos.Attribute],
        *,
        hostname: str,
        region: str | None = None,
        zone: str | None = None,
        active: bool = True,
        used: Sequence[tuple[str, str, Resources]] = (),
    ) -> None:
        """Offer an agent's resources, but for what is used: (framework id, role, resources) of tasks that it came with."""
        cluster = self._cluster
        assert agent_id not in cluster.agents, f"agent {agent_id} is known already; remove it first"
        agent = Agent(agent_id, total, attributes, hostname, region, zone)
        agent.active = active
        cluster.add(agent)
        for framework_id, role, resources in used:
            self.allocate_used(framework_id, role, agent_id, resources)
        agent.refresh(cluster.tree, cluster.minimum)

    def update_agent(self, agent_id: str, total: Resources, attributes: list[mesos.Attribute]) -> None:
        """Take over an agent's changed total or attributes; what was refused before doesn't count any more."""
        agent = self._cluster.agents.get(agent_id)
        if agent is not None:
            agent.attributes = attributes
            self._cluster.resize(agent, total)

    def remove_agent(self, agent_id: str) -> None:
        """Forget an agent and everything that is allocated of it."""
        agent = self._cluster.agents.get(agent_id)
        if agent is not None:
            self._cluster.remove(agent)

    def activate_agent(self, agent_id: str) -> None:
        """Offer from an agent again."""
        agent = self._cluster.agents.get(agent_id)
        if agent is not None:
            agent.active = True
            self._cluster.set_offered(agent)
            self._cluster.dirty[agent] = None

    def deactivate_agent(self, agent_id: str) -> None:
        """Offer nothing of an agent for now."""
        agent = self._cluster.agents.get(agent_id)
        if agent is not None:
            agent.active = False
            self._cluster.set_offered(agent)

    def set_whitelist(self, hostnames: Iterable[str] | None) -> None:
        """Offer only from agents with these hostnames; None for all."""
        cluster = self._cluster
        cluster.whitelist = None if hostnames is None else dict.fromkeys(hostnames)
        for agent in cluster.agents.values():
            agent.listed = cluster.whitelist is None or agent.hostname in cluster.whitelist
            cluster.set_offered(agent)
        cluster.all_dirty = True

    # ------------------------------------------------------------ resources
    def recover(
        self,
        framework_id: str,
        role: str,
        agent_id: str,
        resources: Resources,
        *,
        now: float,
        refuse_s: float | None = None,
    ) -> None:
        """Take back offered or used resources.

        With `refuse_s`, the framework isn't offered the agent in this role before both that time and the batch have passed, unless
        the agent has more than was refused; None sets no filter.
        """
        cluster = self._cluster
        agent = cluster.agents.get(agent_id)
        framework = cluster.frameworks.get(framework_id)
        if agent is None or framework is None or not resources:
            return
        slot = framework.slots.get(role)
        assert slot is not None, (
            f"framework {framework_id} gives back resources of role {role}, in which it has nothing"
        )
        cluster.give_back(agent, slot, resources)
        if slot.subscribed:
            if refuse_s is not None:
                slot.filtered_ever = True
                at, lasting, step = self._last_refusal
                if at != now or lasting != refuse_s:
                    step = last_step(now, refuse_s, self.settings.allocation_interval_s)
                    self._last_refusal = (now, refuse_s, step)
                refuse(agent, slot.bit, resources, step)
                cluster.expiries.note(step, agent)
        else:
            cluster.seat(slot)

    def answered(self, framework_id: str, role: str, agent_id: str, offers: int = 1) -> None:
        """Count offers as no longer unanswered: accepted, declined or rescinded. Their resources are another matter."""
        cluster = self._cluster
        agent = cluster.agents.get(agent_id)
        framework = cluster.frameworks.get(framework_id)
        slot = None if framework is None else framework.slots.get(role)
        if agent is not None and slot is not None:
            cluster.settle_offers(agent, slot, offers)

    def allocate_used(self, framework_id: str, role: str, agent_id: str, resources: Resources) -> None:
        """Charge resources that were not granted here: of tasks that an agent came with."""
        cluster = self._cluster
        agent = cluster.agents.get(agent_id)
        if agent is not None and resources:
            cluster.take_used(agent, cluster.slot(cluster.framework(framework_id), role), resources)

    def users_of(self, agent_id: str) -> list[str]:
        """Return the ids of the frameworks that are offered or use something of an agent."""
        agent = self._cluster.agents.get(agent_id)
        return [] if agent is None else list(dict.fromkeys([slot.framework.id for slot in agent.allocated]))

    # ------------------------------------------------------------ roles
    def set_weight(self, role: str, weight: float) -> None:
        """Give a role a weight against its siblings; 1 is every role's default."""
        self._cluster.tree.set_weight(role, weight)

    def set_quotas(self, changes: Mapping[str, Quota]) -> None:
        """Guarantee roles something and limit them, each with all below it; a quota that says nothing takes it away."""
        self._cluster.set_quotas(changes)

    def consumption(self, role: str, offers: Iterable[tuple[str, Resources]] = ()) -> dict[str, int]:
        """Return what counts for the quota of a role, whether it has one or not, without what `offers` have (role, resources).

        Units: thousandths.
        """
        return consumption(role, self._cluster.agents.values(), offers)

    def is_past_limit(self, role: str, resources: Resources) -> bool:
        """Return whether a limit is passed, and taking `resources` back from `role` would bring it nearer."""
        return self._cluster.quotas.exceeds(role, resources)

    def is_in_the_way(self, role: str, resources: Resources) -> bool:
        """Return whether a guarantee can't be met by what is free, and taking `resources` back from `role` would help."""
        return self._cluster.quotas.is_in_the_way(role, resources)

    # ------------------------------------------------------------ cycles
    def pause(self, reason: str) -> None:
        """Grant nothing until `resume`; `reason` explains why."""
        self._paused = reason

    def resume(self) -> None:
        """Grant again."""
        self._paused = ""

    def allocate(self, now: float) -> list[Grant]:
        """Run one cycle over the dirty agents; what it grants is charged already."""
        if self._paused:
            return []
        cluster = self._cluster
        for agent in cluster.expiries.end(now):
            cluster.dirty[agent] = None
        cluster.count_full()
        if cluster.all_dirty:
            cluster.all_dirty = False
            agents = list(cluster.agents.values())
        else:
            agents = list(cluster.dirty)
        if not agents:
            return []
        cluster.dirty.clear()
        self.runs += 1
        cycle, rest_s = (
            (self._quota_cycle, REST_PER_AGENT_WITH_QUOTA_S)
            if cluster.quotas.roles
            else (self._cycle, REST_PER_AGENT_S)
        )
        self._rested_at = now + max(self.settings.debounce_s, len(agents) * rest_s)
        cluster.tree.settle(now, self.settings.allocation_interval_s)
        return cycle.run(agents)

    def next_deadline(self) -> float | None:
        """Return the next instant at which `allocate` should run, None while nothing waits for it."""
        if self._paused:
            return None
        cluster = self._cluster
        expiry = cluster.expiries.next()
        if cluster.all_dirty or cluster.dirty:
            return self._rested_at if expiry is None else min(self._rested_at, expiry)
        return expiry

    # ------------------------------------------------------------ explanations
    def explain(self, framework_id: str, role: str, wanted: Resources | None, now: float) -> Explanation:
        """Return why a framework that waits for `wanted` in a role wasn't offered it, agent by agent in sum."""
        return explanation.explain(
            self._cluster, self._cycle.bases(), framework_id, role, wanted, now, paused=self._paused
        )

    def role_view(self) -> list[RoleView]:
        """Return every role that has frameworks, by name, with its ancestors."""
        return role_views(self._cluster)
