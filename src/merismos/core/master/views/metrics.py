"""Every metric of a master by Mesos' names: counters as they were counted, gauges worked out when asked.

Rules: a name that Mesos documents is always there, 0 before anything happened; per-framework names carry name and id.
Source: Mesos, docs/monitoring.md.
"""

from __future__ import annotations

from typing import TYPE_CHECKING
from urllib.parse import quote

from merismos.core.master.views import values
from merismos.core.master.views.agents import cluster_total
from merismos.core.master.views.quota import metrics_of
from merismos.model.resources import Resources, sum_of
from merismos.model.scalars import from_milli

if TYPE_CHECKING:
    from merismos.core.master.state import Framework, Master

CALL_TYPES = [
    "accept",
    "accept_inverse_offers",
    "acknowledge",
    "acknowledge_operation_status",
    "decline",
    "decline_inverse_offers",
    "kill",
    "message",
    "reconcile",
    "reconcile_operations",
    "request",
    "revive",
    "shutdown",
    "subscribe",
    "suppress",
    "teardown",
    "update_framework",
]
EVENT_TYPES = [
    "error",
    "failure",
    "heartbeat",
    "inverse_offers",
    "message",
    "offers",
    "rescind",
    "rescind_inverse_offer",
    "subscribed",
    "update",
    "update_operation_status",
]
OPERATION_TYPES = [
    "create",
    "create_disk",
    "destroy",
    "destroy_disk",
    "grow_volume",
    "reserve",
    "shrink_volume",
    "unreserve",
]
OPERATION_STATES = [
    "dropped",
    "error",
    "failed",
    "finished",
    "gone_by_operator",
    "pending",
    "recovering",
    "unreachable",
]
ACTIVE_STATES = ["task_killing", "task_running", "task_staging", "task_starting", "task_unreachable"]
TERMINAL_STATES = [
    "task_dropped",
    "task_error",
    "task_failed",
    "task_finished",
    "task_gone",
    "task_gone_by_operator",
    "task_killed",
    "task_lost",
]
QUANTILES = ("/count", "/max", "/min", "/p50", "/p90", "/p95", "/p99", "/p999", "/p9999")
_MESSAGES = [
    "authenticate",
    "deactivate_framework",
    "decline_offers",
    "executor_to_framework",
    "exited_executor",
    "framework_to_executor",
    "kill_task",
    "launch_tasks",
    "operation_status_update",
    "operation_status_update_acknowledgement",
    "reconcile_operations",
    "reconcile_tasks",
    "register_framework",
    "register_slave",
    "reregister_framework",
    "reregister_slave",
    "resource_request",
    "revive_offers",
    "status_update",
    "status_update_acknowledgement",
    "suppress_offers",
    "unregister_framework",
    "unregister_slave",
    "update_slave",
]
_COUNTED = [
    "dropped_messages",
    "http_cache_hits",
    "recovery_slave_removals",
    "slave_registrations",
    "slave_removals",
    "slave_reregistrations",
    "slave_removals/reason_registered",
    "slave_removals/reason_unhealthy",
    "slave_removals/reason_unregistered",
    "slave_shutdowns_canceled",
    "slave_shutdowns_completed",
    "slave_shutdowns_scheduled",
    "slave_unreachable_canceled",
    "slave_unreachable_completed",
    "slave_unreachable_scheduled",
    "event_queue_dispatches",
    "event_queue_http_requests",
    "event_queue_messages",
    "task_lost/source_master/reason_invalid_offers",
    "task_lost/source_master/reason_slave_removed",
    "task_lost/source_slave/reason_executor_terminated",
]
_JUDGED = [
    "executor_to_framework_messages",
    "framework_to_executor_messages",
    "operation_status_update_acknowledgements",
    "operation_status_updates",
    "status_update_acknowledgements",
    "status_updates",
]


def _zeroes() -> dict[str, float]:
    names = [f"messages_{name}" for name in _MESSAGES]
    names += _COUNTED
    names += [f"{verdict}_{name}" for name in _JUDGED for verdict in ("valid", "invalid")]
    names += [f"tasks_{state.removeprefix('task_')}" for state in ACTIVE_STATES + TERMINAL_STATES]
    names += ["operations/total", *(f"operations/{state}" for state in OPERATION_STATES)]
    names += [f"operations/{kind}/{tail}" for kind in OPERATION_TYPES for tail in ("total", *OPERATION_STATES)]
    zeroes = {f"master/{name}": 0.0 for name in names}
    for timer in (
        "registrar/state_store_ms",
        "allocator/mesos/allocation_run_ms",
        "allocator/mesos/allocation_run_latency_ms",
    ):
        zeroes |= {timer + tail: 0.0 for tail in ("", *QUANTILES)}
    plain = (
        "allocator/event_queue_dispatches allocator/mesos/event_queue_dispatches allocator/mesos/allocation_runs "
        "registrar/log/ensemble_size registrar/log/recovered registrar/queued_operations registrar/registry_size_bytes "
        "registrar/state_fetch_ms"
    )
    return zeroes | dict.fromkeys(plain.split(), 0.0)


ZEROES = _zeroes()


