"""An operator ends one task; a scheduler's KILL and this go the same way."""

from __future__ import annotations

from merismos.core.master import events as happened
from merismos.protocol import link
from unit.master.rig import Rig, framework_info, running


def kill(rig: Rig, task_id: str, framework_id: str = "", grace_s: float | None = None) -> tuple[int, str]:
    request = rig.token()
    rig.handle(happened.TaskKillAsked(request, task_id, framework_id, grace_s))
    return rig.answers[request]


def test_one_task_is_ended_and_its_framework_and_the_others_go_on() -> None:
    rig = Rig()
    framework, agent = running(rig)
    assert kill(rig, "t-1", framework.id, 2.5) == (202, "")
    assert agent.of(link.KillTask) == [link.KillTask(framework.id, "t-1", 2.5)]
    assert not agent.of(link.ShutdownFramework)
    assert framework.is_open
    agent.update(framework.id, "t-1", "TASK_KILLED")
    assert framework.states("t-1")[-1] == "TASK_KILLED"


def test_the_framework_need_not_be_named_where_only_one_has_such_a_task() -> None:
    rig = Rig()
    framework, agent = running(rig)
    rig.subscribe(framework_info(name="other"))
    assert kill(rig, "t-1") == (202, "")
    assert agent.of(link.KillTask) == [link.KillTask(framework.id, "t-1", None)]


def test_where_two_frameworks_have_such_a_task_one_must_be_named() -> None:
    rig = Rig()
    first, agent = running(rig)
    second = rig.subscribe(framework_info(name="second"))
    second.launch("t-1")
    status, text = kill(rig, "t-1")
    assert status == 400
    assert first.id in text
    assert second.id in text
    assert kill(rig, "t-1", second.id) == (202, "")
    assert agent.of(link.KillTask) == [link.KillTask(second.id, "t-1", None)]


def test_what_cannot_be_ended_is_answered_with_the_reason_and_no_agent_is_asked() -> None:
    rig = Rig()
    framework, agent = running(rig)
    agent.update(framework.id, "t-1", "TASK_FINISHED")
    assert kill(rig, "t-1", framework.id) == (409, "Task 't-1' is over already: TASK_FINISHED")
    framework.acknowledge(framework.statuses()[-1])
    assert kill(rig, "t-1") == (409, "Task 't-1' is over already: TASK_FINISHED")
    assert kill(rig, "t-2") == (404, "Task 't-2' not found")
    assert kill(rig, "t-1", "zz") == (404, "Framework 'zz' not found")
    assert kill(rig, "") == (400, "Missing 'taskId' in the request body")
    assert not agent.of(link.KillTask)


def test_a_task_whose_agents_link_is_down_is_ended_when_it_is_back() -> None:
    rig = Rig()
    framework, agent = running(rig)
    rig.handle(happened.LinkClosed(agent.link))
    assert kill(rig, "t-1") == (202, "")
    (record,) = rig.master.agents.values()
    assert record.kills == {(framework.id, "t-1"): link.KillTask(framework.id, "t-1")}


def test_a_task_on_an_unreachable_agent_cannot_be_ended() -> None:
    rig = Rig()
    _, agent = running(rig)
    agent.is_silent = True
    rig.advance(95)
    status, text = kill(rig, "t-1")
    assert status == 409
    assert "unreachable" in text
