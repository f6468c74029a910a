"""Operators schedule maintenance, take machines down and bring them up."""

from __future__ import annotations

import msgspec
import pytest

from merismos.core.master import events as happened
from merismos.core.master.views import maintenance
from merismos.protocol import json, link
from unit.master.rig import Json, Rig, agent_info, record_of, running, value

MACHINE = {"hostname": "maint-host", "ip": "127.0.0.9"}
HERE = {"hostname": "localhost", "ip": "127.0.0.1"}
WHEN = {"start": {"nanoseconds": 1900000000000000000}, "duration": {"nanoseconds": 3600000000000}}
LATER = {"start": {"nanoseconds": 1950000000000000000}}
NAMED = 'Machine \'{"hostname":"maint-host","ip":"127.0.0.9"}\''


def schedule(*machines: Json, when: Json = WHEN) -> Json:
    windows = [{"machine_ids": list(machines), "unavailability": when}] if machines else []
    return {"type": "UPDATE_MAINTENANCE_SCHEDULE", "update_maintenance_schedule": {"schedule": {"windows": windows}}}


def start(*machines: Json) -> Json:
    return {"type": "START_MAINTENANCE", "start_maintenance": {"machines": list(machines)}}


def stop(*machines: Json) -> Json:
    return {"type": "STOP_MAINTENANCE", "stop_maintenance": {"machines": list(machines)}}


def status_of(rig: Rig) -> Json:
    decoded: Json = msgspec.json.decode(json.encode(maintenance.status(rig.master)))
    return decoded


def windows_of(rig: Rig) -> list[Json]:
    decoded: Json = msgspec.json.decode(json.encode(rig.master.maintenance.schedule))
    return decoded.get("windows", [])


def next_leader(rig: Rig) -> Rig:
    return Rig(registry=[(table, key, content) for (table, key), content in rig.registry.items()])


def test_a_machine_goes_from_draining_to_down_to_up() -> None:
    rig = Rig()
    assert rig.operate(schedule(MACHINE)) == (200, "")
    assert windows_of(rig) == [{"machine_ids": [MACHINE], "unavailability": WHEN}]
    assert status_of(rig) == {"draining_machines": [{"id": MACHINE}]}
    assert rig.operate(start(MACHINE)) == (200, "")
    assert status_of(rig) == {"down_machines": [MACHINE]}
    assert windows_of(rig) == [{"machine_ids": [MACHINE], "unavailability": WHEN}]
    assert rig.operate(stop(MACHINE)) == (200, "")
    assert status_of(rig) == {}
    assert windows_of(rig) == []
    assert rig.registry == {}


@pytest.mark.parametrize(
    ("before", "call", "answer"),
    [
        ([], schedule({}), "Both 'hostname' and 'ip' for a machine are empty"),
        ([], schedule({"hostname": ""}), "Both 'hostname' and 'ip' for a machine are empty"),
        ([], schedule({"ip": "1.2.3"}), "Failed to parse IPv4: 1.2.3"),
        ([], schedule(MACHINE, MACHINE), f"{NAMED} appears more than once in the schedule"),
        (
            [],
            schedule(MACHINE, MACHINE | {"hostname": "MAINT-host"}),
            'Machine \'{"hostname":"MAINT-host","ip":"127.0.0.9"}\' appears more than once in the schedule',
        ),
        (
            [],
            schedule(MACHINE, when=WHEN | {"duration": {"nanoseconds": -1}}),
            "Unavailability 'duration' is negative",
        ),
        (
            [schedule(MACHINE), start(MACHINE)],
            schedule(),
            f"{NAMED} is deactivated and cannot be removed from the schedule",
        ),
        ([], start(), "List of machines is empty"),
        ([], start({"hostname": "zz"}), 'Machine \'{"hostname":"zz"}\' is not part of a maintenance schedule'),
        (
            [schedule(MACHINE), start(MACHINE)],
            start(MACHINE),
            f"{NAMED} is not in DRAINING mode and cannot be brought down",
        ),
        ([schedule(MACHINE)], start(MACHINE, MACHINE), f"{NAMED} appears more than once in the schedule"),
        ([], stop(MACHINE), f"{NAMED} is not part of a maintenance schedule"),
        ([schedule(MACHINE), schedule()], stop(MACHINE), f"{NAMED} is not in DOWN mode and cannot be brought up"),
        ([schedule(MACHINE)], stop(MACHINE), f"{NAMED} is not in DOWN mode and cannot be brought up"),
    ],
)
def test_what_can_not_be_done_is_refused_in_the_words_of_mesos(before: list[Json], call: Json, answer: str) -> None:
    rig = Rig()
    for one in before:
        assert rig.operate(one) == (200, "")
    assert rig.operate(call) == (400, answer)


