"""The messages of `mesos/v1/agent/agent.proto`; made by `python -m merismos.protocol.generate`, do not edit."""

from __future__ import annotations

import enum

import msgspec

from merismos.protocol.v1 import mesos_cluster, mesos_containers, mesos_ids, mesos_offers, mesos_resources, mesos_statistics, mesos_tasks, mesos_values
from merismos.protocol.v1.message import Int32, Message, UInt32, UInt64


class Call_Type(enum.StrEnum):
    """`mesos.v1.agent.Call.Type`."""

    UNKNOWN = "UNKNOWN"
    GET_HEALTH = "GET_HEALTH"
    GET_FLAGS = "GET_FLAGS"
    GET_VERSION = "GET_VERSION"
    GET_METRICS = "GET_METRICS"
    GET_LOGGING_LEVEL = "GET_LOGGING_LEVEL"
    SET_LOGGING_LEVEL = "SET_LOGGING_LEVEL"
    LIST_FILES = "LIST_FILES"
    READ_FILE = "READ_FILE"
    GET_STATE = "GET_STATE"
    GET_CONTAINERS = "GET_CONTAINERS"
    GET_FRAMEWORKS = "GET_FRAMEWORKS"
    GET_EXECUTORS = "GET_EXECUTORS"
    GET_OPERATIONS = "GET_OPERATIONS"
    GET_TASKS = "GET_TASKS"
    GET_AGENT = "GET_AGENT"
    GET_RESOURCE_PROVIDERS = "GET_RESOURCE_PROVIDERS"
    LAUNCH_NESTED_CONTAINER = "LAUNCH_NESTED_CONTAINER"
    WAIT_NESTED_CONTAINER = "WAIT_NESTED_CONTAINER"
    KILL_NESTED_CONTAINER = "KILL_NESTED_CONTAINER"
    REMOVE_NESTED_CONTAINER = "REMOVE_NESTED_CONTAINER"
    LAUNCH_NESTED_CONTAINER_SESSION = "LAUNCH_NESTED_CONTAINER_SESSION"
    ATTACH_CONTAINER_INPUT = "ATTACH_CONTAINER_INPUT"
    ATTACH_CONTAINER_OUTPUT = "ATTACH_CONTAINER_OUTPUT"
    LAUNCH_CONTAINER = "LAUNCH_CONTAINER"
    WAIT_CONTAINER = "WAIT_CONTAINER"
    KILL_CONTAINER = "KILL_CONTAINER"
    REMOVE_CONTAINER = "REMOVE_CONTAINER"
    ADD_RESOURCE_PROVIDER_CONFIG = "ADD_RESOURCE_PROVIDER_CONFIG"
    UPDATE_RESOURCE_PROVIDER_CONFIG = "UPDATE_RESOURCE_PROVIDER_CONFIG"
    REMOVE_RESOURCE_PROVIDER_CONFIG = "REMOVE_RESOURCE_PROVIDER_CONFIG"
    MARK_RESOURCE_PROVIDER_GONE = "MARK_RESOURCE_PROVIDER_GONE"
    PRUNE_IMAGES = "PRUNE_IMAGES"


class Call_AttachContainerInput_Type(enum.StrEnum):
    """`mesos.v1.agent.Call.AttachContainerInput.Type`."""

    UNKNOWN = "UNKNOWN"
    CONTAINER_ID = "CONTAINER_ID"
    PROCESS_IO = "PROCESS_IO"


class Response_Type(enum.StrEnum):
    """`mesos.v1.agent.Response.Type`."""

    UNKNOWN = "UNKNOWN"
    GET_HEALTH = "GET_HEALTH"
    GET_FLAGS = "GET_FLAGS"
    GET_VERSION = "GET_VERSION"
    GET_METRICS = "GET_METRICS"
    GET_LOGGING_LEVEL = "GET_LOGGING_LEVEL"
    LIST_FILES = "LIST_FILES"
    READ_FILE = "READ_FILE"
    GET_STATE = "GET_STATE"
    GET_CONTAINERS = "GET_CONTAINERS"
    GET_FRAMEWORKS = "GET_FRAMEWORKS"
    GET_EXECUTORS = "GET_EXECUTORS"
    GET_OPERATIONS = "GET_OPERATIONS"
    GET_TASKS = "GET_TASKS"
    GET_AGENT = "GET_AGENT"
    GET_RESOURCE_PROVIDERS = "GET_RESOURCE_PROVIDERS"
    WAIT_NESTED_CONTAINER = "WAIT_NESTED_CONTAINER"
    WAIT_CONTAINER = "WAIT_CONTAINER"