def snapshot(master: Master, now: float) -> dict[str, float]:
    """Return every metric of the core, sorted by name.

    Units: as the name says; shares and percents are fractions of 1.
    """
    metrics = dict(ZEROES)
    for name, count in master.metrics.items():
        metrics[name] = float(count)
    used = values.used_by_role(master)
    metrics |= _resources(master, values.total_of(used)) | _members(master) | _roles(master, used)
    metrics["master/uptime_secs"] = now - master.started_at
    metrics["master/elected"] = 1.0
    metrics["allocator/mesos/allocation_runs"] = float(master.allocator.runs)
    for framework in master.frameworks.values():
        metrics |= _of_framework(framework)
    return dict(sorted(metrics.items()))


def _resources(master: Master, used: Resources) -> dict[str, float]:
    total = cluster_total(master)
    offered = sum_of(offer.resources for offer in master.offers.values())
    metrics: dict[str, float] = {}
    for kind, view in (("", "nonrevocable"), ("_revocable", "revocable")):
        has, uses = getattr(total, view)().quantities(), getattr(used, view)().quantities()
        for name in ("cpus", "disk", "gpus", "mem"):
            all_of, part = has.get(name, 0), uses.get(name, 0)
            metrics[f"master/{name}{kind}_total"] = from_milli(all_of)
            metrics[f"master/{name}{kind}_used"] = from_milli(part)
            metrics[f"master/{name}{kind}_percent"] = part / all_of if all_of else 0.0
    taken = (used + offered).quantities()
    for name in ("cpus", "disk", "mem"):
        metrics[f"allocator/mesos/resources/{name}/total"] = from_milli(total.quantities().get(name, 0))
        metrics[f"allocator/mesos/resources/{name}/offered_or_allocated"] = from_milli(taken.get(name, 0))
    return metrics


def _members(master: Master) -> dict[str, float]:
    agents = list(master.agents.values())
    frameworks = list(master.frameworks.values())
    connected = sum(agent.link is not None for agent in agents)
    active = sum(agent.link is not None and agent.active for agent in agents)
    there = sum(framework.stream is not None for framework in frameworks)
    offered_to = sum(framework.active for framework in frameworks)
    states = dict.fromkeys((f"master/tasks_{state.removeprefix('task_')}" for state in ACTIVE_STATES), 0.0)
    for framework in frameworks:
        for task in framework.tasks.values():
            name = "master/" + task.state.lower().replace("task_", "tasks_", 1)
            if name in states:
                states[name] += 1.0
        states["master/tasks_unreachable"] += len(framework.unreachable_tasks)
    return states | {
        "master/slaves_active": float(active),
        "master/slaves_connected": float(connected),
        "master/slaves_disconnected": float(len(agents) - connected),
        "master/slaves_inactive": float(len(agents) - active),
        "master/slaves_unreachable": float(len(master.unreachable_agents)),
        "master/slaves_recovered_pending": float(len(master.recovered_agents)),
        "master/slaves_recovered_total": float(master.agents_at_election),
        "master/frameworks_active": float(offered_to),
        "master/frameworks_connected": float(there),
        "master/frameworks_disconnected": float(len(frameworks) - there),
        "master/frameworks_inactive": float(len(frameworks) - offered_to),
        "master/outstanding_offers": float(len(master.offers)),
        "master/operator_event_stream_subscribers": float(len(master.operator_streams)),
    }


def _roles(master: Master, used: dict[str, Resources]) -> dict[str, float]:
    metrics: dict[str, float] = {}
    views = master.allocator.role_view()
    for role in ["", *(view.role for view in views)]:
        # A role consumes what is below it too; the nameless one is the root.
        below = [part for name, part in used.items() if not role or name == role or name.startswith(role + "/")]
        quantities = sum_of(below).quantities()
        for name in ("cpus", "disk", "mem"):
            amount = from_milli(quantities.get(name, 0))
            metrics[f"allocator/mesos/quota/roles/{role}/resources/{name}/consumed"] = amount
    for view in views:
        metrics[f"allocator/mesos/roles/{view.role}/shares/dominant"] = view.share
        metrics[f"allocator/mesos/offer_filters/roles/{view.role}/active"] = float(view.filters)
    return metrics | metrics_of(master)


def _of_framework(framework: Framework) -> dict[str, float]:
    counted = framework.counters
    names = [f"calls/{call}" for call in CALL_TYPES]
    names += [f"events/{event}" for event in EVENT_TYPES]
    names += [f"operations/{kind}" for kind in ("launch", "launch_group", *OPERATION_TYPES)]
    names += [f"offers/{what}" for what in ("sent", "accepted", "declined", "rescinded")]
    metrics = {name: float(counted.get(name, 0)) for name in names}
    for total in ("calls", "events", "operations"):
        metrics[total] = sum(count for name, count in metrics.items() if name.startswith(total + "/"))
    metrics |= {f"tasks/terminal/{state}": float(counted.get(f"terminal/{state}", 0)) for state in TERMINAL_STATES}
    active = dict.fromkeys([*ACTIVE_STATES, "task_unknown"], 0.0)
    for task in framework.tasks.values():
        state = task.state.lower()
        if state in active:
            active[state] += 1.0
    active["task_unreachable"] += len(framework.unreachable_tasks)
    metrics |= {f"tasks/active/{state}": count for state, count in active.items()}
    metrics |= {f"roles/{role}/suppressed": float(role in framework.suppressed) for role in framework.roles}
    metrics["subscribed"] = float(framework.stream is not None)
    head = f"master/frameworks/{quote(framework.info.name, safe='')}/{framework.id}/"
    return {head + name: value for name, value in metrics.items()}
