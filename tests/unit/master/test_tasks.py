from __future__ import annotations

import pytest

from merismos.core.master.state import Config
from merismos.protocol import link
from unit.master.rig import UUID, Rig, framework_info, launch, running, task, value

OTHER_UUID = b"fedcba9876543210"


def test_a_task_is_offered_for_launched_updated_and_acknowledged() -> None:
    rig = Rig()
    agent = rig.agent()
    framework = rig.subscribe()
    (offer,) = framework.offers()
    assert framework.accept([offer], launch(task("t-1", offer), task("t-2", offer))) == (202, "")
    (run,) = agent.of(link.RunTasks)
    assert run.framework_id == framework.id
    assert run.role == "golden"
    assert run.task_ids == ["t-1", "t-2"]
    agent.update(framework.id, "t-1", "TASK_RUNNING")
    (status,) = framework.statuses()
    assert status["state"] == "TASK_RUNNING"
    assert framework.acknowledge(status) == (202, "")
    (acknowledged,) = agent.of(link.AcknowledgeStatus)
    assert (acknowledged.framework_id, acknowledged.task_id, acknowledged.uuid) == (framework.id, "t-1", UUID)


def test_the_bytes_of_a_task_reach_its_agent_unchanged() -> None:
    rig = Rig()
    agent = rig.agent()
    framework = rig.subscribe()
    (offer,) = framework.offers()
    framework.accept([offer], launch(task("t-1", offer, unknown_field={"a": [1, None]}, data="AAEC")))
    (run,) = agent.of(link.RunTasks)
    assert b'"unknown_field":{"a":[1,null]}' in run.tasks[0]
    assert run.tasks[0] == framework.record.tasks["t-1"].info


def test_what_a_task_does_not_use_comes_back_as_an_offer() -> None:
    rig = Rig()
    rig.agent("cpus:4;mem:2048")
    framework = rig.subscribe()
    framework.launch("t-1", need="cpus:0.1;mem:32")
    rig.advance(2)
    (offer,) = framework.offers()
    assert offer["quantities"] == {"cpus": 3900, "mem": 2016_000}


def test_a_terminal_update_frees_the_resources_before_it_is_acknowledged() -> None:
    rig = Rig()
    agent = rig.agent("cpus:1;mem:64")
    framework = rig.subscribe()
    framework.launch("t-1", need="cpus:1;mem:64")
    agent.update(framework.id, "t-1", "TASK_FINISHED")
    rig.advance(2)
    (offer,) = framework.offers()
    assert offer["quantities"] == {"cpus": 1000, "mem": 64_000}
    assert list(framework.record.tasks) == ["t-1"]


def test_a_task_is_over_when_its_terminal_update_is_acknowledged() -> None:
    rig = Rig()
    framework, agent = running(rig)
    agent.update(framework.id, "t-1", "TASK_FINISHED", uuid=OTHER_UUID)
    assert list(framework.record.completed_tasks) == []
    framework.acknowledge(framework.statuses()[-1])
    assert list(framework.record.tasks) == []
    assert list(agent.record.tasks) == []
    assert list(framework.record.completed_tasks) == ["t-1"]


def test_an_acknowledgement_of_an_earlier_update_does_not_end_the_task() -> None:
    rig = Rig()
    agent = rig.agent()
    framework = rig.subscribe()
    framework.launch("t-1")
    agent.update(framework.id, "t-1", "TASK_RUNNING", latest="TASK_FINISHED")
    framework.acknowledge(framework.statuses()[-1])
    assert framework.record.tasks["t-1"].state == "TASK_FINISHED"
    agent.update(framework.id, "t-1", "TASK_FINISHED", uuid=OTHER_UUID)
    framework.acknowledge(framework.statuses()[-1])
    assert list(framework.record.tasks) == []


def test_a_terminal_update_without_uuid_ends_the_task_at_once() -> None:
    rig = Rig()
    framework, agent = running(rig)
    agent.update(framework.id, "t-1", "TASK_FAILED", uuid=b"")
    assert list(framework.record.tasks) == []
    assert framework.record.completed_tasks["t-1"].state == "TASK_FAILED"


@pytest.mark.parametrize("late", ["TASK_STAGING", "TASK_STARTING", "TASK_UNKNOWN", "TASK_UNREACHABLE"])
def test_a_running_task_does_not_move_back(late: str) -> None:
    rig = Rig()
    framework, agent = running(rig)
    agent.update(framework.id, "t-1", late)
    assert framework.record.tasks["t-1"].state == "TASK_RUNNING"
    assert rig.master.metrics["master/invalid_status_updates"] == 1


def test_a_second_terminal_update_changes_nothing_and_frees_nothing_twice() -> None:
    rig = Rig()
    agent = rig.agent("cpus:1;mem:64")
    framework = rig.subscribe()
    framework.launch("t-1", need="cpus:1;mem:64")
    agent.update(framework.id, "t-1", "TASK_KILLED")
    agent.update(framework.id, "t-1", "TASK_FINISHED", uuid=OTHER_UUID)
    assert framework.record.tasks["t-1"].state == "TASK_KILLED"
    rig.advance(2)
    assert [offer["quantities"] for offer in framework.offers()] == [{"cpus": 1000, "mem": 64_000}]


def test_an_update_that_is_sent_again_reaches_the_scheduler_again() -> None:
    rig = Rig()
    agent = rig.agent()
    framework = rig.subscribe()
    framework.launch("t-1")
    agent.update(framework.id, "t-1", "TASK_RUNNING")
    agent.update(framework.id, "t-1", "TASK_RUNNING")
    assert framework.states("t-1") == ["TASK_RUNNING", "TASK_RUNNING"]
    assert len(framework.record.tasks["t-1"].statuses) == 1


