"""The messages of `mesos/v1/executor/executor.proto`; made by `python -m merismos.protocol.generate`, do not edit."""

from __future__ import annotations

import enum

from merismos.protocol.v1 import mesos_cluster, mesos_ids, mesos_tasks
from merismos.protocol.v1.message import Message


class Event_Type(enum.StrEnum):
    """`mesos.v1.executor.Event.Type`."""

    UNKNOWN = "UNKNOWN"
    SUBSCRIBED = "SUBSCRIBED"
    LAUNCH = "LAUNCH"
    LAUNCH_GROUP = "LAUNCH_GROUP"
    KILL = "KILL"
    ACKNOWLEDGED = "ACKNOWLEDGED"
    MESSAGE = "MESSAGE"
    ERROR = "ERROR"
    SHUTDOWN = "SHUTDOWN"
    HEARTBEAT = "HEARTBEAT"


class Call_Type(enum.StrEnum):
    """`mesos.v1.executor.Call.Type`."""

    UNKNOWN = "UNKNOWN"
    SUBSCRIBE = "SUBSCRIBE"
    UPDATE = "UPDATE"
    MESSAGE = "MESSAGE"
    HEARTBEAT = "HEARTBEAT"


class Event(Message, kw_only=True):
    """What an agent tells an executor."""

    type: Event_Type | None = None
    subscribed: Event_Subscribed | None = None
    acknowledged: Event_Acknowledged | None = None
    launch: Event_Launch | None = None
    launch_group: Event_LaunchGroup | None = None
    kill: Event_Kill | None = None
    message: Event_Message | None = None
    error: Event_Error | None = None


class Event_Subscribed(Message, kw_only=True):
    """`mesos.v1.executor.Event.Subscribed`."""

    executor_info: mesos_tasks.ExecutorInfo
    framework_info: mesos_cluster.FrameworkInfo
    agent_info: mesos_cluster.AgentInfo
    container_id: mesos_ids.ContainerID | None = None


class Event_Launch(Message, kw_only=True):
    """`mesos.v1.executor.Event.Launch`."""

    task: mesos_tasks.TaskInfo


class Event_LaunchGroup(Message, kw_only=True):
    """`mesos.v1.executor.Event.LaunchGroup`."""

    task_group: mesos_tasks.TaskGroupInfo


class Event_Kill(Message, kw_only=True):
    """`mesos.v1.executor.Event.Kill`."""

    task_id: mesos_ids.TaskID
    kill_policy: mesos_tasks.KillPolicy | None = None


class Event_Acknowledged(Message, kw_only=True):
    """`mesos.v1.executor.Event.Acknowledged`."""

    task_id: mesos_ids.TaskID
    uuid: bytes


class Event_Message(Message, kw_only=True):
    """`mesos.v1.executor.Event.Message`."""

    data: bytes


class Event_Error(Message, kw_only=True):
    """`mesos.v1.executor.Event.Error`."""

    message: str


class Call(Message, kw_only=True):
    """What an executor asks of its agent."""

    executor_id: mesos_ids.ExecutorID
    framework_id: mesos_ids.FrameworkID
    type: Call_Type | None = None
    subscribe: Call_Subscribe | None = None
    update: Call_Update | None = None
    message: Call_Message | None = None


class Call_Subscribe(Message, kw_only=True):
    """`mesos.v1.executor.Call.Subscribe`."""

    unacknowledged_tasks: list[mesos_tasks.TaskInfo] = []
    unacknowledged_updates: list[Call_Update] = []


class Call_Update(Message, kw_only=True):
    """`mesos.v1.executor.Call.Update`."""

    status: mesos_tasks.TaskStatus


class Call_Message(Message, kw_only=True):
    """`mesos.v1.executor.Call.Message`."""

    data: bytes