def test_a_machine_with_an_agent_is_known_to_be_up() -> None:
    rig = Rig()
    rig.agent()
    named = 'Machine \'{"hostname":"localhost","ip":"127.0.0.1"}\''
    assert rig.operate(start(HERE)) == (400, f"{named} is not in DRAINING mode and cannot be brought down")


def test_a_window_without_machines_is_refused() -> None:
    call = schedule(MACHINE)
    call["update_maintenance_schedule"]["schedule"]["windows"][0]["machine_ids"] = []
    assert Rig().operate(call) == (400, "List of machines in the maintenance window is empty")


def test_a_schedule_may_name_a_machine_that_is_down_with_another_window_and_it_stays_down() -> None:
    rig = Rig()
    rig.operate(schedule(MACHINE))
    rig.operate(start(MACHINE))
    assert rig.operate(schedule(MACHINE, HERE, when=LATER)) == (200, "")
    assert status_of(rig) == {"draining_machines": [{"id": HERE}], "down_machines": [MACHINE]}


def test_bringing_up_one_machine_leaves_the_others_of_its_window() -> None:
    rig = Rig()
    rig.operate(schedule(MACHINE, HERE))
    rig.operate(start(MACHINE))
    rig.operate(stop(MACHINE))
    assert windows_of(rig) == [{"machine_ids": [HERE], "unavailability": WHEN}]


def test_nothing_counts_and_nobody_is_answered_before_it_is_written() -> None:
    rig = Rig()
    rig.held_writes = []
    request = rig.operate_only(schedule(MACHINE))
    assert request not in rig.answers
    assert status_of(rig) == {}
    rig.handle(happened.RegistryStored(rig.held_writes.pop()))
    assert rig.answers[request] == (200, "")
    assert status_of(rig) == {"draining_machines": [{"id": MACHINE}]}


def test_changes_are_judged_one_after_the_other_by_what_the_one_before_made() -> None:
    rig = Rig()
    rig.operate(schedule(MACHINE))
    rig.held_writes = []
    cleared, started, again = (rig.operate_only(one) for one in (schedule(), start(MACHINE), schedule(HERE)))
    assert len(rig.held_writes) == 1
    rig.handle(happened.RegistryStored(rig.held_writes.pop()))
    assert rig.answers[cleared] == (200, "")
    assert rig.answers[started] == (400, f"{NAMED} is not in DRAINING mode and cannot be brought down")
    rig.handle(happened.RegistryStored(rig.held_writes.pop()))
    assert rig.answers[again] == (200, "")
    assert status_of(rig) == {"draining_machines": [{"id": HERE}]}


def test_schedule_and_modes_survive_a_failover_in_their_order() -> None:
    rig = Rig()
    first, second, third = ({"hostname": name} for name in ("z", "a", "m"))
    rig.operate(schedule(first, second, third))
    rig.operate(start(second))
    other = next_leader(rig)
    assert windows_of(other) == windows_of(rig)
    assert status_of(other) == {"draining_machines": [{"id": first}, {"id": third}], "down_machines": [second]}
    assert other.operate(stop(second)) == (200, "")


def test_taking_a_machine_down_ends_its_agents_and_their_tasks_and_no_others() -> None:
    rig = Rig()
    framework, agent = running(rig)
    other = rig.agent(pid="slave(1)@127.0.0.2:5051")
    rig.operate(schedule(HERE))
    events = rig.watch()
    assert rig.operate(start(HERE)) == (200, "")
    assert agent.of(link.ShutdownAgent) == [link.ShutdownAgent("Operator initiated 'Machine DOWN'")]
    assert not agent.is_open
    status = framework.statuses()[-1]
    assert (status["state"], status["reason"]) == ("TASK_GONE", "REASON_AGENT_REMOVED")
    assert status["message"] == "Agent localhost removed: Operator initiated 'Machine DOWN'"
    assert framework.of("FAILURE")[-1]["failure"] == {"agent_id": value(agent.id)}
    assert [event["type"] for event in events[2:]] == ["TASK_UPDATED", "AGENT_REMOVED"]
    assert list(rig.master.agents) == [other.id]
    assert all(offer["agent_id"] == value(other.id) for offer in framework.offers())
    assert not rig.master.inverse_offers
    assert not rig.master.maintenance.agents