def test_statuses_keep_one_entry_a_state_the_latest() -> None:
    rig = Rig()
    agent = rig.agent()
    framework = rig.subscribe()
    framework.launch("t-1")
    for state, healthy in (("TASK_STARTING", None), ("TASK_RUNNING", True), ("TASK_RUNNING", False)):
        agent.update(framework.id, "t-1", state, **({} if healthy is None else {"healthy": healthy}))
    first, second = framework.record.tasks["t-1"].statuses
    assert b"TASK_STARTING" in first
    assert b'"healthy":false' in second


def test_an_update_of_a_framework_that_is_over_tells_the_agent_to_end_it() -> None:
    rig = Rig()
    framework, agent = running(rig)
    framework_id = framework.id
    framework.call("TEARDOWN")
    agent.messages.clear()
    agent.update(framework_id, "t-1", "TASK_KILLED")
    (shutdown,) = agent.of(link.ShutdownFramework)
    assert shutdown.framework_id == framework_id


def test_an_update_of_an_unknown_task_is_forwarded_so_that_it_can_be_acknowledged() -> None:
    rig = Rig()
    framework, agent = running(rig)
    agent.update(framework.id, "no-such", "TASK_FINISHED")
    assert framework.states("no-such") == ["TASK_FINISHED"]
    assert framework.acknowledge(framework.statuses()[-1]) == (202, "")
    assert agent.of(link.AcknowledgeStatus)[-1].task_id == "no-such"


def test_updates_are_not_lost_on_a_disconnected_scheduler_they_wait_at_the_agent() -> None:
    rig = Rig()
    framework, agent = running(rig)
    rig.hang_up(framework)
    agent.update(framework.id, "t-1", "TASK_FINISHED", uuid=OTHER_UUID)
    assert framework.states("t-1") == ["TASK_RUNNING"]
    agent.messages.clear()
    again = rig.subscribe(framework_info(id=value(framework.id)))
    assert agent.of(link.UpdateFramework), "the agent hears that the scheduler is back and sends its updates again"
    agent.update(framework.id, "t-1", "TASK_FINISHED", uuid=OTHER_UUID)
    assert again.states("t-1") == ["TASK_FINISHED"]


def test_an_acknowledgement_goes_to_the_agent_that_it_names_and_leaves_a_task_of_the_same_id_elsewhere_alone() -> None:
    # A new leader can hear of one id from two agents: the scheduler launched it again while nobody knew of the first.
    rig = Rig()
    framework, agent = running(rig)
    agent.update(framework.id, "t-1", "TASK_FINISHED", uuid=OTHER_UUID)
    other = rig.agent(pid="slave(1)@127.0.0.1:5052")
    other.update(framework.id, "t-1", "TASK_FAILED", uuid=OTHER_UUID)
    before = len(agent.messages)
    assert framework.acknowledge(framework.statuses()[-1]) == (202, "")
    (acknowledged,) = other.of(link.AcknowledgeStatus)
    assert (acknowledged.task_id, acknowledged.uuid) == ("t-1", OTHER_UUID)
    assert len(agent.messages) == before
    assert "t-1" in framework.record.tasks


def test_an_acknowledgement_for_an_agent_that_is_not_there_is_not_passed_on() -> None:
    rig = Rig()
    framework, agent = running(rig)
    body = {"agent_id": value("nowhere"), "task_id": value("t-1"), "uuid": "MDEyMzQ1Njc4OWFiY2RlZg=="}
    before = len(agent.messages)
    assert framework.call("ACKNOWLEDGE", acknowledge=body) == (202, "")
    assert len(agent.messages) == before
    assert rig.master.metrics["master/invalid_status_update_acknowledgements"] == 1


def test_an_acknowledgement_without_a_uuid_of_sixteen_bytes_is_a_bad_request() -> None:
    rig = Rig()
    framework, agent = running(rig)
    body = {"agent_id": value(agent.id), "task_id": value("zzz"), "uuid": "c2hvcnQ="}
    answer = framework.call("ACKNOWLEDGE", acknowledge=body)
    assert answer == (400, "Failed to validate scheduler::Call: Not a valid UUID")


def test_only_so_many_completed_tasks_are_remembered() -> None:
    config = Config()
    config.max_completed_tasks_per_framework = 2
    rig = Rig(config)
    agent = rig.agent()
    framework = rig.subscribe()
    framework.launch("t-1", "t-2", "t-3")
    for task_id in ("t-1", "t-2", "t-3"):
        agent.update(framework.id, task_id, "TASK_FINISHED", uuid=b"")
    assert list(framework.record.completed_tasks) == ["t-2", "t-3"]


def test_an_id_may_be_used_again_once_its_task_is_over() -> None:
    rig = Rig()
    agent = rig.agent()
    framework = rig.subscribe()
    for _ in range(2):
        framework.launch("t-1")
        agent.update(framework.id, "t-1", "TASK_FINISHED", uuid=b"")
        rig.advance(2)
    assert framework.states("t-1") == ["TASK_FINISHED", "TASK_FINISHED"]
    assert list(framework.record.completed_tasks) == ["t-1"]


def test_tasks_that_end_badly_are_counted_by_source_and_reason() -> None:
    rig = Rig()
    framework, agent = running(rig)
    cause = {"source": "SOURCE_AGENT", "reason": "REASON_CONTAINER_LAUNCH_FAILED"}
    agent.update(framework.id, "t-1", "TASK_FAILED", **cause)
    assert rig.master.metrics["master/tasks_failed"] == 1
    assert rig.master.metrics["master/task_failed/source_slave/reason_container_launch_failed"] == 1
    assert framework.record.counters["terminal/task_failed"] == 1
