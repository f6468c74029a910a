from __future__ import annotations

import pytest

from merismos.protocol import link
from unit.master.rig import ALL, Json, Rig, Scheduler, framework_info, launch, resources, scalar, task, value


def refusal(rig: Rig, framework: Scheduler, *tasks: Json) -> str:
    """The message of the one TASK_ERROR that launching these tasks gives."""
    offer = framework.offers()[0]
    framework.accept([offer], launch(*tasks))
    (status,) = framework.statuses()
    assert status["state"] == "TASK_ERROR"
    assert status["source"] == "SOURCE_MASTER"
    assert status["reason"] == "REASON_TASK_INVALID"
    assert "uuid" not in status
    assert rig.master.metrics["master/task_error/source_master/reason_task_invalid"] == 1
    return str(status["message"])


def ready() -> tuple[Rig, Scheduler, Json]:
    rig = Rig()
    rig.agent("cpus:4;mem:2048")
    framework = rig.subscribe()
    return rig, framework, framework.offers()[0]


LEFT = "cpus(allocated: golden):4; mem(allocated: golden):2048"
NEED = "required by task and its executor is more than available"


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"resources": resources("cpus:1000;mem:32")}, f"Total resources cpus(allocated: golden):1000; mem(allocated: golden):32 {NEED} {LEFT}"),
        ({"resources": None}, "Task uses no resources"),
        ({"resources": []}, "Task uses no resources"),
        ({"task_id": value("bad/id")}, "'bad/id' contains invalid characters"),
        ({"task_id": value("")}, "ID must not be empty"),
        ({"command": None}, "Task should have at least one (but not both) of CommandInfo or ExecutorInfo present"),
        ({"resources": [scalar("cpus", 0.1, allocation_info={"role": "other"}), scalar("mem", 32, allocation_info={"role": "other"})]},
         f"Total resources cpus(allocated: other):0.1; mem(allocated: other):32 {NEED} {LEFT}"),
        ({"resources": resources("cpus:-1;mem:32")}, "Resource 'cpus(allocated: golden):-1' is invalid: Invalid scalar resource: value <= 0"),
        ({"kill_policy": {"grace_period": {"nanoseconds": -1}}}, "Task's 'kill_policy.grace_period' must be non-negative"),
        ({"max_completion_time": {"nanoseconds": -1}}, "Task's `max_completion_time` must be non-negative"),
        ({"check": {"type": "COMMAND"}}, "Task uses invalid check: Expecting 'command' to be set for COMMAND check"),
        ({"check": {"command": {"command": {"value": "true"}}}}, "Task uses invalid check: CheckInfo must specify 'type'"),
        ({"check": {"type": "TCP", "tcp": {"port": 70000}}}, "Task uses invalid check: The port 70000 must be between 1 and 65535"),
        ({"check": {"type": "HTTP", "http": {"port": 80, "path": "x"}}}, "Task uses invalid check: The path 'x' of HTTP check must start with '/'"),
        ({"health_check": {"type": "HTTP"}}, "Task uses invalid health check: Expecting 'http' to be set for HTTP health check"),
        ({"health_check": {"type": "COMMAND", "command": {}}},
         "Task uses invalid health check: Command health check must contain a shell command or an executable"),
        ({"health_check": {"type": "TCP", "tcp": {"port": 80}, "delay_seconds": -1}},
         "Task uses invalid health check: Expecting 'delay_seconds' to be non-negative"),
        ({"limits": {"disk": {"value": 1}}}, "Task's limits can be set for cpus and mem only, not for disk"),
        ({"limits": {"mem": {"value": 31}}}, "Task's limit of mem is less than the mem that it requests"),
    ],
)  # fmt: skip
def test_an_invalid_task_gets_task_error_in_mesos_words(changes: Json, message: str) -> None:
    rig, framework, offer = ready()
    assert refusal(rig, framework, task("t-1", offer, **changes)) == message
    assert framework.record.tasks == {}