class ProcessIO_Type(enum.StrEnum):
    """`mesos.v1.agent.ProcessIO.Type`."""

    UNKNOWN = "UNKNOWN"
    DATA = "DATA"
    CONTROL = "CONTROL"


class ProcessIO_Data_Type(enum.StrEnum):
    """`mesos.v1.agent.ProcessIO.Data.Type`."""

    UNKNOWN = "UNKNOWN"
    STDIN = "STDIN"
    STDOUT = "STDOUT"
    STDERR = "STDERR"


class ProcessIO_Control_Type(enum.StrEnum):
    """`mesos.v1.agent.ProcessIO.Control.Type`."""

    UNKNOWN = "UNKNOWN"
    TTY_INFO = "TTY_INFO"
    HEARTBEAT = "HEARTBEAT"


class Call(Message, kw_only=True):
    """What an operator asks of an agent."""

    type: Call_Type | None = None
    get_metrics: Call_GetMetrics | None = None
    set_logging_level: Call_SetLoggingLevel | None = None
    list_files: Call_ListFiles | None = None
    read_file: Call_ReadFile | None = None
    get_containers: Call_GetContainers | None = None
    launch_nested_container: Call_LaunchNestedContainer | None = None
    wait_nested_container: Call_WaitNestedContainer | None = None
    kill_nested_container: Call_KillNestedContainer | None = None
    remove_nested_container: Call_RemoveNestedContainer | None = None
    launch_nested_container_session: Call_LaunchNestedContainerSession | None = None
    attach_container_input: Call_AttachContainerInput | None = None
    attach_container_output: Call_AttachContainerOutput | None = None
    launch_container: Call_LaunchContainer | None = None
    wait_container: Call_WaitContainer | None = None
    kill_container: Call_KillContainer | None = None
    remove_container: Call_RemoveContainer | None = None
    add_resource_provider_config: Call_AddResourceProviderConfig | None = None
    update_resource_provider_config: Call_UpdateResourceProviderConfig | None = None
    remove_resource_provider_config: Call_RemoveResourceProviderConfig | None = None
    mark_resource_provider_gone: Call_MarkResourceProviderGone | None = None
    prune_images: Call_PruneImages | None = None


class Call_GetMetrics(Message, kw_only=True):
    """`mesos.v1.agent.Call.GetMetrics`."""

    timeout: mesos_ids.DurationInfo | None = None


class Call_SetLoggingLevel(Message, kw_only=True):
    """`mesos.v1.agent.Call.SetLoggingLevel`."""

    level: UInt32
    duration: mesos_ids.DurationInfo


class Call_ListFiles(Message, kw_only=True):
    """`mesos.v1.agent.Call.ListFiles`."""

    path: str


class Call_ReadFile(Message, kw_only=True):
    """`mesos.v1.agent.Call.ReadFile`."""

    path: str
    offset: UInt64
    length: UInt64 | None = None


class Call_GetContainers(Message, kw_only=True):
    """`mesos.v1.agent.Call.GetContainers`."""

    show_nested: bool | None = None
    show_standalone: bool | None = None


class Call_LaunchNestedContainer(Message, kw_only=True):
    """`mesos.v1.agent.Call.LaunchNestedContainer`."""

    container_id: mesos_ids.ContainerID
    command: mesos_containers.CommandInfo | None = None
    container: mesos_containers.ContainerInfo | None = None


class Call_WaitNestedContainer(Message, kw_only=True):
    """`mesos.v1.agent.Call.WaitNestedContainer`."""

    container_id: mesos_ids.ContainerID


class Call_KillNestedContainer(Message, kw_only=True):
    """`mesos.v1.agent.Call.KillNestedContainer`."""

    container_id: mesos_ids.ContainerID
    signal: Int32 | None = None


class Call_RemoveNestedContainer(Message, kw_only=True):
    """`mesos.v1.agent.Call.RemoveNestedContainer`."""

    container_id: mesos_ids.ContainerID


class Call_LaunchNestedContainerSession(Message, kw_only=True):
    """`mesos.v1.agent.Call.LaunchNestedContainerSession`."""

    container_id: mesos_ids.ContainerID
    command: mesos_containers.CommandInfo | None = None
    container: mesos_containers.ContainerInfo | None = None


class Call_AttachContainerInput(Message, kw_only=True):
    """`mesos.v1.agent.Call.AttachContainerInput`."""

    type: Call_AttachContainerInput_Type | None = None
    container_id: mesos_ids.ContainerID | None = None
    process_io: ProcessIO | None = None


class Call_AttachContainerOutput(Message, kw_only=True):
    """`mesos.v1.agent.Call.AttachContainerOutput`."""

    container_id: mesos_ids.ContainerID


