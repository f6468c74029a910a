"""The master's records and the indices between them.

Rules: a record owns only the methods that keep two indices consistent; decisions live in the handlers.
Order: every collection is an ordered dict or a list, so that the same events give the same effects.
"""

from __future__ import annotations

from collections import OrderedDict, deque
from typing import TYPE_CHECKING

import msgspec

from merismos.core.master.fixed_delay import FixedDelay
from merismos.core.master.machines import Maintenance
from merismos.core.master.turns import Turns

if TYPE_CHECKING:
    from collections.abc import Callable

    from merismos.core.allocator import Allocator
    from merismos.core.kernel import Deadlines, Effect, Event, Prng
    from merismos.core.master.drains import Drain
    from merismos.model.quota import Quota
    from merismos.model.resources import Resources
    from merismos.protocol.link import KillTask
    from merismos.protocol.v1 import mesos, scheduler
    from merismos.protocol.v1.allocator import InverseOfferStatus

    Continuation = Callable[["Master", float], None]

DECISIONS_MAX = 64


class Decision(msgspec.Struct, gc=False):
    """Why work of a framework waits: one line of its journal, which may have been decided several `times`, at last at `at`.

    Shapes: `reason` is a lower-case word (`declined`, `offer_timeout`, `rescinded`, `task_invalid`, `offers_invalid`).
    """

    at: float
    reason: str
    role: str
    message: str
    agent_id: str = ""
    until: float | None = None
    task_id: str = ""
    times: int = 1


class Task(msgspec.Struct, gc=False, eq=False):
    """One task: what its framework asked for, and every status it has had.

    Shapes: `info` the JSON of its TaskInfo as the client wrote it; `executor_id` empty for a command task; `statuses` one a
    state, in the short form that only `statuses.py` reads; `update_uuid` of the latest update that waits for its
    acknowledgement; `update_state` the state in the latest update, behind `state` while updates queue up at the agent.
    """

    # The collector doesn't track tasks, there are too many: whoever forgets a framework empties its tasks (`Framework.forget`).
    id: str
    framework: Framework
    agent: Agent
    role: str
    resources: Resources
    info: bytes
    executor_id: str
    state: str = "TASK_STAGING"
    statuses: tuple[bytes, ...] = ()
    update_uuid: bytes = b""
    update_state: str = ""


class Offer(msgspec.Struct, gc=False, eq=False):
    """Resources of one agent, promised to one framework in one role until it answers."""

    id: str
    framework: Framework
    agent: Agent
    role: str
    resources: Resources
    offered_at: float


class InverseOffer(msgspec.Struct, gc=False, eq=False):
    """A framework, asked to leave an agent that will be away."""

    id: str
    framework: Framework
    agent: Agent
    unavailability: mesos.Unavailability
    offered_at: float


class Executor:
    """A custom or default executor known to run on an agent."""

    __slots__ = ("framework_id", "id", "info", "resources", "role")

    def __init__(self, framework_id: str, executor_id: str, info: bytes, resources: Resources, role: str) -> None:
        self.framework_id = framework_id
        self.id = executor_id
        self.info = info
        self.resources = resources
        self.role = role


class Framework:
    """A framework: who it is, whether its scheduler is there, and what it has."""

    def __init__(self, info: mesos.FrameworkInfo, framework_id: str, now: float) -> None:
        self.id = framework_id
        self.info = info
        self.info_json = b""  # rendering of `info`, sent along with tasks
        self.roles: list[str] = []
        self.suppressed: dict[str, None] = {}
        self.capabilities: dict[str, None] = {}
        self.partition_aware = False
        self.multi_role = False
        self.refinement = False
        self.principal: str | None = None
        self.stream: int | None = None  # the open event stream; None: disconnected
        self.stream_id = ""
        self.active = False  # connected and offered to
        self.recovered = False  # known from agents only, its scheduler not back yet
        self.registered_at = now
        self.reregistered_at: float | None = None
        self.disconnected_at: float | None = None
        self.unregistered_at: float | None = None
        self.offers: dict[str, Offer] = {}
        self.inverse_offers: dict[str, InverseOffer] = {}
        self.tasks: dict[str, Task] = {}
        self.unreachable_tasks: dict[str, Task] = {}
        self.completed_tasks: dict[str, Task] = {}  # oldest first, bounded by the handlers
        self.executors: dict[tuple[str, str], Executor] = {}  # by (agent id, executor id)
        self.counters: dict[str, int] = {}  # for the per-framework metrics, keyed by the metric's tail
        self.decisions: deque[Decision] = deque(maxlen=DECISIONS_MAX)  # what kept its work waiting, oldest first
        self.offer_constraints: scheduler.OfferConstraints | None = None
        self.demand: Resources | None = None  # what its scheduler last asked for by REQUEST; only "why" reads it

    def forget(self) -> None:
        """Let go of what it had, once nobody asks for it any more."""
        self.completed_tasks.clear()
        self.unreachable_tasks.clear()