def test_a_limit_may_be_infinite() -> None:
    _, framework, offer = ready()
    framework.accept([offer], launch(task("t-1", offer, limits={"cpus": {"value": "Infinity"}})))
    assert list(framework.record.tasks) == ["t-1"]


def test_a_task_for_another_agent_is_refused_under_the_agent_that_it_names() -> None:
    rig, framework, offer = ready()
    message = refusal(rig, framework, task("t-1", offer, agent_id=value("wrong-agent")))
    assert message == f"Task uses invalid agent wrong-agent while agent {offer['agent_id']['value']} is expected"
    assert framework.statuses()[0]["agent_id"] == value("wrong-agent")


def test_of_two_tasks_of_one_id_the_first_runs() -> None:
    rig, framework, offer = ready()
    assert refusal(rig, framework, task("t-dup", offer), task("t-dup", offer)) == "Task has duplicate ID: t-dup"
    assert list(framework.record.tasks) == ["t-dup"]


def test_a_task_that_no_longer_fits_is_refused_and_those_before_it_run() -> None:
    rig, framework, offer = ready()
    message = refusal(rig, framework, task("t-a", offer, need="cpus:4;mem:2048"), task("t-b", offer))
    assert message == f"Total resources cpus(allocated: golden):0.1; mem(allocated: golden):32 {NEED} {{}}"
    assert list(framework.record.tasks) == ["t-a"]


def test_the_resources_of_a_refused_task_come_back() -> None:
    rig, framework, offer = ready()
    framework.accept([offer], launch(task("t-1", offer, need="cpus:1000")))
    rig.advance(2)
    assert [offer["quantities"] for offer in framework.offers()] == [{"cpus": 4000, "mem": 2048_000}]


def test_tasks_may_name_the_role_of_the_offer_or_none() -> None:
    _, framework, offer = ready()
    named = [scalar("cpus", 0.1, allocation_info={"role": "golden"})]
    framework.accept([offer], launch(task("t-1", offer, resources=named), task("t-2", offer)))
    assert list(framework.record.tasks) == ["t-1", "t-2"]


def test_a_stale_offer_drops_the_task() -> None:
    _, framework, offer = ready()
    framework.call("DECLINE", decline={"offer_ids": [offer["id"]], "filters": {"refuse_seconds": 0}})
    assert framework.accept([offer], launch(task("t-stale", offer))) == (202, "")
    (status,) = framework.statuses()
    assert status["state"] == "TASK_DROPPED"
    assert status["reason"] == "REASON_INVALID_OFFERS"
    assert status["source"] == "SOURCE_MASTER"
    assert status["agent_id"] == offer["agent_id"]
    expected = f"Task launched with invalid offers: Offer {offer['id']['value']} is no longer valid"
    assert status["message"] == expected
    assert framework.record.tasks == {}


def test_a_framework_that_is_not_partition_aware_reads_task_lost_instead() -> None:
    rig = Rig()
    rig.agent()
    framework = rig.subscribe(framework_info(capabilities=(), role="golden"))
    offer = framework.offers()[0]
    framework.call("DECLINE", decline={"offer_ids": [offer["id"]]})
    framework.accept([offer], launch(task("l-stale", offer)))
    assert framework.states("l-stale") == ["TASK_LOST"]


def test_one_stale_offer_gives_the_others_back() -> None:
    rig = Rig()
    rig.agent()
    framework = rig.subscribe()
    (offer,) = framework.offers()
    framework.accept([offer, {"id": value("nope")}], launch(task("t-1", offer)))
    assert framework.states("t-1") == ["TASK_DROPPED"]
    assert framework.record.offers == {}
    rig.advance(2)
    assert framework.offers()


