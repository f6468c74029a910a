"""Scheduler calls as the master needs them: a task is what validation reads of it, and the bytes its client sent.

Rules: a thin Struct has the field names of its full one, with less in some of them. What it leaves out of a task is neither
checked nor copied here: the agent decodes the task in full. Calls other than ACCEPT are decoded whole.
A body that does not decode is normalised and decoded again; then the client's bytes of a task are their normal form.
"""

from __future__ import annotations

import re
from typing import TypeVar

import msgspec

from merismos.protocol import json
from merismos.protocol.errors import DecodeError
from merismos.protocol.json import UNDECODABLE
from merismos.protocol.v1 import mesos, scheduler
from merismos.protocol.v1.message import Message

_T = TypeVar("_T")
_DATA = re.compile(rb',"data":"[A-Za-z0-9+/=]*"')
_NO_RESOURCES = msgspec.Raw(b"[]")
_LEFT_OUT = msgspec.Raw(b"1")  # a number in JSON and in msgpack


def without_data(status: bytes) -> bytes:
    """Return the JSON of a TaskStatus without its `data`, which may be long."""
    return _DATA.sub(b"", status, 1) if b'"data":"' in status else status


class Thin(msgspec.Struct, kw_only=True, gc=False, omit_defaults=True):
    """Some fields of a message, under their names."""


class Present(Thin):
    """A message of which only counts that it is there."""


class ThinLinuxInfo(Thin, kw_only=True):
    """What validation reads of a LinuxInfo."""

    share_cgroups: bool = True


class ThinContainerInfo(Thin, kw_only=True):
    """Which containerizer runs a container, and in whose cgroup."""

    type: mesos.ContainerInfo_Type
    linux_info: ThinLinuxInfo | None = None


class ThinExecutorInfo(Thin, kw_only=True):
    """What validation reads of an ExecutorInfo; `resources` is the JSON of a list, see `decode_resources`."""

    executor_id: mesos.ExecutorID
    type: mesos.ExecutorInfo_Type | None = None
    framework_id: mesos.FrameworkID | None = None
    command: Present | None = None
    container: ThinContainerInfo | None = None
    resources: msgspec.Raw = _NO_RESOURCES
    name: str | None = None
    shutdown_grace_period: mesos.DurationInfo | None = None


class ThinTaskInfo(Thin, kw_only=True):
    """What validation reads of a TaskInfo.

    Shapes: `resources` is the JSON of a list, see `decode_resources`; `json` is the whole task as its client wrote it, a copy
    that keeps no request body alive (empty in what `decode_task` returns).
    """

    name: str
    task_id: mesos.TaskID
    agent_id: mesos.AgentID
    resources: msgspec.Raw = _NO_RESOURCES
    executor: ThinExecutorInfo | None = None
    command: Present | None = None
    container: ThinContainerInfo | None = None
    health_check: mesos.HealthCheck | None = None
    check: mesos.CheckInfo | None = None
    kill_policy: mesos.KillPolicy | None = None
    max_completion_time: mesos.DurationInfo | None = None
    limits: dict[str, mesos.Value_Scalar] = {}
    json: bytes = b""


class ThinLaunch(Thin, kw_only=True):
    """The tasks to launch: as sent in `task_infos`, and their views, in the same order, in `tasks`."""

    task_infos: list[msgspec.Raw] = []
    tasks: list[ThinTaskInfo] = []


class ThinTaskGroupInfo(Thin, kw_only=True):
    """Tasks that are launched together: as sent in `tasks`, and their views in `views`."""

    tasks: list[msgspec.Raw] = []
    views: list[ThinTaskInfo] = []


class ThinLaunchGroup(Thin, kw_only=True):
    """Tasks that are launched together in one executor; `executor_view` is there in every call that was decoded."""

    executor: msgspec.Raw
    task_group: ThinTaskGroupInfo
    executor_view: ThinExecutorInfo | None = None


class ThinOperation(Thin, kw_only=True):
    """An operation of an ACCEPT; all but launches are full messages."""

    type: mesos.Offer_Operation_Type | None = None
    id: mesos.OperationID | None = None
    launch: ThinLaunch | None = None
    launch_group: ThinLaunchGroup | None = None
    reserve: mesos.Offer_Operation_Reserve | None = None
    unreserve: mesos.Offer_Operation_Unreserve | None = None
    create: mesos.Offer_Operation_Create | None = None
    destroy: mesos.Offer_Operation_Destroy | None = None
    grow_volume: mesos.Offer_Operation_GrowVolume | None = None
    shrink_volume: mesos.Offer_Operation_ShrinkVolume | None = None
    create_disk: mesos.Offer_Operation_CreateDisk | None = None
    destroy_disk: mesos.Offer_Operation_DestroyDisk | None = None


class ThinAccept(Thin, kw_only=True):
    """Offers taken, and what to do with their resources."""

    offer_ids: list[mesos.OfferID] = []
    operations: list[ThinOperation] = []
    filters: mesos.Filters | None = None