def test_nothing_is_offered_of_a_machine_that_is_taken_down_while_its_agents_end_is_being_written() -> None:
    rig = Rig()
    agent = rig.agent()
    framework = rig.subscribe()
    rig.operate(schedule(HERE))
    rig.held_writes = []
    rig.operate_only(start(HERE))
    rig.handle(happened.RegistryStored(rig.held_writes.pop()))
    assert agent.id in rig.master.agents
    rig.advance(5)
    assert framework.offers() == []


def test_a_new_agent_on_a_machine_that_is_down_waits_and_is_admitted_once_it_is_up() -> None:
    rig = Rig()
    rig.operate(schedule(HERE))
    rig.operate(start(HERE))
    (refusal,) = rig.agent().of(link.RefuseAgent)
    assert not refusal.shutdown
    assert not rig.master.agents
    rig.operate(stop(HERE))
    assert rig.agent().of(link.AgentRegistered)


def test_an_agent_that_was_ended_with_its_machine_never_comes_back_under_its_id() -> None:
    rig = Rig()
    framework, agent = running(rig)
    rig.operate(schedule(HERE))
    rig.operate(start(HERE))
    rig.operate(stop(HERE))
    for leader in (rig, next_leader(rig)):
        again = leader.reregister(agent.id, tasks=[record_of(framework.id, "t-1", agent.id)])
        assert again.of(link.ShutdownAgent)
        assert not leader.master.agents


def test_an_agent_that_a_new_leader_waits_for_is_ended_when_it_comes_back_to_a_machine_that_is_down() -> None:
    rig = Rig()
    framework, agent = running(rig)
    rig.operate(schedule(HERE))
    leader = next_leader(rig)
    leader.operate(start(HERE))
    info = framework.record.info_json
    back = leader.subscribe_only(msgspec.json.decode(info), outer_id=framework.id)
    again = leader.reregister(agent.id, tasks=[record_of(framework.id, "t-1", agent.id)], frameworks=[info])
    assert again.of(link.ShutdownAgent)
    assert back.states("t-1")[-1] == "TASK_GONE"
    assert list(leader.master.gone_agents) == [agent.id]
    assert ("agents", agent.id) not in leader.registry


def test_an_agent_whose_admission_is_being_written_when_its_machine_goes_down_is_ended() -> None:
    rig = Rig()
    rig.operate(schedule(HERE))
    rig.held_writes = []
    rig.operate_only(start(HERE))
    agent = rig.agent()
    first, second = rig.held_writes
    rig.held_writes = None
    rig.handle(happened.RegistryStored(first))
    rig.handle(happened.RegistryStored(second))
    assert agent.of(link.ShutdownAgent)
    assert not rig.master.agents
    assert ("agents", agent.id) not in rig.registry


def test_an_agent_that_changes_its_name_to_that_of_a_machine_that_is_down_is_ended() -> None:
    rig = Rig()
    agent = rig.agent()
    rig.operate(schedule({"hostname": "Elsewhere"}))
    rig.operate(start({"hostname": "Elsewhere"}))
    peer = rig.connect()
    info = agent_info(hostname="elsewhere")
    peer.send(link.ReregisterAgent(agent.id, info, "1.12.0", "slave(1)@127.0.0.1:5051"))
    assert peer.of(link.ShutdownAgent)
    assert not rig.master.agents


@pytest.mark.parametrize("machine", [HERE, {"hostname": "LOCALHOST"}, {"ip": "127.0.0.1"}])
def test_a_machine_covers_the_agents_that_agree_with_all_that_it_names(machine: Json) -> None:
    rig = Rig()
    rig.agent()
    rig.operate(schedule(machine))
    assert rig.operate(start(machine)) == (200, "")
    assert not rig.master.agents


@pytest.mark.parametrize("machine", [HERE | {"ip": "127.0.0.2"}, {"hostname": "other"}, {"ip": "127.0.0.2"}])
def test_a_machine_leaves_other_agents_alone(machine: Json) -> None:
    rig = Rig()
    agent = rig.agent()
    rig.operate(schedule(machine))
    rig.operate(start(machine))
    assert list(rig.master.agents) == [agent.id]