def test_the_offers_of_another_framework_are_neither_spent_nor_lost() -> None:
    rig = Rig()
    rig.agent()
    first = rig.subscribe()
    (offer,) = first.offers()
    second = rig.subscribe(framework_info("second"))
    second.accept([offer], launch(task("t-1", offer)))
    expected = f"Offer {offer['id']['value']} has invalid framework {first.id} while framework {second.id} is expected"
    assert second.statuses()[0]["message"] == f"Task launched with invalid offers: {expected}"
    assert first.offers() == [offer]


def test_an_offer_named_twice_is_an_invalid_list() -> None:
    _, framework, offer = ready()
    framework.accept([offer, offer], launch(task("t-1", offer)))
    assert framework.statuses()[0]["message"].endswith(f"Duplicate offer {offer['id']['value']} in offer list")


def test_offers_of_two_agents_can_not_be_spent_together() -> None:
    rig = Rig()
    rig.agent()
    rig.agent(pid="slave(1)@127.0.0.1:5052")
    framework = rig.subscribe()
    rig.advance(5)
    offers = framework.offers()
    assert len(offers) == 2
    framework.accept(offers, launch(task("t-1", offers[0])))
    assert "Aggregated offers must belong to one single agent" in framework.statuses()[0]["message"]
    assert framework.record.offers == {}


def test_several_offers_of_one_agent_add_up() -> None:
    rig = Rig()
    agent = rig.agent("cpus:2;mem:128")
    framework = rig.subscribe()
    framework.launch("t-1", need="cpus:1;mem:64")
    rig.advance(2)
    assert len(framework.offers()) == 1
    agent.update(framework.id, "t-1", "TASK_FINISHED", uuid=b"")
    rig.advance(2)
    offers = framework.offers()
    assert len(offers) == 2
    framework.accept(offers, launch(task("t-2", offers[0], need="cpus:2;mem:128")))
    assert list(framework.record.tasks) == ["t-2"]


def test_several_operations_of_one_accept_run_in_order() -> None:
    rig = Rig()
    agent = rig.agent("cpus:2;mem:128")
    framework = rig.subscribe()
    offer = framework.offers()[0]
    framework.accept(
        [offer],
        launch(task("t-1", offer, need="cpus:1;mem:64")),
        launch(task("t-2", offer, need="cpus:1;mem:64"), task("t-3", offer, need="cpus:1;mem:64")),
    )
    assert [run.task_ids for run in agent.of(link.RunTasks)] == [["t-1"], ["t-2"]]
    assert framework.states("t-3") == ["TASK_ERROR"]


@pytest.mark.parametrize(
    "operations", [[], [{"type": "LAUNCH", "launch": {}}], [{"type": "LAUNCH", "launch": {"task_infos": []}}]]
)
def test_an_accept_that_launches_nothing_is_a_decline(operations: list[Json]) -> None:
    rig, framework, offer = ready()
    framework.accept([offer], *operations, refuse_s=5.0)
    assert framework.offers() == []
    rig.advance(4.5)
    assert framework.offers() == []
    rig.advance(2)
    assert framework.offers()


def test_a_declined_offer_is_not_reoffered_before_refuse_seconds() -> None:
    rig, framework, offer = ready()
    framework.call("DECLINE", decline={"offer_ids": [offer["id"]], "filters": {"refuse_seconds": 10.0}})
    rig.advance(9.5)
    assert framework.offers() == []
    rig.advance(2)
    assert framework.offers()


@pytest.mark.parametrize("filters", [{}, {"filters": {}}, {"filters": {"refuse_seconds": -3.0}}])
def test_without_a_sensible_filter_five_seconds_count(filters: Json) -> None:
    rig, framework, offer = ready()
    framework.call("DECLINE", decline={"offer_ids": [offer["id"]], **filters})
    rig.advance(4.5)
    assert framework.offers() == []
    rig.advance(1.6)
    assert framework.offers()


def test_what_one_framework_declined_goes_to_another_at_once() -> None:
    rig = Rig()
    rig.agent()
    first = rig.subscribe()
    second = rig.subscribe(framework_info("second", roles=("other",)))
    (offer,) = first.offers()
    first.call("DECLINE", decline={"offer_ids": [offer["id"]], "filters": {"refuse_seconds": 1000.0}})
    rig.advance(0.01)
    assert second.offers()