class ThinCall(Thin, kw_only=True):
    """A call of a scheduler; `type` is None where Mesos says "Expecting 'type' to be present"."""

    framework_id: mesos.FrameworkID | None = None
    type: scheduler.Call_Type | None = None
    subscribe: scheduler.Call_Subscribe | None = None
    accept: ThinAccept | None = None
    decline: scheduler.Call_Decline | None = None
    accept_inverse_offers: scheduler.Call_AcceptInverseOffers | None = None
    decline_inverse_offers: scheduler.Call_DeclineInverseOffers | None = None
    revive: scheduler.Call_Revive | None = None
    kill: scheduler.Call_Kill | None = None
    shutdown: scheduler.Call_Shutdown | None = None
    acknowledge: scheduler.Call_Acknowledge | None = None
    acknowledge_operation_status: scheduler.Call_AcknowledgeOperationStatus | None = None
    reconcile: scheduler.Call_Reconcile | None = None
    reconcile_operations: scheduler.Call_ReconcileOperations | None = None
    message: scheduler.Call_Message | None = None
    request: scheduler.Call_Request | None = None
    suppress: scheduler.Call_Suppress | None = None
    update_framework: scheduler.Call_UpdateFramework | None = None


_CALL = msgspec.json.Decoder(ThinCall, strict=False)
_EXECUTOR = msgspec.json.Decoder(ThinExecutorInfo, strict=False)
_RESOURCES = msgspec.json.Decoder(list[mesos.Resource], strict=False)
_TASK = msgspec.json.Decoder(ThinTaskInfo, strict=False)


def decode_call(data: bytes) -> ThinCall:
    """Return the call that `data` is the JSON of, with a view of every task in it.

    Errors: DecodeError; its text is what Mesos answers.
    """
    try:
        return _decode_call(data)
    except UNDECODABLE:
        normal = json.normalised(scheduler.Call, data)
    try:
        return _decode_call(normal)
    except UNDECODABLE as error:
        raise _unconvertible("Call", error) from error


def decode_task(data: bytes | msgspec.Raw) -> ThinTaskInfo:
    """Return the view of the TaskInfo that `data` is the JSON of.

    Errors: DecodeError; its text is what Mesos answers.
    """
    return _decode(_TASK, mesos.TaskInfo, data)


def decode_executor(data: bytes | msgspec.Raw) -> ThinExecutorInfo:
    """Return the view of the ExecutorInfo that `data` is the JSON of.

    Errors: DecodeError; its text is what Mesos answers.
    """
    return _decode(_EXECUTOR, mesos.ExecutorInfo, data)


def decode_resources(data: bytes | msgspec.Raw) -> list[mesos.Resource]:
    """Return the resources that `data` is the JSON of: a list, one resource, or null.

    Errors: DecodeError; its text is what Mesos answers.
    """
    try:
        return _RESOURCES.decode(data)
    except UNDECODABLE:
        body = b'{"resources":%b,"task_id":{"value":""},"agent_id":{"value":""},"name":""}' % bytes(data)
    return json.decode(mesos.TaskInfo, body).resources


def without_tasks(call: ThinCall) -> tuple[ThinCall, list[list[bytes]]]:
    """Return a call that holds no JSON, so that any codec can write it, and the JSON that it held, for `with_tasks`."""
    if call.accept is None:
        return call, []
    left_out: list[list[bytes]] = []
    operations = []
    for operation in call.accept.operations:
        launch, group = operation.launch, operation.launch_group
        if launch is not None:
            left_out.append([bytes(one) for one in launch.task_infos])
            launch = ThinLaunch()
        if group is not None:
            left_out.append([bytes(group.executor), *(bytes(one) for one in group.task_group.tasks)])
            group = ThinLaunchGroup(executor=_LEFT_OUT, task_group=ThinTaskGroupInfo())
        operations.append(msgspec.structs.replace(operation, launch=launch, launch_group=group))
    accept = msgspec.structs.replace(call.accept, operations=operations)
    return msgspec.structs.replace(call, accept=accept), left_out


def with_tasks(call: ThinCall, left_out: list[list[bytes]]) -> ThinCall:
    """Put back into a call what `without_tasks` left out of it, and return it."""
    if call.accept is not None:
        parts = iter(left_out)
        for operation in call.accept.operations:
            if operation.launch is not None:
                operation.launch.task_infos = [msgspec.Raw(one) for one in next(parts)]
            if (group := operation.launch_group) is not None:
                executor, *tasks = next(parts)
                group.executor = msgspec.Raw(executor)
                group.task_group.tasks = [msgspec.Raw(one) for one in tasks]
        _add_views(call.accept)
    return call


def _decode_call(data: bytes) -> ThinCall:
    if not data.isascii():
        data.decode()  # what is skipped is not checked for being UTF-8 otherwise
    call = _CALL.decode(data)
    if call.accept is not None:
        _add_views(call.accept)
    return call


def _add_views(accept: ThinAccept) -> None:
    for operation in accept.operations:
        if (launch := operation.launch) is not None:
            launch.tasks = _views(launch.task_infos)
        if (group := operation.launch_group) is not None:
            group.executor_view = _EXECUTOR.decode(group.executor)
            group.task_group.views = _views(group.task_group.tasks)


def _views(task_infos: list[msgspec.Raw]) -> list[ThinTaskInfo]:
    decode = _TASK.decode
    views = [decode(task_info) for task_info in task_infos]
    for view, task_info in zip(views, task_infos, strict=True):
        view.json = bytes(task_info)
    return views


def _decode(decoder: msgspec.json.Decoder[_T], full: type[Message], data: bytes | msgspec.Raw) -> _T:
    try:
        return decoder.decode(data)
    except UNDECODABLE:
        normal = json.normalised(full, bytes(data))
    try:
        return decoder.decode(normal)
    except UNDECODABLE as error:
        raise _unconvertible(full.__name__, error) from error


def _unconvertible(name: str, error: Exception) -> DecodeError:
    return DecodeError(f"Failed to convert JSON into {name} protobuf: {error}")
