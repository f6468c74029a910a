"""Checks and health checks of command tasks: they begin when the task runs, and stop when it is being ended.

Rules: a COMMAND check runs as a container beside the task's, in its sandbox, with its environment and as its user; HTTP and TCP
checks are the agent's own, at the loopback address of the container's network, or at the address that Docker gave it. A run that outlived its agent is killed, and its check begins anew: what was
told last is known, failures are counted from none. Custom executors run the checks of their tasks themselves.
Source: Mesos, docs/health-checks.md.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from merismos.core.agent.checks_state import CHECK, HEALTH, RUN_PREFIX, Check
from merismos.core.agent.effects import ProbeHttp, ProbeTcp
from merismos.core.agent.ending import break_off
from merismos.core.agent.kill import kill
from merismos.core.agent.state import Agent, Phase, Task
from merismos.core.agent.statuses import update_task
from merismos.core.checks import NOTHING, Due, Health, Outcome, Report
from merismos.core.containers.exit_status import exit_code_of
from merismos.core.containers.launch_plan import plan_check
from merismos.core.containers.network_plan import owner_of_network
from merismos.protocol import json
from merismos.protocol.v1 import mesos

if TYPE_CHECKING:
    from merismos.core.agent import events

_REASONS = {HEALTH: "REASON_TASK_HEALTH_CHECK_STATUS_UPDATED", CHECK: "REASON_TASK_CHECK_STATUS_UPDATED"}


def prepare_checks(task: Task, now: float) -> None:
    """Give a task that runs its checks, with what was told of them before."""
    told = json.decode(mesos.TaskStatus, task.statuses[-1]) if task.statuses else None
    task.checks = []
    if task.info.health_check is not None:
        asked = task.info.health_check
        latest = None if told is None else told.healthy
        task.checks.append(
            Check(asked, Health(asked.consecutive_failures, now + asked.grace_period_seconds, latest=latest))
        )
    if task.info.check is not None:
        check = Check(task.info.check, None)
        if told is not None and told.check_status is not None:
            check.report = Report(_outcome_of(told.check_status))
        task.checks.append(check)


def start_checks(agent: Agent, task: Task, now: float) -> None:
    """Wait for the first run of each check of a task that runs."""
    for check in task.checks:
        check.timetable.start(now)
        _wait(agent, task, check)


def on_check_due(agent: Agent, kind: str, container_id: str, now: float) -> None:
    """Begin a run, or break off one that takes too long."""
    task = agent.containers.get(container_id)
    if task is None or task.phase is not Phase.RUNNING:
        return
    for check in task.checks:
        if check.kind != kind:
            continue
        if check.timetable.fire(now) is Due.BEGIN:
            _begin(agent, task, check)
            _wait(agent, task, check)
        else:
            break_off(agent, check)
            _take(agent, task, check, NOTHING, now)


def on_check_launched(agent: Agent, event: events.ContainerLaunched, now: float) -> None:
    """A COMMAND check runs: its exit follows."""
    del agent, event, now


def on_check_launch_failed(agent: Agent, event: events.ContainerLaunchFailed, now: float) -> None:
    """A COMMAND check couldn't be started: a run without an outcome, or none at all where nobody could be asked."""
    if not event.unasked:
        _finish(agent, event.container_id, NOTHING, now)
    elif event.container_id in agent.checks:
        task, check = agent.checks.pop(event.container_id)
        check.run_id = ""
        check.timetable.finish(check.timetable.run, now)
        _wait(agent, task, check)


def on_check_exited(agent: Agent, event: events.ContainerExited, now: float) -> None:
    """A COMMAND check has ended."""
    _finish(agent, event.container_id, Outcome(exit_code=exit_code_of(event.status)), now)


def on_probe_ended(agent: Agent, event: events.ProbeEnded, now: float) -> None:
    """An HTTP or TCP check has an answer, or none."""
    _finish(agent, event.probe_id, Outcome(status_code=event.status_code, connected=event.connected), now)


def _begin(agent: Agent, task: Task, check: Check) -> None:
    run_id = check.run_id = RUN_PREFIX + agent.new_container_id()
    agent.checks[run_id] = task, check
    asked = check.asked
    command = asked.command.command if isinstance(asked.command, mesos.CheckInfo_Command) else asked.command
    if command is not None:
        framework = agent.frameworks[task.framework_id]
        agent.effects.append(plan_check(agent.settings, agent.registration.agent_id, framework, task, command, run_id))
    elif asked.http is not None:
        scheme = (asked.http.scheme if isinstance(asked.http, mesos.HealthCheck_HTTPCheckInfo) else None) or "http"
        url = f"{scheme}://{_address(task, asked.http)}:{asked.http.port}{asked.http.path or '/'}"
        agent.effects.append(ProbeHttp(run_id, url, owner_of_network(task)))
    elif asked.tcp is not None:
        agent.effects.append(
            ProbeTcp(run_id, _address(task, asked.tcp).strip("[]"), asked.tcp.port, owner_of_network(task))
        )


def _address(task: Task, asked: object) -> str:
    """Return where a task is asked: at its own address if it has one."""
    if task.ip:
        return task.ip
    protocol = getattr(asked, "protocol", mesos.NetworkInfo_Protocol.IPv4)
    return "[::1]" if protocol is mesos.NetworkInfo_Protocol.IPv6 else "127.0.0.1"


def _wait(agent: Agent, task: Task, check: Check) -> None:
    if check.timetable.at is not None:
        agent.deadlines.set((check.kind, task.container_id), check.timetable.at)
    else:
        agent.deadlines.cancel((check.kind, task.container_id))


def _finish(agent: Agent, run_id: str, outcome: Outcome, now: float) -> None:
    if run_id not in agent.checks:
        return  # it was broken off
    task, check = agent.checks.pop(run_id)
    check.run_id = ""
    if check.timetable.finish(check.timetable.run, now):
        _take(agent, task, check, outcome, now)


def _take(agent: Agent, task: Task, check: Check, outcome: Outcome, now: float) -> None:
    """Say what is new, end a task that isn't healthy, and wait for the next run of any other."""
    wants_kill = False
    if check.health is not None:
        verdict = check.health.take(outcome, now)
        news, wants_kill = verdict is not None, verdict is not None and verdict.kill
    else:
        assert check.report is not None
        news = check.report.take(outcome)
    if news and not agent.frameworks[task.framework_id].shutting_down:
        update_task(agent, task, "TASK_RUNNING", now, reason=_REASONS[check.kind])
    if wants_kill:
        kill(agent, task, now)
    else:
        _wait(agent, task, check)


def _outcome_of(told: mesos.CheckStatusInfo) -> Outcome:
    return Outcome(
        exit_code=None if told.command is None else told.command.exit_code,
        status_code=None if told.http is None else told.http.status_code,
        connected=None if told.tcp is None else told.tcp.succeeded,
    )
