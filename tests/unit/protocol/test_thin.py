"""The thin views of scheduler calls: the same answers as the full types, from less work."""

from __future__ import annotations

import typing

import msgspec
import pytest

from merismos.protocol import json, thin
from merismos.protocol.errors import DecodeError
from merismos.protocol.schema import fields_of
from merismos.protocol.v1 import mesos, scheduler
from merismos.protocol.v1.message import Message

TASK = (
    b'{"name":"n","task_id":{"value":"t"},"agent_id":{"value":"a"},"resources":[{"name":"cpus","type":"SCALAR",'
    b'"scalar":{"value":0.5}}],"command":{"value":"true","nonsense":[1]},"labels":{"labels":[{"key":"k"}]}}'
)
EXECUTOR = b'{"type":"DEFAULT","executor_id":{"value":"e"},"resources":[],"command":null}'


def accept(operation: bytes) -> bytes:
    return (
        b'{"type":"ACCEPT","framework_id":{"value":"f"},"accept":{"offer_ids":[{"value":"o"}],"operations":[%b],'
        b'"filters":{"refuse_seconds":2}}}'
    ) % operation


def launch(*tasks: bytes) -> bytes:
    return accept(b'{"type":"LAUNCH","launch":{"task_infos":[%b]}}' % b",".join(tasks))


def views(call: thin.ThinCall) -> list[thin.ThinTaskInfo]:
    assert call.accept is not None
    found = call.accept.operations[0].launch
    assert found is not None
    return found.tasks


def refusal(data: bytes) -> str:
    with pytest.raises(DecodeError) as raised:
        thin.decode_call(data)
    return str(raised.value)


def test_an_accept_has_a_view_and_the_bytes_of_every_task() -> None:
    call = thin.decode_call(launch(TASK, TASK.replace(b'"t"', b'"t2"')))
    assert call.type is scheduler.Call_Type.ACCEPT
    assert call.accept is not None
    assert call.accept.offer_ids == [mesos.OfferID(value="o")]
    assert call.accept.filters == mesos.Filters(refuse_seconds=2.0)
    first, second = views(call)
    assert (first.name, first.task_id.value, first.agent_id.value) == ("n", "t", "a")
    assert second.task_id.value == "t2"
    assert first.json == TASK
    assert first.command == thin.Present()
    assert first.executor is None
    assert thin.decode_resources(first.resources) == json.decode(mesos.TaskInfo, TASK).resources


def test_the_bytes_of_a_task_keep_no_request_body_alive() -> None:
    (view,) = views(thin.decode_call(launch(TASK)))
    assert type(view.json) is bytes


def test_what_validation_reads_of_a_task_is_decoded() -> None:
    task = TASK[:-1] + (
        b',"container":{"type":"DOCKER","docker":{"image":"i"}},"health_check":{"type":"HTTP"},"kill_policy":{"grace_period":'
        b'{"nanoseconds":5}},"max_completion_time":{"nanoseconds":7},"limits":{"cpus":{"value":1}},"check":{"type":"TCP"},'
        b'"executor":{"executor_id":{"value":"e"},"framework_id":{"value":"f"},"command":{"value":"x"},"name":"x"}}'
    )
    (view,) = views(thin.decode_call(launch(task)))
    assert view.container == thin.ThinContainerInfo(type=mesos.ContainerInfo_Type.DOCKER)
    assert view.health_check is not None
    assert view.check is not None
    assert view.kill_policy == mesos.KillPolicy(grace_period=mesos.DurationInfo(nanoseconds=5))
    assert view.max_completion_time == mesos.DurationInfo(nanoseconds=7)
    assert view.limits == {"cpus": mesos.Value_Scalar(value=1.0)}
    assert view.executor is not None
    assert view.executor.executor_id.value == "e"
    assert view.executor.command == thin.Present()


def test_a_group_has_a_view_of_its_executor_and_its_tasks() -> None:
    group = b'{"type":"LAUNCH_GROUP","launch_group":{"executor":%b,"task_group":{"tasks":[%b]}}}' % (EXECUTOR, TASK)
    call = thin.decode_call(accept(group))
    assert call.accept is not None
    found = call.accept.operations[0].launch_group
    assert found is not None
    assert bytes(found.executor) == EXECUTOR
    assert found.executor_view == thin.decode_executor(EXECUTOR)
    assert found.executor_view.type is mesos.ExecutorInfo_Type.DEFAULT
    assert found.executor_view.command is None
    assert [view.json for view in found.task_group.views] == [TASK]


@pytest.mark.parametrize(
    "tasks",
    [
        TASK[1:-1].join([b'[null,{"container":null,"labels":null,', b"}]"]),
        TASK,
        b"[%b]" % TASK.replace(b'"agent_id":{', b'"agent_id":{"more":null,').replace(b"0.5", b'"0.5"'),
        b"[%b]" % TASK.replace(b'"resources":[', b'"health_check":{"type":"NEWER"},"resources":['),
    ],
)
def test_a_task_is_read_with_the_leniency_of_mesos(tasks: bytes) -> None:
    call = thin.decode_call(accept(b'{"type":"LAUNCH","launch":{"task_infos":%b}}' % tasks))
    (view,) = views(call)
    assert view.task_id.value == "t"
    assert view.command == thin.Present()
    assert thin.decode_resources(view.resources)[0].scalar == mesos.Value_Scalar(value=0.5)
    assert json.decode(mesos.TaskInfo, view.json).command == mesos.CommandInfo(value="true")


def test_an_unknown_type_counts_as_unset() -> None:
    assert thin.decode_call(b'{"type":"NO_SUCH","framework_id":{"value":"f"}}').type is None
    assert thin.decode_call(b"{}").type is None


