"""Critical issues that Mesos 1.11 shipped with, each shown not to happen here. MESOS-9426 has its test in `process/zookeeper/test_faults.py`, beside a real ZooKeeper."""

from __future__ import annotations

import pytest

from merismos.adapters.http.sinks import QUEUE_BYTES_MAX, QueueSink
from merismos.core.agent import effects as agent_effects
from merismos.core.agent import events as agent_events
from merismos.core.master.state import Config
from merismos.ports.checkpoints import apply
from merismos.protocol import link
from merismos.protocol.v1 import agent as operator
from merismos.protocol.v1 import mesos
from unit.agent.rig import FRAMEWORK, task
from unit.agent.rig import Rig as AgentRig
from unit.master.rig import Rig, framework_info, record_of, running, value

OTHER_PID = "slave(1)@127.0.0.1:5052"


def test_mesos_10194_a_role_that_is_gone_while_its_tasks_live_is_no_trouble() -> None:
    """Mesos' master died on a task of a role that it no longer tracked."""
    rig = Rig()
    framework, agent = running(rig)
    rig.hang_up(framework)
    back = rig.subscribe(framework_info(id=value(framework.id), roles=("another",)))
    assert list(back.record.tasks) == ["t-1"]
    agent.update(framework.id, "t-1", "TASK_FINISHED", uuid=b"2" * 16)
    back.acknowledge(back.statuses()[-1])
    assert back.record.tasks == {}
    assert back.call("TEARDOWN")[0] == 202
    agent.send(link.UnregisterAgent())
    assert rig.master.agents == {}


@pytest.mark.parametrize("ending", ["unreachable", "unregistered", "gone", "finished"])
def test_mesos_10146_a_task_ends_while_its_framework_is_disconnected(ending: str) -> None:
    """Mesos' master died when it removed a task of a framework that was not connected."""
    rig = Rig()
    framework, agent = running(rig)
    framework_id = framework.id
    rig.hang_up(framework)
    if ending == "unreachable":
        rig.master.frameworks[framework_id].info.failover_timeout = 0.0
        agent.is_silent = True
        rig.advance(100)
    elif ending == "unregistered":
        agent.send(link.UnregisterAgent())
    elif ending == "gone":
        rig.operate({"type": "MARK_AGENT_GONE", "mark_agent_gone": {"agent_id": value(agent.id)}})
    else:
        agent.update(framework_id, "t-1", "TASK_FINISHED", uuid=b"")
    rig.advance(70)
    assert framework_id not in rig.master.frameworks
    late = rig.subscribe(framework_info("late"))
    assert bool(late.offers()) == (ending == "finished")


def test_mesos_10011_operations_of_an_agent_id_that_is_stale_are_answered() -> None:
    """Mesos' master died on operation feedback that named an agent it did not know any more."""
    rig = Rig()
    framework, agent = running(rig)
    agent.send(link.UnregisterAgent())
    stale = {"agent_id": value(agent.id), "operation_id": value("o-1")}
    acknowledge = {**stale, "uuid": "MDEyMzQ1Njc4OWFiY2RlZg=="}
    status, _ = framework.call("ACKNOWLEDGE_OPERATION_STATUS", acknowledge_operation_status=acknowledge)
    assert status == 202
    assert framework.call("RECONCILE_OPERATIONS", reconcile_operations={"operations": [stale]})[0] == 202
    (event,) = framework.of("UPDATE_OPERATION_STATUS")
    assert event["update_operation_status"]["status"]["state"] == "OPERATION_UNKNOWN"


def test_mesos_9609_an_agent_with_tasks_of_a_framework_that_is_over_becomes_unreachable() -> None:
    """Mesos' master failed a check when it marked an agent unreachable whose framework was already completed."""
    rig = Rig()
    framework, agent = running(rig)
    agent.close()
    framework.call("TEARDOWN")
    rig.advance(80)
    assert list(rig.master.unreachable_agents) == [agent.id]
    again = rig.reregister(agent.id, tasks=[record_of(framework.id, "t-1", agent.id)])
    again.is_silent = True
    rig.advance(100)
    assert list(rig.master.unreachable_agents) == [agent.id]


def test_mesos_8679_a_second_kill_is_heard_while_the_first_is_stuck() -> None:
    """Mesos' executor ignored every kill after a first one that did not come through."""
    agent = AgentRig.registered()
    agent.run(task("t"))
    agent.launched("t")
    agent.receive(link.KillTask(FRAMEWORK, "t", 3600.0))
    agent.advance(10)
    agent.receive(link.KillTask(FRAMEWORK, "t", 0.0))
    agent.advance(1)
    assert [signal.signal for signal in agent.of(agent_effects.SignalContainer)][-1] == 9


