"""ACCEPT and DECLINE: what a framework does with its offers.

Rules:
- Offers of one ACCEPT are of one agent and one role; their resources are added up and spent by the operations in order. What is
  left comes back with the call's filter. An ACCEPT that launches nothing is a decline.
- If any offer is no longer valid nothing is launched: every task gets TASK_DROPPED, and the offers that still are come back.
- A task's bytes go to its agent as they came; all tasks of one operation travel in one message. This path runs for every task:
  what is rare lies in functions of its own.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

from merismos.core.master import counters, executors, groups, offers, operations, publish
from merismos.core.master.effects import Respond, SendToAgent, SendUpdate
from merismos.core.master.journal import decide
from merismos.core.master.purse import Purse
from merismos.core.master.state import Task
from merismos.core.master.statuses import state_for, status_of
from merismos.core.master.validate.offers import validate_offers
from merismos.core.master.validate.task import demand_of, fault_of_size, fault_of_task, name_role
from merismos.protocol import link
from merismos.protocol.v1.mesos import Offer_Operation_Type

if TYPE_CHECKING:
    from merismos.core.master.state import Agent, Framework, Master
    from merismos.model.resources import Resources
    from merismos.protocol.thin import ThinAccept, ThinCall, ThinLaunchGroup, ThinOperation, ThinTaskInfo
    from merismos.protocol.v1 import mesos

REFUSE_S_DEFAULT: Final = 5.0
REFUSE_S_MAX: Final = 31_536_000.0

_DECLINED: Final = (
    "its scheduler declined what it was offered; this role is not offered it again before the filter ends"
)
_LAUNCH = Offer_Operation_Type.LAUNCH
_LAUNCH_GROUP = Offer_Operation_Type.LAUNCH_GROUP


def refuse_s_of(filters: mesos.Filters | None) -> float:
    """Return for how long resources are refused; a negative time means the default, as in Mesos."""
    if filters is None:
        return REFUSE_S_DEFAULT
    refuse_s = filters.refuse_seconds
    if not refuse_s >= 0:
        return REFUSE_S_DEFAULT
    return min(refuse_s, REFUSE_S_MAX)


def on_decline(master: Master, framework: Framework, call: ThinCall, request: int, now: float) -> None:
    """Take offers back; those that are no longer valid are none of its business any more."""
    decline = call.decline
    assert decline is not None
    counters.count(master, "master/messages_decline_offers")
    master.effects.append(Respond(request, 202))
    refuse_s = refuse_s_of(decline.filters)
    known, count, role = framework.offers, 0, ""
    for offer_id in decline.offer_ids:
        offer = known.get(offer_id.value)
        if offer is not None:
            offers.decline(master, framework, offer, now, refuse_s)
            count, role = count + 1, offer.role
    if count:
        counters.count_offers(framework, "declined", count)
        decide(framework, now, "declined", role, _DECLINED, until=now + refuse_s)


def on_accept(master: Master, framework: Framework, call: ThinCall, request: int, now: float) -> None:
    """Spend offers."""
    accept = call.accept
    assert accept is not None
    master.effects.append(Respond(request, 202))
    rejection = validate_offers(master, framework, accept.offer_ids)
    if rejection is not None:
        _drop_all(master, framework, accept, rejection.message, now)
        return
    taken = [master.offers[offer_id.value] for offer_id in accept.offer_ids]
    agent, role, left = taken[0].agent, taken[0].role, taken[0].resources
    for offer in taken:
        offers.remove(master, offer)
    for offer in taken[1:]:
        left += offer.resources
    launches = False
    for operation in accept.operations:
        if operation.type is _LAUNCH:
            if operation.launch is not None and operation.launch.tasks:
                launches = True
                left = _launch(master, framework, agent, role, operation.launch.tasks, left, now)
        elif operation.type is _LAUNCH_GROUP:
            if operation.launch_group is not None and operation.launch_group.task_group.views:
                launches = True
                left = _launch_group(master, framework, agent, role, operation.launch_group, left, now)
        else:
            operations.refuse(master, framework, role, operation, _unsupported(operation), now)
    if launches:
        counters.count(master, "master/messages_launch_tasks")
        counters.count_offers(framework, "accepted", len(taken))
    elif not accept.operations:
        counters.count(master, "master/messages_decline_offers")
        counters.count_offers(framework, "declined", len(taken))
    if left:
        refuse_s = refuse_s_of(accept.filters)
        master.allocator.recover(framework.id, role, agent.id, left, now=now, refuse_s=refuse_s)


def _launch(
    master: Master,
    framework: Framework,
    agent: Agent,
    role: str,
    views: list[ThinTaskInfo],
    left: Resources,
    now: float,
) -> Resources:
    """Launch what is valid of one operation; return what is left of the offers."""
    framework_id, framework_tasks, agent_tasks = framework.id, framework.tasks, agent.tasks
    task_ids: list[str] = []
    infos: list[bytes] = []
    started: list[str] = []
    purse = Purse(left)
    for view in views:
        demand = demand_of(bytes(view.resources))
        fault = fault_of_task(view, framework, agent, demand)
        resources = demand.resources
        executor_id = ""
        if fault is None and view.executor is not None:
            executor_id = view.executor.executor_id.value
            fault = executors.launch(framework, agent, role, view, demand, purse, started)
        elif fault is None and ((demand.role and demand.role != role) or not purse.spend(resources)):
            fault = fault_of_size(resources, demand.role, purse.left(), role)
        if fault is not None:
            _refuse_task(master, framework, view, name_role(view, role, fault), now)
            continue
        task_id = view.task_id.value
        task = Task(task_id, framework, agent, role, resources, view.json, executor_id)
        framework_tasks[task_id] = task
        agent_tasks[task] = None
        task_ids.append(task_id)
        infos.append(view.json)
        if master.operator_streams:
            publish.task_added(master, task)
    if infos:
        assert agent.link is not None, "offers of an agent are withdrawn when its link goes down"
        message = link.RunTasks(framework_id, framework.info_json, role, infos, task_ids, started)
        master.effects.append(SendToAgent(agent.link, message))
    return purse.left()


def _refuse_task(
    master: Master,
    framework: Framework,
    view: ThinTaskInfo,
    fault: str,
    now: float,
    *,
    state: str = "TASK_ERROR",
    reason: str = "REASON_TASK_INVALID",
) -> None:
    """Tell a scheduler that a task will not run; the task leaves no record."""
    state = state_for(framework, state)
    decide(framework, now, "task_invalid", "", fault, view.agent_id.value, task_id=view.task_id.value)
    counters.count_terminal(master, framework, state, "SOURCE_MASTER", reason)
    status = status_of(master, now, view.task_id.value, state, reason, fault, agent_id=view.agent_id.value)
    if framework.stream is not None:
        counters.count_event(framework, "UPDATE")
        master.effects.append(SendUpdate(framework.stream, status))


def _launch_group(
    master: Master,
    framework: Framework,
    agent: Agent,
    role: str,
    group: ThinLaunchGroup,
    left: Resources,
    now: float,
) -> Resources:
    """Launch a group, or refuse every task of it; return what is left of the offers."""
    purse = Purse(left)
    fault = groups.launch(master, framework, agent, role, group, purse)
    if fault is not None:
        for view in group.task_group.views:
            _refuse_task(master, framework, view, fault, now, reason="REASON_TASK_GROUP_INVALID")
    return purse.left()


def _unsupported(operation: ThinOperation) -> str:
    kind: Any = operation.type
    if kind is None or kind == Offer_Operation_Type.UNKNOWN:
        return "The operation has no known type"
    return f"{kind} is not supported yet; only launches are"


def _drop_all(master: Master, framework: Framework, accept: ThinAccept, error: str, now: float) -> None:
    """Answer an ACCEPT of offers that are not (or no longer) what it thinks."""
    for offer_id in accept.offer_ids:
        offer = framework.offers.get(offer_id.value)
        if offer is not None:
            offers.take_back(master, offer, now)
    if accept.operations:
        decide(framework, now, "offers_invalid", "", error)
    for operation in accept.operations:
        views: list[ThinTaskInfo] = []
        if operation.launch is not None:
            views = operation.launch.tasks
        elif operation.launch_group is not None:
            views = operation.launch_group.task_group.views
        else:
            operations.refuse(
                master, framework, "", operation, f"Operation attempted with invalid offers: {error}", now
            )
        for view in views:
            message = f"Task launched with invalid offers: {error}"
            _refuse_task(master, framework, view, message, now, state="TASK_DROPPED", reason="REASON_INVALID_OFFERS")