class Agent:
    """An agent: what it has, what runs there, and whether its link is up."""

    def __init__(self, agent_id: str, info: mesos.AgentInfo, info_json: bytes, total: Resources, now: float) -> None:
        self.id = agent_id
        self.info = info
        self.info_json = info_json
        self.total = total
        self.pid = ""
        self.version = ""
        self.capabilities: list[str] = []
        self.link: int | None = None  # None: disconnected
        self.active = True  # offered from
        self.deactivated = False  # by an operator
        self.registered_at = now
        self.reregistered_at: float | None = None
        self.hostname = info.hostname
        self.ip = ""
        self.port = info.port
        self.ping_sequence = 0
        self.pings_missed = 0
        self.kills: dict[tuple[str, str], KillTask] = {}  # of tasks that haven't ended yet
        self.offers: dict[str, Offer] = {}
        self.unavailability: mesos.Unavailability | None = None  # when its machine will be away
        self.inverse_offers: dict[str, InverseOffer] = {}  # by framework id, as the two below: one at a time
        self.inverse_statuses: dict[str, InverseOfferStatus] = {}
        self.inverse_refused_until: dict[str, float] = {}
        self.tasks: dict[Task, None] = {}  # a key of both ids would cost a tuple a task
        self.strays: dict[tuple[str, str], Task] = {}  # by (framework id, task id): that id is another task's by now
        self.executors: dict[tuple[str, str], Executor] = {}  # by (framework id, executor id)


class Config:
    """The flags that decide something; times in seconds."""

    def __init__(self) -> None:
        self.heartbeat_s = 15.0
        self.offer_timeout_s = 60.0
        self.allocation_interval_s = 1.0
        self.agent_ping_timeout_s = 15.0
        self.pings_missed_max = 5
        self.agent_reregister_timeout_s = 600.0
        self.agent_removal_interval_s = 0.0  # between two agents that are given up; 0: no limit
        self.recovery_agent_removal_limit = 1.0  # part of the registry's agents
        self.registry_gc_interval_s = 900.0
        self.registry_max_agent_age_s = 14 * 86_400.0
        self.registry_max_agent_count = 102_400
        self.max_completed_frameworks = 50
        self.max_completed_tasks_per_framework = 1000
        self.max_unreachable_tasks_per_framework = 1000
        self.max_operator_streams = 1000
        self.min_allocatable: list[dict[str, int]] = [{"cpus": 10}, {"mem": 32_000}]
        self.offers_held_max = (
            0  # cap on unanswered offers of one framework while others wait; 0: the allocator's default
        )
        self.weights: dict[str, float] = {}
        self.whitelist: list[str] | None = None
        self.filter_gpu_resources = True
        self.fair_sharing_excluded: list[str] = []
        self.role_sorter = "drf"
        self.framework_sorter = "drf"
        self.cluster: str | None = None
        self.roles: list[str] | None = None  # the deprecated role whitelist


class Master:
    """All that a leading master knows."""

    def __init__(self, config: Config, allocator: Allocator, deadlines: Deadlines, prng: Prng) -> None:
        self.config = config
        self.allocator = allocator
        self.deadlines = deadlines
        self.prng = prng
        self.id = ""
        self.epoch = 0
        self.ip = ""
        self.port = 0
        self.hostname = ""
        self.started_at = 0.0
        self.wall_offset_s = 0.0
        self.suspended = ""  # why nothing is decided at the moment; empty: it leads and knows it
        self.frameworks: dict[str, Framework] = {}
        self.completed_frameworks: dict[str, Framework] = {}
        self.streams: dict[int, Framework] = {}
        self.operator_streams: list[int] = []
        self.agents: dict[str, Agent] = {}
        self.addresses: dict[str, Agent] = {}  # the latest agent at each pid
        self.links: dict[int, Agent | None] = {}  # None: nobody's yet, or nobody's any more
        self.unreachable_agents: dict[str, float] = {}  # id -> wall time
        self.gone_agents: dict[str, float] = {}
        self.recovered_agents: dict[str, mesos.AgentInfo] = {}  # in the registry, not back yet
        self.removed_frameworks: dict[str, float] = {}  # torn down or given up, by wall time; their ids never come back
        self.agents_at_election = 0
        self.agents_with_unreachable_tasks: dict[str, None] = {}  # where some framework may remember such tasks
        self.removals_waiting: dict[str, None] = {}  # agents to be given up once the rate limit allows
        self.next_removal_at = 0.0
        self.kept: list[Event] = []  # what happened while suspended
        self.offers: OrderedDict[str, Offer] = OrderedDict()  # the oldest first, as they time out
        self.inverse_offers: OrderedDict[str, InverseOffer] = OrderedDict()  # the oldest first
        self.maintenance = Maintenance()
        self.drains: dict[str, Drain] = {}  # of deactivated agents, by id
        self.drain_turns = Turns()
        self.next_framework = 0
        self.next_agent = 0
        self.next_offer = 0
        self.registry_sequence = 0
        self.writes: dict[int, Continuation] = {}  # what follows when a registry write is durable
        self.admitting: dict[str, int] = {}  # agents whose registry entry is being written -> the link it came over
        self.leaving: dict[str, None] = {}  # agents whose removal is being written
        self.heartbeats: FixedDelay[int] = FixedDelay(config.heartbeat_s)  # by stream
        self.pings: FixedDelay[str] = FixedDelay(config.agent_ping_timeout_s)  # by agent id
        self.weights: dict[str, float] = {}
        self.quotas: dict[str, Quota] = {}
        self.quotas_asked: dict[str, Quota] = {}  # as they will be once all writes are durable
        self.metrics: dict[str, int] = {}  # counters by Mesos' metric name
        self.effects: list[Effect] = []  # of the event that is being handled