def test_mesos_8256_nothing_waits_for_a_worker_while_every_registry_write_hangs() -> None:
    """Mesos' worker threads could all wait for each other, for ever."""
    rig = Rig()
    framework, agent = running(rig)
    rig.held_writes = []
    for port in range(200):
        rig.agent(pid=f"slave(1)@127.0.0.1:{6000 + port}")
        rig.operate_only({"type": "UPDATE_WEIGHTS", "update_weights": {"weight_infos": [{"role": "r", "weight": 2.0}]}})
    assert len(rig.held_writes) == 400
    assert framework.call("RECONCILE", reconcile={"tasks": []})[0] == 202
    assert framework.states("t-1") == ["TASK_RUNNING", "TASK_RUNNING"]
    rig.advance(60)
    assert len(agent.of(link.Ping)) >= 3


def test_mesos_7911_tasks_without_checkpointing_survive_a_broken_link() -> None:
    """Mesos' master declared tasks of frameworks without checkpointing lost as soon as a connection broke."""
    rig = Rig()
    agent = rig.agent()
    framework = rig.subscribe(framework_info(checkpoint=False))
    framework.launch("t-1")
    agent.update(framework.id, "t-1", "TASK_RUNNING")
    agent.close()
    rig.advance(60)
    rig.reregister(agent.id, tasks=[record_of(framework.id, "t-1", agent.id)])
    rig.advance(600)
    assert framework.states("t-1") == ["TASK_RUNNING"]


def test_mesos_7748_a_subscriber_that_never_reads_holds_no_memory_without_bound() -> None:
    """Mesos' master kept every event for subscribers that read slowly."""
    sink = QueueSink("s")
    record = bytes(64 * 1024)
    sent = 0
    while not sink.broken:
        sink.send_record(record)
        sent += len(record)
        assert sent <= QUEUE_BYTES_MAX + 2 * len(record)


def test_mesos_7721_the_removal_rate_limit_does_not_hold_back_task_unreachable() -> None:
    """Mesos' removal rate limit also delayed that partition-aware frameworks heard of unreachable agents."""
    config = Config()
    config.agent_removal_interval_s = 86_400.0
    rig = Rig(config)
    spent = rig.agent(pid=OTHER_PID)
    spent.close()
    rig.advance(80)
    framework, agent = running(rig)
    agent.is_silent = True
    rig.advance(100)
    assert framework.states("t-1") == ["TASK_RUNNING", "TASK_UNREACHABLE"]
    assert agent.id in rig.master.agents, "its removal waits"
    assert not agent.is_open
    rig.reregister(agent.id, tasks=[record_of(framework.id, "t-1", agent.id)])
    assert framework.states("t-1") == ["TASK_RUNNING", "TASK_UNREACHABLE", "TASK_RUNNING"]
    assert list(framework.record.tasks) == ["t-1"]
    rig.advance(5)
    assert [offer["quantities"] for offer in framework.offers()] == [{"cpus": 3900, "mem": 2016_000}]


@pytest.mark.parametrize("first", ["framework", "agent"])
def test_mesos_7566_agents_and_frameworks_with_everything_out_are_removed_in_any_order(first: str) -> None:
    """Mesos' sorter failed a check when something was removed that it still had on its books."""
    rig = Rig()
    framework, agent = running(rig)
    rig.advance(2)
    assert framework.offers()
    steps = [lambda: framework.call("TEARDOWN"), lambda: agent.send(link.UnregisterAgent())]
    for step in steps if first == "framework" else reversed(steps):
        step()
    assert rig.master.offers == {}
    assert rig.master.agents == {}
    assert all(not view.allocated_milli for view in rig.master.allocator.role_view())


def test_mesos_6285_what_an_agent_has_to_recover_does_not_grow_with_what_it_has_run() -> None:
    """Mesos' agents read the records of everything that they had ever run, until memory ended."""
    agent = AgentRig.registered()
    kept: dict[str, list[bytes]] = {}
    sizes = []
    for number in range(20):
        agent.run(task(f"t-{number}"))
        agent.launched(f"t-{number}")
        agent.exited(f"t-{number}", 0)
        agent.acknowledge_all()
        for checkpoint in agent.checkpoints:
            apply(kept, checkpoint.changes)
        agent.checkpoints.clear()
        sizes.append(sum(map(len, kept.values())))
    assert sizes[-1] == sizes[0]


def test_the_removal_of_a_quota_that_does_not_exist_is_refused_clearly() -> None:
    """A real Mesos master crashed on it."""
    answer = Rig().operate({"type": "REMOVE_QUOTA", "remove_quota": {"role": "nobody"}})
    assert answer == (400, "Failed to remove quota: Role 'nobody' has no quota set")


def test_the_removal_of_a_standalone_container_that_does_not_exist_is_refused_clearly() -> None:
    """A real Mesos agent crashed on it."""
    agent = AgentRig.registered()
    removal = operator.Call_RemoveContainer(container_id=mesos.ContainerID(value="standalone"))
    call = operator.Call(type=operator.Call_Type.REMOVE_CONTAINER, remove_container=removal)
    agent.handle(agent_events.ContainerCalled(1, call))
    answer = agent.last(agent_effects.AnswerContainerCall)
    assert (answer.status, answer.text) == (404, "Container standalone cannot be found")