def test_members_named_like_a_view_are_ignored() -> None:
    junk = b'{"type":"LAUNCH","launch":{"tasks":[1],"task_infos":[%b]}}' % TASK.replace(b"{", b'{"json":7,', 1)
    (view,) = views(thin.decode_call(accept(junk)))
    assert json.decode(mesos.TaskInfo, view.json) == json.decode(mesos.TaskInfo, TASK)
    harmless = b'{"type":"LAUNCH","launch":{"tasks":[%b],"task_infos":[]}}' % TASK
    assert views(thin.decode_call(accept(harmless))) == []


@pytest.mark.parametrize(
    ("data", "expected"),
    [
        (b"", "Failed to parse body into JSON: syntax error at line 1 near: "),
        (b'{"type":2}', "Failed to convert JSON into Call protobuf: Not expecting a JSON number for field 'type'"),
        (
            launch(b'{"name":"n"}'),
            (
                "Failed to convert JSON into Call protobuf: Missing required fields: "
                "accept.operations[0].launch.task_infos[0].task_id, accept.operations[0].launch.task_infos[0].agent_id"
            ),
        ),
        (
            accept(b'{"type":"LAUNCH_GROUP","launch_group":{"task_group":{}}}'),
            "Failed to convert JSON into Call protobuf: Missing required fields: accept.operations[0].launch_group.executor",
        ),
        (
            launch(TASK, b"7"),
            "Failed to convert JSON into Call protobuf: Not expecting a JSON number for field 'task_infos'",
        ),
    ],
)
def test_a_refusal_has_the_words_of_mesos(data: bytes, expected: str) -> None:
    assert refusal(data) == expected


def test_bytes_that_are_not_utf8_are_refused_wherever_they_are() -> None:
    assert thin.decode_call(launch(TASK.replace(b"true", "ü".encode()))).type == "ACCEPT"
    refusal(launch(TASK.replace(b"true", b"\xff")))
    refusal(b'{"nonsense":"\xff"}')


def test_what_is_left_out_of_a_task_is_left_to_the_agent() -> None:
    (view,) = views(thin.decode_call(launch(TASK.replace(b'"true"', b"7"))))
    with pytest.raises(DecodeError, match="Not expecting a JSON number for field 'value'"):
        json.decode(mesos.TaskInfo, view.json)


@pytest.mark.parametrize("data", [b"null", b"[]", b"[null]"])
def test_no_resources_are_an_empty_list(data: bytes) -> None:
    assert thin.decode_resources(data) == []


def test_resources_that_are_none_are_refused() -> None:
    with pytest.raises(DecodeError, match=r"Missing required fields: resources\[0\]\.type"):
        thin.decode_resources(b'{"name":"cpus"}')
    with pytest.raises(DecodeError):
        thin.decode_resources(b'[]}{"')


def test_a_single_task_is_decoded_as_within_a_call() -> None:
    assert thin.decode_task(TASK).name == "n"
    assert (
        thin.decode_task(TASK.replace(b'"resources":[', b'"data":null,"executor":null,"resources":[')).executor is None
    )
    with pytest.raises(
        DecodeError, match="Failed to convert JSON into TaskInfo protobuf: Missing required fields: name"
    ):
        thin.decode_task(b"{}")


# A thin type that drifts from its full one would read a field under a name or a type that nobody sends.

THIN_OF: dict[type[thin.Thin], type[Message]] = {
    thin.ThinCall: scheduler.Call,
    thin.ThinAccept: scheduler.Call_Accept,
    thin.ThinOperation: mesos.Offer_Operation,
    thin.ThinLaunch: mesos.Offer_Operation_Launch,
    thin.ThinLaunchGroup: mesos.Offer_Operation_LaunchGroup,
    thin.ThinTaskGroupInfo: mesos.TaskGroupInfo,
    thin.ThinTaskInfo: mesos.TaskInfo,
    thin.ThinExecutorInfo: mesos.ExecutorInfo,
    thin.ThinContainerInfo: mesos.ContainerInfo,
    thin.ThinLinuxInfo: mesos.LinuxInfo,
}
VIEWS = {"tasks", "views", "executor_view", "json"}
WHOLE = [thin.ThinCall, thin.ThinAccept, thin.ThinOperation]


@pytest.mark.parametrize(("thin_type", "full_type"), THIN_OF.items())
def test_a_thin_type_has_fields_of_its_full_one(thin_type: type[thin.Thin], full_type: type[Message]) -> None:
    thin_fields = {field.name: field for field in msgspec.structs.fields(thin_type)}
    full_fields = {field.name: field for field in msgspec.structs.fields(full_type)}
    assert set(thin_fields) - set(full_fields) <= VIEWS
    if thin_type in WHOLE:
        assert list(thin_fields) == list(full_fields)
    assert set(THIN_OF) >= {value for value in vars(thin).values() if _is_thin(value)} - {thin.Present, thin.Thin}
    full_hints = typing.get_type_hints(full_type, include_extras=True)
    for name, hint in typing.get_type_hints(thin_type, include_extras=True).items():
        if name in full_hints and name not in VIEWS and "thin" not in str(hint) and "Raw" not in str(hint):
            assert hint == full_hints[name], name
            assert thin_fields[name].required == full_fields[name].required, name


def test_every_required_field_of_a_task_is_required_in_its_view() -> None:
    required = {field.name for field in fields_of(mesos.TaskInfo) if field.label.name == "REQUIRED"}
    assert {field.name for field in msgspec.structs.fields(thin.ThinTaskInfo) if field.required} == required


def _is_thin(value: object) -> bool:
    return isinstance(value, type) and issubclass(value, thin.Thin)
