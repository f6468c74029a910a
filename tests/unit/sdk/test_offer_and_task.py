from __future__ import annotations

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from merismos.core.containers.exit_status import describe_exit
from merismos.protocol import json
from merismos.protocol.v1 import mesos
from merismos.sdk import Offer, Task, Update
from merismos.sdk.offer import DoesNotFitError
from merismos.sdk.update import exit_code_of
from unit.sdk import fake_master
from unit.sdk.fake_master import scalar, status

PORTS = {"name": "ports", "type": "RANGES", "ranges": {"range": [{"begin": 31000, "end": 31003}]}}


def offered(*resources: object, **more: object) -> Offer:
    return Offer(msgspec.convert(fake_master.offer(0, *resources, **more), mesos.Offer))  # type: ignore[arg-type]


def taken(offer: Offer, index: int = 0) -> list[tuple[str, float]]:
    return [(one.name, one.scalar.value) for one in offer.task_infos[index].resources if one.scalar is not None]


def test_ten_times_a_tenth_is_one() -> None:
    offer = offered(scalar("cpus", 1.0), scalar("mem", 320.0))
    offer.launch(*(Task(name="t", command="true", cpus=0.1, mem=32) for _ in range(10)))
    assert (offer.cpus, offer.mem) == (0.0, 0.0)
    assert not offer.fits(Task(name="t", command="true", cpus=0.001, mem=0))


def test_a_task_takes_what_is_reserved_before_what_is_not() -> None:
    reserved = scalar("cpus", 1.0, reservations=[{"type": "STATIC", "role": "eng"}])
    offer = offered(scalar("cpus", 1.0), reserved, scalar("mem", 64.0))
    offer.launch(Task(name="t", command="true", cpus=1.5, mem=32))
    cpus = [one for one in offer.task_infos[0].resources if one.name == "cpus"]
    assert [(bool(one.reservations), one.scalar.value) for one in cpus if one.scalar] == [(True, 1.0), (False, 0.5)]
    assert all(one.allocation_info is not None for one in offer.task_infos[0].resources)


def test_volumes_and_revocable_resources_are_left_alone() -> None:
    volume = scalar("disk", 64.0, disk={"persistence": {"id": "v"}})
    offer = offered(volume, scalar("cpus", 1.0, revocable={}), scalar("mem", 64.0))
    assert (offer.disk, offer.cpus, offer.mem) == (0.0, 0.0, 64.0)


def test_a_task_that_does_not_fit_is_refused_with_what_is_missing() -> None:
    offer = offered(scalar("cpus", 1.0), scalar("mem", 64.0))
    with pytest.raises(DoesNotFitError, match="too little cpus and gpus"):
        offer.launch(Task(name="big", command="true", cpus=2, gpus=1))
    assert offer.task_infos == []
    assert offer.lacks(Task(name="p", command="true", ports=1)) == ["ports"]


def test_ports_are_chosen_and_told_to_the_task() -> None:
    offer = offered(scalar("cpus", 1.0), scalar("mem", 64.0), PORTS)
    offer.launch(Task(name="a", command="true", ports=2), Task(name="b", command="true", ports=1))
    said = [
        {one.name: one.value for one in info.command.environment.variables}
        for info in offer.task_infos
        if info.command is not None and info.command.environment is not None
    ]
    assert said == [{"PORT0": "31000", "PORT1": "31001"}, {"PORT0": "31002"}]


def test_a_line_goes_to_the_shell_and_a_list_is_a_program_with_its_arguments() -> None:
    line = Task(name="a", command="echo $HOME").info("S0", []).command
    words = Task(name="a", command=["sh", "-c", "echo hello; exit 3"]).info("S0", []).command
    assert line is not None
    assert words is not None
    assert (line.shell, line.value, line.arguments) == (True, "echo $HOME", [])
    assert (words.shell, words.value, words.arguments) == (False, "sh", ["sh", "-c", "echo hello; exit 3"])


def test_a_task_says_all_that_its_author_said() -> None:
    template = mesos.TaskInfo(
        name="x", task_id=mesos.TaskID(value="x"), agent_id=mesos.AgentID(value="x"), data=b"seed"
    )
    task = Task(
        name="n", command="true", env={"A": "b"}, uris=["http://h/f"], user="nobody", labels={"k": "v"},
        kill_grace_s=2.5, time_limit_s=60, template=template, id="n-1",
    )  # fmt: skip
    said = msgspec.json.decode(json.encode(task.info("S0", [])))
    assert said == {
        "name": "n",
        "task_id": {"value": "n-1"},
        "agent_id": {"value": "S0"},
        "command": {
            "uris": [{"value": "http://h/f", "extract": True}],
            "environment": {"variables": [{"name": "A", "type": "VALUE", "value": "b"}]},
            "shell": True,
            "value": "true",
            "user": "nobody",
        },
        "kill_policy": {"grace_period": {"nanoseconds": 2_500_000_000}},
        "data": "c2VlZA==",
        "labels": {"labels": [{"key": "k", "value": "v"}]},
        "max_completion_time": {"nanoseconds": 60_000_000_000},
    }


def test_two_tasks_of_one_name_have_different_ids() -> None:
    assert Task(name="n", command="true").id != Task(name="n", command="true").id


def test_an_offer_says_where_its_agent_is_and_what_it_is_like() -> None:
    offer = offered(port=5055)
    assert (str(offer.address), offer.hostname, offer.role, offer.attributes) == (
        "127.0.0.1:5055",
        "one",
        "*",
        {"rack": "r1"},
    )


@given(st.integers(min_value=0, max_value=255))
def test_every_exit_status_is_read_back_from_its_message(code: int) -> None:
    assert exit_code_of(describe_exit(code << 8)) == code


@given(st.integers(min_value=1, max_value=64), st.booleans())
def test_every_signal_is_read_back_as_a_shell_counts_it(number: int, dumped: bool) -> None:
    assert exit_code_of(describe_exit(number | (0x80 if dumped else 0))) == 128 + number


@given(st.text())
def test_any_other_message_tells_of_no_exit(message: str) -> None:
    assert exit_code_of(message) is None or message.startswith("Command ")


def test_an_update_answers_the_questions_of_a_scheduler() -> None:
    said = status("t", "TASK_FAILED", message="Command exited with status 3", reason="REASON_COMMAND_EXECUTOR_FAILED")
    update = Update(msgspec.convert(said, mesos.TaskStatus, strict=False))
    assert (update.task_id, update.state, update.is_terminal, update.exit_code) == ("t", "TASK_FAILED", True, 3)
    assert update.reason == "REASON_COMMAND_EXECUTOR_FAILED"
