"""Every metric of an agent by Mesos' names: counters as they were counted, gauges worked out when asked.

Rules: a name that Mesos documents is always there, 0 before anything happened.
Source: Mesos, docs/monitoring.md; a recorded /metrics/snapshot.
"""

from __future__ import annotations

from merismos.core.agent.executors_state import ExecutorPhase
from merismos.core.agent.state import Agent, Link, Phase
from merismos.core.agent.views.records import resources_of, used_resources

_NAMED = ("cpus", "disk", "gpus", "mem")


def snapshot(agent: Agent, now: float, machine: dict[str, float]) -> dict[str, float]:
    """Return every metric; `machine` are those that the core can't know: `system/`, the fetcher's cache, removals."""
    counters = agent.counters
    values = {
        "containerizer/fetcher/cache_size_total_bytes": 0.0,
        "containerizer/fetcher/cache_size_used_bytes": 0.0,
        "containerizer/fetcher/task_fetches_failed": float(counters.fetches_failed),
        "containerizer/fetcher/task_fetches_succeeded": float(counters.fetches_succeeded),
        "containerizer/mesos/container_destroy_errors": 0.0,
        "gc/path_removals_failed": 0.0,
        "gc/path_removals_pending": float(len(agent.sandboxes)),
        "gc/path_removals_succeeded": 0.0,
        "slave/container_launch_errors": float(counters.container_launch_errors),
        "slave/executor_directory_max_allowed_age_secs": agent.sandbox_age_s_max,
        "slave/executors_preempted": 0.0,
        "slave/executors_terminated": float(counters.executors_terminated),
        "slave/frameworks_active": float(len(agent.frameworks)),
        "slave/invalid_framework_messages": float(counters.invalid_framework_messages),
        "slave/invalid_status_updates": float(counters.invalid_status_updates),
        "slave/recovery_errors": 0.0,
        "slave/recovery_time_secs": 0.0,
        "slave/registered": float(agent.registration.status is Link.REGISTERED),
        "slave/tasks_failed": float(counters.tasks_failed),
        "slave/tasks_finished": float(counters.tasks_finished),
        "slave/tasks_gone": float(counters.tasks_gone),
        "slave/tasks_killed": float(counters.tasks_killed),
        "slave/tasks_lost": float(counters.tasks_lost),
        "slave/uptime_secs": max(now - agent.started_at, 0.0),
        "slave/valid_framework_messages": float(counters.valid_framework_messages),
        "slave/valid_status_updates": float(counters.valid_status_updates),
        **_tasks(agent),
        **_resources(agent),
        **machine,
    }
    return dict(sorted(values.items()))


def _tasks(agent: Agent) -> dict[str, float]:
    states = dict.fromkeys(("TASK_STAGING", "TASK_STARTING", "TASK_RUNNING", "TASK_KILLING"), 0)
    registering = running = terminating = 0
    for task in agent.tasks():
        if task.state in states:
            states[task.state] += 1
        if task.executor is not None:
            continue
        registering += task.phase in {Phase.FETCHING, Phase.LAUNCHING}
        running += task.phase is Phase.RUNNING and not task.killing
        terminating += task.phase is Phase.RUNNING and task.killing
    for executor in agent.executors.values():
        registering += executor.phase in {ExecutorPhase.FETCHING, ExecutorPhase.REGISTERING}
        running += executor.phase is ExecutorPhase.RUNNING
        terminating += executor.phase is ExecutorPhase.TERMINATING
    return {
        **{f"slave/{state.lower().replace('task_', 'tasks_')}": float(count) for state, count in states.items()},
        "slave/executors_registering": float(registering),
        "slave/executors_running": float(running),
        "slave/executors_terminating": float(terminating),
    }


def _resources(agent: Agent) -> dict[str, float]:
    total = resources_of(agent.settings.info.resources)
    used = used_resources(agent)
    values: dict[str, float] = {}
    for suffix, whole, part in (
        ("", total.nonrevocable(), used.nonrevocable()),
        ("_revocable", total.revocable(), used.revocable()),
    ):
        wholes, parts = whole.quantities(), part.quantities()
        for name in _NAMED:
            have, taken = wholes.get(name, 0), parts.get(name, 0)
            values[f"slave/{name}{suffix}_total"] = have / 1000
            values[f"slave/{name}{suffix}_used"] = taken / 1000
            values[f"slave/{name}{suffix}_percent"] = taken / have if have else 0.0
    return values