class Call_LaunchContainer(Message, kw_only=True):
    """`mesos.v1.agent.Call.LaunchContainer`."""

    container_id: mesos_ids.ContainerID
    command: mesos_containers.CommandInfo | None = None
    resources: list[mesos_resources.Resource] = []
    container: mesos_containers.ContainerInfo | None = None
    limits: dict[str, mesos_values.Value_Scalar] = {}


class Call_WaitContainer(Message, kw_only=True):
    """`mesos.v1.agent.Call.WaitContainer`."""

    container_id: mesos_ids.ContainerID


class Call_KillContainer(Message, kw_only=True):
    """`mesos.v1.agent.Call.KillContainer`."""

    container_id: mesos_ids.ContainerID
    signal: Int32 | None = None


class Call_RemoveContainer(Message, kw_only=True):
    """`mesos.v1.agent.Call.RemoveContainer`."""

    container_id: mesos_ids.ContainerID


class Call_AddResourceProviderConfig(Message, kw_only=True):
    """`mesos.v1.agent.Call.AddResourceProviderConfig`."""

    info: mesos_resources.ResourceProviderInfo


class Call_UpdateResourceProviderConfig(Message, kw_only=True):
    """`mesos.v1.agent.Call.UpdateResourceProviderConfig`."""

    info: mesos_resources.ResourceProviderInfo


class Call_RemoveResourceProviderConfig(Message, kw_only=True):
    """`mesos.v1.agent.Call.RemoveResourceProviderConfig`."""

    type: str
    name: str


class Call_MarkResourceProviderGone(Message, kw_only=True):
    """`mesos.v1.agent.Call.MarkResourceProviderGone`."""

    resource_provider_id: mesos_ids.ResourceProviderID


class Call_PruneImages(Message, kw_only=True):
    """`mesos.v1.agent.Call.PruneImages`."""

    excluded_images: list[mesos_containers.Image] = []


class Response(Message, kw_only=True):
    """What an agent answers to an operator."""

    type: Response_Type | None = None
    get_health: Response_GetHealth | None = None
    get_flags: Response_GetFlags | None = None
    get_version: Response_GetVersion | None = None
    get_metrics: Response_GetMetrics | None = None
    get_logging_level: Response_GetLoggingLevel | None = None
    list_files: Response_ListFiles | None = None
    read_file: Response_ReadFile | None = None
    get_state: Response_GetState | None = None
    get_containers: Response_GetContainers | None = None
    get_frameworks: Response_GetFrameworks | None = None
    get_executors: Response_GetExecutors | None = None
    get_operations: Response_GetOperations | None = None
    get_tasks: Response_GetTasks | None = None
    get_agent: Response_GetAgent | None = None
    get_resource_providers: Response_GetResourceProviders | None = None
    wait_nested_container: Response_WaitNestedContainer | None = None
    wait_container: Response_WaitContainer | None = None


class Response_GetHealth(Message, kw_only=True):
    """`mesos.v1.agent.Response.GetHealth`."""

    healthy: bool


class Response_GetFlags(Message, kw_only=True):
    """`mesos.v1.agent.Response.GetFlags`."""

    flags: list[mesos_cluster.Flag] = []


class Response_GetVersion(Message, kw_only=True):
    """`mesos.v1.agent.Response.GetVersion`."""

    version_info: mesos_cluster.VersionInfo


class Response_GetMetrics(Message, kw_only=True):
    """`mesos.v1.agent.Response.GetMetrics`."""

    metrics: list[mesos_cluster.Metric] = []


class Response_GetLoggingLevel(Message, kw_only=True):
    """`mesos.v1.agent.Response.GetLoggingLevel`."""

    level: UInt32


class Response_ListFiles(Message, kw_only=True):
    """`mesos.v1.agent.Response.ListFiles`."""

    file_infos: list[mesos_cluster.FileInfo] = []


class Response_ReadFile(Message, kw_only=True):
    """`mesos.v1.agent.Response.ReadFile`."""

    size: UInt64
    data: bytes


class Response_GetState(Message, kw_only=True):
    """`mesos.v1.agent.Response.GetState`."""

    get_tasks: Response_GetTasks | None = None
    get_executors: Response_GetExecutors | None = None
    get_frameworks: Response_GetFrameworks | None = None


class Response_GetContainers(Message, kw_only=True):
    """`mesos.v1.agent.Response.GetContainers`."""

    containers: list[Response_GetContainers_Container] = []


