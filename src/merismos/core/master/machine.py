"""The master's machine: one table of handlers, one clock of deadlines.

Rules: a handler changes the records and appends effects, in the order in which the shell shall perform them. Nothing happens
between events; what shall happen later has a deadline.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Literal, cast

from merismos.core.allocator import Allocator, AllocatorSettings
from merismos.core.kernel import Deadlines, Effect, Event, Prng, TimerFired
from merismos.core.master import (
    agents,
    calls,
    coordination,
    drain,
    events,
    inverse_offers,
    links,
    offers,
    operator,
    operator_kill,
    publish,
    quota,
    recovery,
    registrar,
    subscriptions,
)
from merismos.core.master.state import Config, Master


class MasterMachine:
    """A leading master that decides and does nothing itself.

    Shapes: `handle` returns a list that the machine won't touch again; `master` is read by the views.
    Units: `now` in seconds of the shell's monotonic clock.
    """

    __slots__ = ("master",)

    def __init__(self, config: Config | None = None) -> None:
        config = Config() if config is None else config
        self.master = Master(config, Allocator(settings_of(config)), Deadlines(), Prng(0))

    def handle(self, event: Event, now: float) -> list[Effect]:
        """Take one event and return the effects, in the order in which the shell performs them."""
        master = self.master
        effects: list[Effect] = []
        master.effects = effects
        if master.suspended and type(event) in coordination.WHILE_SUSPENDED:
            coordination.WHILE_SUSPENDED[type(event)](master, event, now)
        else:
            HANDLERS[type(event)](master, event, now)
        if master.kept and not master.suspended:
            kept, master.kept = master.kept, []
            for event_kept in kept:
                HANDLERS[type(event_kept)](master, event_kept, now)
            return coordination.without_closed_links(effects, kept)
        return effects

    def next_deadline(self) -> float | None:
        """Return the instant at which the machine wants a `TimerFired`, None for never."""
        master = self.master
        if master.suspended:
            return master.heartbeats.next()
        earliest = master.allocator.next_deadline()
        for at in (
            master.deadlines.next(),
            master.heartbeats.next(),
            master.pings.next(),
            offers.next_timeout(master),
        ):
            if at is not None and (earliest is None or at < earliest):
                earliest = at
        return earliest


def settings_of(config: Config) -> AllocatorSettings:
    """Return what the master's flags say to the allocator."""
    return AllocatorSettings(
        allocation_interval_s=config.allocation_interval_s,
        min_allocatable=config.min_allocatable,
        fair_sharing_excluded=list(config.fair_sharing_excluded),
        role_sorter=_sorter(config.role_sorter),
        framework_sorter=_sorter(config.framework_sorter),
        filter_gpu_resources=config.filter_gpu_resources,
        whitelist=config.whitelist,
        offers_held_max=config.offers_held_max,
    )


def _sorter(name: str) -> Literal["drf", "random"]:
    return "random" if name == "random" else "drf"


def on_started(master: Master, event: events.Started, now: float) -> None:
    """Lead from now on."""
    master.id = event.master_id
    master.prng = Prng(event.seed)
    master.allocator = Allocator(settings_of(master.config), event.seed)
    master.wall_offset_s = event.wall_offset_s
    master.epoch = event.epoch
    master.ip = event.ip
    master.port = event.port
    master.hostname = event.hostname
    master.started_at = now
    master.weights.update(master.config.weights)
    registrar.recover(master, event.registry)
    recovery.begin(master, now)
    quota.begin(master)


def on_wall_clock_set(master: Master, event: events.WallClockSet, now: float) -> None:  # noqa: ARG001 - a handler's shape
    """Follow the wall clock."""
    master.wall_offset_s = event.offset_s


def on_timer_fired(master: Master, event: TimerFired, now: float) -> None:  # noqa: ARG001 - a handler's shape
    """Do what is due."""
    for due in master.deadlines.pop_due(now):
        kind, key = cast("tuple[str, str]", due)
        DUE[kind](master, key, now)
        if master.suspended:
            return
    subscriptions.beat(master, now)
    agents.ping(master, now)
    offers.rescind_overdue(master, now)
    at = master.allocator.next_deadline()
    if at is not None and at <= now:
        offers.allocate(master, now)


DUE: dict[str, Callable[[Master, str, float], None]] = {
    "failover": subscriptions.on_failover_timeout,
    "agent": agents.on_patience_over,
    "removal": lambda master, _, now: agents.on_removal_permitted(master, now),
    "recovery": lambda master, _, now: recovery.on_recovery_over(master, now),
    "empty": drain.on_empty,
    "inverse_offers": lambda master, _, now: inverse_offers.ask(master, now),
    "gc": lambda master, _, now: recovery.collect_garbage(master, now),
}

HANDLERS: dict[type[Event], Callable[[Master, Any, float], None]] = {
    TimerFired: on_timer_fired,
    events.Started: on_started,
    events.WallClockSet: on_wall_clock_set,
    events.SchedulerSubscribed: subscriptions.on_scheduler_subscribed,
    events.SchedulerCalled: calls.on_scheduler_called,
    events.StreamClosed: subscriptions.on_stream_closed,
    events.OperatorCalled: operator.on_operator_called,
    events.TaskKillAsked: operator_kill.on_task_kill_asked,
    events.OperatorSubscribed: publish.on_operator_subscribed,
    events.LinkOpened: links.on_link_opened,
    events.LinkReceived: links.on_link_received,
    events.LinkClosed: links.on_link_closed,
    events.RegistryStored: registrar.on_registry_stored,
    events.RegistryLost: registrar.on_registry_lost,
    events.CoordinationSuspended: coordination.on_coordination_suspended,
    events.CoordinationRestored: coordination.on_coordination_restored,
    events.LeadershipLost: coordination.on_leadership_lost,
}
