from __future__ import annotations

from merismos.protocol import link
from unit.master.rig import Rig, launch, record_of, resources, running, task, value


def test_a_kill_reaches_the_agent_with_its_grace() -> None:
    rig = Rig()
    framework, agent = running(rig)
    policy = {"grace_period": {"nanoseconds": 2_500_000_000}}
    assert framework.call("KILL", kill={"task_id": value("t-1"), "kill_policy": policy}) == (202, "")
    framework.call("KILL", kill={"task_id": value("t-1"), "agent_id": value(agent.id)})
    assert agent.of(link.KillTask) == [
        link.KillTask(framework.id, "t-1", 2.5),
        link.KillTask(framework.id, "t-1", None),
    ]


def test_a_kill_before_the_agent_has_spoken_follows_the_launch() -> None:
    rig = Rig()
    agent = rig.agent()
    framework = rig.subscribe()
    framework.launch("t-1")
    framework.call("KILL", kill={"task_id": value("t-1")})
    kinds = [type(message) for message in agent.messages]
    assert kinds.index(link.RunTasks) < kinds.index(link.KillTask)


def test_a_kill_that_names_another_agent_is_dropped() -> None:
    rig = Rig()
    framework, agent = running(rig)
    assert framework.call("KILL", kill={"task_id": value("t-1"), "agent_id": value("other")}) == (202, "")
    assert agent.of(link.KillTask) == []


def test_a_kill_while_the_link_is_down_is_sent_when_the_agent_is_back() -> None:
    rig = Rig()
    framework, agent = running(rig)
    agent.close()
    framework.call("KILL", kill={"task_id": value("t-1")})
    again = rig.reregister(agent.id, tasks=[record_of(framework.id, "t-1", agent.id)])
    assert again.of(link.KillTask) == [link.KillTask(framework.id, "t-1", None)]


def test_a_kill_that_may_have_gone_down_with_a_link_is_sent_again_until_the_task_has_ended() -> None:
    rig = Rig()
    framework, agent = running(rig)
    framework.call("KILL", kill={"task_id": value("t-1")})
    agent.close()
    again = rig.reregister(agent.id, tasks=[record_of(framework.id, "t-1", agent.id)])
    assert again.of(link.KillTask) == [link.KillTask(framework.id, "t-1", None)]
    again.update(framework.id, "t-1", "TASK_KILLED")
    assert again.record.kills == {}


def test_a_kill_of_a_finished_task_is_silent() -> None:
    rig = Rig()
    framework, agent = running(rig)
    agent.update(framework.id, "t-1", "TASK_FINISHED")
    count = len(framework.statuses())
    framework.call("KILL", kill={"task_id": value("t-1")})
    assert agent.of(link.KillTask) == []
    assert len(framework.statuses()) == count


def test_messages_go_both_ways() -> None:
    rig = Rig()
    framework, agent = running(rig)
    body = {"agent_id": value(agent.id), "executor_id": value("e-1"), "data": "aGVsbG8="}
    assert framework.call("MESSAGE", message=body) == (202, "")
    assert agent.of(link.MessageExecutor) == [link.MessageExecutor(framework.id, "e-1", b"hello")]
    agent.send(link.MessageFramework(framework.id, "e-1", b"hello"))
    assert framework.of("MESSAGE") == [{"type": "MESSAGE", "message": body}]


def test_a_message_to_nobody_is_counted() -> None:
    rig = Rig()
    framework, agent = running(rig)
    body = {"agent_id": value("nobody"), "executor_id": value("e-1"), "data": "aGVsbG8="}
    assert framework.call("MESSAGE", message=body) == (202, "")
    agent.send(link.MessageFramework("nobody", "e-1", b"hello"))
    assert rig.master.metrics["master/invalid_framework_to_executor_messages"] == 1
    assert rig.master.metrics["master/invalid_executor_to_framework_messages"] == 1


def test_an_executor_is_shut_down_and_its_end_reported() -> None:
    rig = Rig()
    agent = rig.agent()
    framework = rig.subscribe()
    (offer,) = framework.offers()
    executor = {
        "executor_id": value("custom-1"),
        "command": {"value": "x"},
        "resources": resources("cpus:1;mem:64"),
    }
    framework.accept([offer], launch(task("t-1", offer, command=None, executor=executor)))
    shutdown = {"executor_id": value("custom-1"), "agent_id": value(agent.id)}
    assert framework.call("SHUTDOWN", shutdown=shutdown) == (202, "")
    assert agent.of(link.ShutdownExecutor) == [link.ShutdownExecutor(framework.id, "custom-1")]
    agent.update(framework.id, "t-1", "TASK_FAILED")
    agent.send(link.ExitedExecutor(framework.id, "custom-1", 256))
    failure = {"agent_id": value(agent.id), "executor_id": value("custom-1"), "status": 256}
    assert framework.of("FAILURE") == [{"type": "FAILURE", "failure": failure}]
    rig.advance(2)
    quantities = [offer["quantities"] for offer in framework.offers()]
    total = {name: sum(one.get(name, 0) for one in quantities) for name in ("cpus", "mem")}
    assert total == {"cpus": 4000, "mem": 2048_000}


def test_the_end_of_an_unknown_executor_is_dropped() -> None:
    rig = Rig()
    framework, agent = running(rig)
    agent.send(link.ExitedExecutor(framework.id, "no-such", 0))
    assert framework.of("FAILURE") == []