class Response_GetContainers_Container(Message, kw_only=True):
    """`mesos.v1.agent.Response.GetContainers.Container`."""

    framework_id: mesos_ids.FrameworkID | None = None
    executor_id: mesos_ids.ExecutorID | None = None
    executor_name: str | None = None
    container_id: mesos_ids.ContainerID
    container_status: mesos_containers.ContainerStatus | None = None
    resource_statistics: mesos_statistics.ResourceStatistics | None = None


class Response_GetFrameworks(Message, kw_only=True):
    """`mesos.v1.agent.Response.GetFrameworks`."""

    frameworks: list[Response_GetFrameworks_Framework] = msgspec.field(default_factory=lambda: [])
    completed_frameworks: list[Response_GetFrameworks_Framework] = msgspec.field(default_factory=lambda: [])


class Response_GetFrameworks_Framework(Message, kw_only=True):
    """`mesos.v1.agent.Response.GetFrameworks.Framework`."""

    framework_info: mesos_cluster.FrameworkInfo


class Response_GetExecutors(Message, kw_only=True):
    """`mesos.v1.agent.Response.GetExecutors`."""

    executors: list[Response_GetExecutors_Executor] = msgspec.field(default_factory=lambda: [])
    completed_executors: list[Response_GetExecutors_Executor] = msgspec.field(default_factory=lambda: [])


class Response_GetExecutors_Executor(Message, kw_only=True):
    """`mesos.v1.agent.Response.GetExecutors.Executor`."""

    executor_info: mesos_tasks.ExecutorInfo


class Response_GetOperations(Message, kw_only=True):
    """`mesos.v1.agent.Response.GetOperations`."""

    operations: list[mesos_offers.Operation] = []


class Response_GetTasks(Message, kw_only=True):
    """`mesos.v1.agent.Response.GetTasks`."""

    pending_tasks: list[mesos_tasks.Task] = msgspec.field(default_factory=lambda: [])
    queued_tasks: list[mesos_tasks.Task] = msgspec.field(default_factory=lambda: [])
    launched_tasks: list[mesos_tasks.Task] = msgspec.field(default_factory=lambda: [])
    terminated_tasks: list[mesos_tasks.Task] = msgspec.field(default_factory=lambda: [])
    completed_tasks: list[mesos_tasks.Task] = msgspec.field(default_factory=lambda: [])


class Response_GetAgent(Message, kw_only=True):
    """`mesos.v1.agent.Response.GetAgent`."""

    agent_info: mesos_cluster.AgentInfo | None = None
    drain_config: mesos_cluster.DrainConfig | None = None
    estimated_drain_start_time: mesos_ids.TimeInfo | None = None


class Response_GetResourceProviders(Message, kw_only=True):
    """`mesos.v1.agent.Response.GetResourceProviders`."""

    resource_providers: list[Response_GetResourceProviders_ResourceProvider] = []


class Response_GetResourceProviders_ResourceProvider(Message, kw_only=True):
    """`mesos.v1.agent.Response.GetResourceProviders.ResourceProvider`."""

    resource_provider_info: mesos_resources.ResourceProviderInfo
    total_resources: list[mesos_resources.Resource] = []


class Response_WaitNestedContainer(Message, kw_only=True):
    """`mesos.v1.agent.Response.WaitNestedContainer`."""

    exit_status: Int32 | None = None
    state: mesos_tasks.TaskState | None = None
    reason: mesos_tasks.TaskStatus_Reason | None = None
    limitation: mesos_tasks.TaskResourceLimitation | None = None
    message: str | None = None


class Response_WaitContainer(Message, kw_only=True):
    """`mesos.v1.agent.Response.WaitContainer`."""

    exit_status: Int32 | None = None
    state: mesos_tasks.TaskState | None = None
    reason: mesos_tasks.TaskStatus_Reason | None = None
    limitation: mesos_tasks.TaskResourceLimitation | None = None
    message: str | None = None


class ProcessIO(Message, kw_only=True):
    """A piece of the input or output of a process in a container."""

    type: ProcessIO_Type | None = None
    data: ProcessIO_Data | None = None
    control: ProcessIO_Control | None = None


class ProcessIO_Data(Message, kw_only=True):
    """`mesos.v1.agent.ProcessIO.Data`."""

    type: ProcessIO_Data_Type | None = None
    data: bytes | None = None


class ProcessIO_Control(Message, kw_only=True):
    """`mesos.v1.agent.ProcessIO.Control`."""

    type: ProcessIO_Control_Type | None = None
    tty_info: mesos_containers.TTYInfo | None = None
    heartbeat: ProcessIO_Control_Heartbeat | None = None


class ProcessIO_Control_Heartbeat(Message, kw_only=True):
    """`mesos.v1.agent.ProcessIO.Control.Heartbeat`."""

    interval: mesos_ids.DurationInfo | None = None