@pytest.mark.parametrize("kind", ["RESERVE", "UNRESERVE", "CREATE", "DESTROY", "GROW_VOLUME", "CREATE_DISK"])
def test_an_operation_that_is_not_there_yet_is_refused_clearly(kind: str) -> None:
    rig, framework, offer = ready()
    body = {"RESERVE": "reserve", "UNRESERVE": "unreserve", "CREATE": "create", "DESTROY": "destroy"}.get(kind)
    lists = {"reserve": "resources", "unreserve": "resources", "create": "volumes", "destroy": "volumes"}
    operation = {"type": kind, "id": value("op-1")} | ({} if body is None else {body: {lists[body]: []}})
    framework.accept([offer], operation)
    (event,) = framework.of("UPDATE_OPERATION_STATUS")
    status = event["update_operation_status"]["status"]
    assert status["operation_id"] == value("op-1")
    assert status["state"] == "OPERATION_ERROR"
    assert kind in status["message"]
    assert framework.record.decisions[-1].reason == "operation_invalid"
    rig.advance(2)
    assert framework.offers()


def test_an_operation_without_id_is_only_written_into_the_journal() -> None:
    _, framework, offer = ready()
    framework.accept([offer], {"type": "RESERVE", "reserve": {"resources": []}})
    assert framework.of("UPDATE_OPERATION_STATUS") == []
    assert framework.record.decisions[-1].reason == "operation_invalid"


def with_executor(task_id: str, offer: Json, **changes: object) -> Json:
    executor = {
        "executor_id": value("custom-1"),
        "command": {"value": "./executor"},
        "resources": resources("cpus:1;mem:64"),
        **changes,
    }
    return task(task_id, offer, command=None, executor=executor)


def test_an_executor_is_paid_for_once() -> None:
    rig, framework, offer = ready()
    framework.accept([offer], launch(with_executor("t-1", offer), with_executor("t-2", offer)))
    assert list(framework.record.tasks) == ["t-1", "t-2"]
    assert framework.record.tasks["t-1"].executor_id == "custom-1"
    rig.advance(2)
    assert [offer["quantities"] for offer in framework.offers()] == [{"cpus": 2800, "mem": 1920_000}]


def test_a_second_executor_of_one_id_must_be_the_same() -> None:
    rig, framework, offer = ready()
    other = with_executor("t-2", offer, command={"value": "./other"})
    message = refusal(rig, framework, with_executor("t-1", offer), other)
    assert message == "ExecutorInfo is not compatible with existing ExecutorInfo with same ExecutorID"


def test_an_executor_of_another_framework_is_refused() -> None:
    rig, framework, offer = ready()
    message = refusal(rig, framework, with_executor("t-1", offer, framework_id=value("someone")))
    assert message == f"ExecutorInfo has an invalid FrameworkID (Actual: someone vs Expected: {framework.id})"


def test_an_executor_that_does_not_fit_is_not_charged() -> None:
    rig, framework, offer = ready()
    refusal(rig, framework, with_executor("t-1", offer, resources=resources("cpus:4;mem:64")))
    assert framework.record.executors == {}
    rig.advance(2)
    assert [offer["quantities"] for offer in framework.offers()] == [{"cpus": 4000, "mem": 2048_000}]


def test_what_kept_work_waiting_is_written_down() -> None:
    _, framework, offer = ready()
    framework.accept([offer], launch(task("t-1", offer, need="cpus:1000")))
    decision = framework.record.decisions[-1]
    assert decision.reason == "task_invalid"
    assert "cpus(allocated: golden):1000" in decision.message


def test_every_capability_is_known() -> None:
    rig = Rig()
    framework = rig.subscribe(framework_info(capabilities=ALL))
    assert framework.record.partition_aware
    assert framework.record.multi_role
    assert framework.record.refinement
