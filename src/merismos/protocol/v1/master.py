"""The messages of `mesos/v1/master/master.proto`; made by `python -m merismos.protocol.generate`, do not edit."""

from __future__ import annotations

import enum

import msgspec

from merismos.protocol.v1 import duration, maintenance, mesos_cluster, mesos_ids, mesos_offers, mesos_resources, mesos_tasks, mesos_values, quota, scheduler
from merismos.protocol.v1.message import Double, Message, UInt32, UInt64


class Call_Type(enum.StrEnum):
    """`mesos.v1.master.Call.Type`."""

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
    GET_AGENTS = "GET_AGENTS"
    GET_FRAMEWORKS = "GET_FRAMEWORKS"
    GET_EXECUTORS = "GET_EXECUTORS"
    GET_OPERATIONS = "GET_OPERATIONS"
    GET_TASKS = "GET_TASKS"
    GET_ROLES = "GET_ROLES"
    GET_WEIGHTS = "GET_WEIGHTS"
    UPDATE_WEIGHTS = "UPDATE_WEIGHTS"
    GET_MASTER = "GET_MASTER"
    SUBSCRIBE = "SUBSCRIBE"
    RESERVE_RESOURCES = "RESERVE_RESOURCES"
    UNRESERVE_RESOURCES = "UNRESERVE_RESOURCES"
    CREATE_VOLUMES = "CREATE_VOLUMES"
    DESTROY_VOLUMES = "DESTROY_VOLUMES"
    GROW_VOLUME = "GROW_VOLUME"
    SHRINK_VOLUME = "SHRINK_VOLUME"
    GET_MAINTENANCE_STATUS = "GET_MAINTENANCE_STATUS"
    GET_MAINTENANCE_SCHEDULE = "GET_MAINTENANCE_SCHEDULE"
    UPDATE_MAINTENANCE_SCHEDULE = "UPDATE_MAINTENANCE_SCHEDULE"
    START_MAINTENANCE = "START_MAINTENANCE"
    STOP_MAINTENANCE = "STOP_MAINTENANCE"
    DRAIN_AGENT = "DRAIN_AGENT"
    DEACTIVATE_AGENT = "DEACTIVATE_AGENT"
    REACTIVATE_AGENT = "REACTIVATE_AGENT"
    GET_QUOTA = "GET_QUOTA"
    UPDATE_QUOTA = "UPDATE_QUOTA"
    SET_QUOTA = "SET_QUOTA"
    REMOVE_QUOTA = "REMOVE_QUOTA"
    TEARDOWN = "TEARDOWN"
    MARK_AGENT_GONE = "MARK_AGENT_GONE"


class Response_Type(enum.StrEnum):
    """`mesos.v1.master.Response.Type`."""

    UNKNOWN = "UNKNOWN"
    GET_HEALTH = "GET_HEALTH"
    GET_FLAGS = "GET_FLAGS"
    GET_VERSION = "GET_VERSION"
    GET_METRICS = "GET_METRICS"
    GET_LOGGING_LEVEL = "GET_LOGGING_LEVEL"
    LIST_FILES = "LIST_FILES"
    READ_FILE = "READ_FILE"
    GET_STATE = "GET_STATE"
    GET_AGENTS = "GET_AGENTS"
    GET_FRAMEWORKS = "GET_FRAMEWORKS"
    GET_EXECUTORS = "GET_EXECUTORS"
    GET_OPERATIONS = "GET_OPERATIONS"
    GET_TASKS = "GET_TASKS"
    GET_ROLES = "GET_ROLES"
    GET_WEIGHTS = "GET_WEIGHTS"
    GET_MASTER = "GET_MASTER"
    GET_MAINTENANCE_STATUS = "GET_MAINTENANCE_STATUS"
    GET_MAINTENANCE_SCHEDULE = "GET_MAINTENANCE_SCHEDULE"
    GET_QUOTA = "GET_QUOTA"


class Event_Type(enum.StrEnum):
    """`mesos.v1.master.Event.Type`."""

    UNKNOWN = "UNKNOWN"
    SUBSCRIBED = "SUBSCRIBED"
    TASK_ADDED = "TASK_ADDED"
    TASK_UPDATED = "TASK_UPDATED"
    AGENT_ADDED = "AGENT_ADDED"
    AGENT_REMOVED = "AGENT_REMOVED"
    FRAMEWORK_ADDED = "FRAMEWORK_ADDED"
    FRAMEWORK_UPDATED = "FRAMEWORK_UPDATED"
    FRAMEWORK_REMOVED = "FRAMEWORK_REMOVED"
    HEARTBEAT = "HEARTBEAT"


class Call(Message, kw_only=True):
    """What an operator asks of a master."""

    type: Call_Type | None = None
    get_metrics: Call_GetMetrics | None = None
    set_logging_level: Call_SetLoggingLevel | None = None
    list_files: Call_ListFiles | None = None
    read_file: Call_ReadFile | None = None
    update_weights: Call_UpdateWeights | None = None
    reserve_resources: Call_ReserveResources | None = None
    unreserve_resources: Call_UnreserveResources | None = None
    create_volumes: Call_CreateVolumes | None = None
    destroy_volumes: Call_DestroyVolumes | None = None
    grow_volume: Call_GrowVolume | None = None
    shrink_volume: Call_ShrinkVolume | None = None
    update_maintenance_schedule: Call_UpdateMaintenanceSchedule | None = None
    start_maintenance: Call_StartMaintenance | None = None
    stop_maintenance: Call_StopMaintenance | None = None
    drain_agent: Call_DrainAgent | None = None
    deactivate_agent: Call_DeactivateAgent | None = None
    reactivate_agent: Call_ReactivateAgent | None = None
    update_quota: Call_UpdateQuota | None = None
    teardown: Call_Teardown | None = None
    mark_agent_gone: Call_MarkAgentGone | None = None
    set_quota: Call_SetQuota | None = None
    remove_quota: Call_RemoveQuota | None = None


class Call_GetMetrics(Message, kw_only=True):
    """`mesos.v1.master.Call.GetMetrics`."""

    timeout: mesos_ids.DurationInfo | None = None


class Call_SetLoggingLevel(Message, kw_only=True):
    """`mesos.v1.master.Call.SetLoggingLevel`."""

    level: UInt32
    duration: mesos_ids.DurationInfo


class Call_ListFiles(Message, kw_only=True):
    """`mesos.v1.master.Call.ListFiles`."""

    path: str


class Call_ReadFile(Message, kw_only=True):
    """`mesos.v1.master.Call.ReadFile`."""

    path: str
    offset: UInt64
    length: UInt64 | None = None


class Call_UpdateWeights(Message, kw_only=True):
    """`mesos.v1.master.Call.UpdateWeights`."""

    weight_infos: list[mesos_cluster.WeightInfo] = []


class Call_ReserveResources(Message, kw_only=True):
    """`mesos.v1.master.Call.ReserveResources`."""

    agent_id: mesos_ids.AgentID
    source: list[mesos_resources.Resource] = []
    resources: list[mesos_resources.Resource] = []


class Call_UnreserveResources(Message, kw_only=True):
    """`mesos.v1.master.Call.UnreserveResources`."""

    agent_id: mesos_ids.AgentID
    resources: list[mesos_resources.Resource] = []


class Call_CreateVolumes(Message, kw_only=True):
    """`mesos.v1.master.Call.CreateVolumes`."""

    agent_id: mesos_ids.AgentID
    volumes: list[mesos_resources.Resource] = []


class Call_DestroyVolumes(Message, kw_only=True):
    """`mesos.v1.master.Call.DestroyVolumes`."""

    agent_id: mesos_ids.AgentID
    volumes: list[mesos_resources.Resource] = []


class Call_GrowVolume(Message, kw_only=True):
    """`mesos.v1.master.Call.GrowVolume`."""

    agent_id: mesos_ids.AgentID | None = None
    volume: mesos_resources.Resource
    addition: mesos_resources.Resource


class Call_ShrinkVolume(Message, kw_only=True):
    """`mesos.v1.master.Call.ShrinkVolume`."""

    agent_id: mesos_ids.AgentID | None = None
    volume: mesos_resources.Resource
    subtract: mesos_values.Value_Scalar


class Call_UpdateMaintenanceSchedule(Message, kw_only=True):
    """`mesos.v1.master.Call.UpdateMaintenanceSchedule`."""

    schedule: maintenance.Schedule


class Call_StartMaintenance(Message, kw_only=True):
    """`mesos.v1.master.Call.StartMaintenance`."""

    machines: list[mesos_ids.MachineID] = []


class Call_StopMaintenance(Message, kw_only=True):
    """`mesos.v1.master.Call.StopMaintenance`."""

    machines: list[mesos_ids.MachineID] = []


class Call_DrainAgent(Message, kw_only=True):
    """`mesos.v1.master.Call.DrainAgent`."""

    agent_id: mesos_ids.AgentID
    max_grace_period: duration.Duration | None = None
    mark_gone: bool = msgspec.field(default_factory=lambda: False)


class Call_DeactivateAgent(Message, kw_only=True):
    """`mesos.v1.master.Call.DeactivateAgent`."""

    agent_id: mesos_ids.AgentID


class Call_ReactivateAgent(Message, kw_only=True):
    """`mesos.v1.master.Call.ReactivateAgent`."""

    agent_id: mesos_ids.AgentID


class Call_UpdateQuota(Message, kw_only=True):
    """`mesos.v1.master.Call.UpdateQuota`."""

    force: bool | None = None
    quota_configs: list[quota.QuotaConfig] = []


class Call_SetQuota(Message, kw_only=True):
    """`mesos.v1.master.Call.SetQuota`."""

    quota_request: quota.QuotaRequest


class Call_RemoveQuota(Message, kw_only=True):
    """`mesos.v1.master.Call.RemoveQuota`."""

    role: str


class Call_Teardown(Message, kw_only=True):
    """`mesos.v1.master.Call.Teardown`."""

    framework_id: mesos_ids.FrameworkID


class Call_MarkAgentGone(Message, kw_only=True):
    """`mesos.v1.master.Call.MarkAgentGone`."""

    agent_id: mesos_ids.AgentID


class Response(Message, kw_only=True):
    """What a master answers to an operator."""

    type: Response_Type | None = None
    get_health: Response_GetHealth | None = None
    get_flags: Response_GetFlags | None = None
    get_version: Response_GetVersion | None = None
    get_metrics: Response_GetMetrics | None = None
    get_logging_level: Response_GetLoggingLevel | None = None
    list_files: Response_ListFiles | None = None
    read_file: Response_ReadFile | None = None
    get_state: Response_GetState | None = None
    get_agents: Response_GetAgents | None = None
    get_frameworks: Response_GetFrameworks | None = None
    get_executors: Response_GetExecutors | None = None
    get_operations: Response_GetOperations | None = None
    get_tasks: Response_GetTasks | None = None
    get_roles: Response_GetRoles | None = None
    get_weights: Response_GetWeights | None = None
    get_master: Response_GetMaster | None = None
    get_maintenance_status: Response_GetMaintenanceStatus | None = None
    get_maintenance_schedule: Response_GetMaintenanceSchedule | None = None
    get_quota: Response_GetQuota | None = None


class Response_GetHealth(Message, kw_only=True):
    """`mesos.v1.master.Response.GetHealth`."""

    healthy: bool


class Response_GetFlags(Message, kw_only=True):
    """`mesos.v1.master.Response.GetFlags`."""

    flags: list[mesos_cluster.Flag] = []


class Response_GetVersion(Message, kw_only=True):
    """`mesos.v1.master.Response.GetVersion`."""

    version_info: mesos_cluster.VersionInfo


class Response_GetMetrics(Message, kw_only=True):
    """`mesos.v1.master.Response.GetMetrics`."""

    metrics: list[mesos_cluster.Metric] = []


class Response_GetLoggingLevel(Message, kw_only=True):
    """`mesos.v1.master.Response.GetLoggingLevel`."""

    level: UInt32


class Response_ListFiles(Message, kw_only=True):
    """`mesos.v1.master.Response.ListFiles`."""

    file_infos: list[mesos_cluster.FileInfo] = []


class Response_ReadFile(Message, kw_only=True):
    """`mesos.v1.master.Response.ReadFile`."""

    size: UInt64
    data: bytes


class Response_GetState(Message, kw_only=True):
    """`mesos.v1.master.Response.GetState`."""

    get_tasks: Response_GetTasks | None = None
    get_executors: Response_GetExecutors | None = None
    get_frameworks: Response_GetFrameworks | None = None
    get_agents: Response_GetAgents | None = None


class Response_GetAgents(Message, kw_only=True):
    """`mesos.v1.master.Response.GetAgents`."""

    agents: list[Response_GetAgents_Agent] = msgspec.field(default_factory=lambda: [])
    recovered_agents: list[mesos_cluster.AgentInfo] = msgspec.field(default_factory=lambda: [])


class Response_GetAgents_Agent(Message, kw_only=True):
    """`mesos.v1.master.Response.GetAgents.Agent`."""

    agent_info: mesos_cluster.AgentInfo
    active: bool
    deactivated: bool | None = None
    version: str
    pid: str | None = None
    registered_time: mesos_ids.TimeInfo | None = None
    reregistered_time: mesos_ids.TimeInfo | None = None
    total_resources: list[mesos_resources.Resource] = []
    allocated_resources: list[mesos_resources.Resource] = []
    offered_resources: list[mesos_resources.Resource] = []
    capabilities: list[mesos_cluster.AgentInfo_Capability] = []
    resource_providers: list[Response_GetAgents_Agent_ResourceProvider] = []
    drain_info: mesos_cluster.DrainInfo | None = None
    estimated_drain_start_time: mesos_ids.TimeInfo | None = None


class Response_GetAgents_Agent_ResourceProvider(Message, kw_only=True):
    """`mesos.v1.master.Response.GetAgents.Agent.ResourceProvider`."""

    resource_provider_info: mesos_resources.ResourceProviderInfo
    total_resources: list[mesos_resources.Resource] = []


class Response_GetFrameworks(Message, kw_only=True):
    """`mesos.v1.master.Response.GetFrameworks`."""

    frameworks: list[Response_GetFrameworks_Framework] = msgspec.field(default_factory=lambda: [])
    completed_frameworks: list[Response_GetFrameworks_Framework] = msgspec.field(default_factory=lambda: [])
    recovered_frameworks: list[mesos_cluster.FrameworkInfo] = []


class Response_GetFrameworks_Framework(Message, kw_only=True):
    """`mesos.v1.master.Response.GetFrameworks.Framework`."""

    framework_info: mesos_cluster.FrameworkInfo
    active: bool
    connected: bool
    recovered: bool
    registered_time: mesos_ids.TimeInfo | None = None
    reregistered_time: mesos_ids.TimeInfo | None = None
    unregistered_time: mesos_ids.TimeInfo | None = None
    offers: list[mesos_offers.Offer] = []
    inverse_offers: list[mesos_offers.InverseOffer] = []
    allocated_resources: list[mesos_resources.Resource] = []
    offered_resources: list[mesos_resources.Resource] = []
    offer_constraints: scheduler.OfferConstraints | None = None


class Response_GetExecutors(Message, kw_only=True):
    """`mesos.v1.master.Response.GetExecutors`."""

    executors: list[Response_GetExecutors_Executor] = msgspec.field(default_factory=lambda: [])
    orphan_executors: list[Response_GetExecutors_Executor] = []


class Response_GetExecutors_Executor(Message, kw_only=True):
    """`mesos.v1.master.Response.GetExecutors.Executor`."""

    executor_info: mesos_tasks.ExecutorInfo
    agent_id: mesos_ids.AgentID


class Response_GetOperations(Message, kw_only=True):
    """`mesos.v1.master.Response.GetOperations`."""

    operations: list[mesos_offers.Operation] = []


class Response_GetTasks(Message, kw_only=True):
    """`mesos.v1.master.Response.GetTasks`."""

    pending_tasks: list[mesos_tasks.Task] = []
    tasks: list[mesos_tasks.Task] = msgspec.field(default_factory=lambda: [])
    unreachable_tasks: list[mesos_tasks.Task] = msgspec.field(default_factory=lambda: [])
    completed_tasks: list[mesos_tasks.Task] = msgspec.field(default_factory=lambda: [])
    orphan_tasks: list[mesos_tasks.Task] = []


class Response_GetRoles(Message, kw_only=True):
    """`mesos.v1.master.Response.GetRoles`."""

    roles: list[mesos_cluster.Role] = []


class Response_GetWeights(Message, kw_only=True):
    """`mesos.v1.master.Response.GetWeights`."""

    weight_infos: list[mesos_cluster.WeightInfo] = []


class Response_GetMaster(Message, kw_only=True):
    """`mesos.v1.master.Response.GetMaster`."""

    master_info: mesos_cluster.MasterInfo | None = None
    start_time: Double | None = None
    elected_time: Double | None = None


class Response_GetMaintenanceStatus(Message, kw_only=True):
    """`mesos.v1.master.Response.GetMaintenanceStatus`."""

    status: maintenance.ClusterStatus


class Response_GetMaintenanceSchedule(Message, kw_only=True):
    """`mesos.v1.master.Response.GetMaintenanceSchedule`."""

    schedule: maintenance.Schedule


class Response_GetQuota(Message, kw_only=True):
    """`mesos.v1.master.Response.GetQuota`."""

    status: quota.QuotaStatus


class Event(Message, kw_only=True):
    """What a master tells its operator subscribers."""

    type: Event_Type | None = None
    subscribed: Event_Subscribed | None = None
    task_added: Event_TaskAdded | None = None
    task_updated: Event_TaskUpdated | None = None
    agent_added: Event_AgentAdded | None = None
    agent_removed: Event_AgentRemoved | None = None
    framework_added: Event_FrameworkAdded | None = None
    framework_updated: Event_FrameworkUpdated | None = None
    framework_removed: Event_FrameworkRemoved | None = None


class Event_Subscribed(Message, kw_only=True):
    """`mesos.v1.master.Event.Subscribed`."""

    get_state: Response_GetState | None = None
    heartbeat_interval_seconds: Double | None = None


class Event_TaskAdded(Message, kw_only=True):
    """`mesos.v1.master.Event.TaskAdded`."""

    task: mesos_tasks.Task


class Event_TaskUpdated(Message, kw_only=True):
    """`mesos.v1.master.Event.TaskUpdated`."""

    framework_id: mesos_ids.FrameworkID
    status: mesos_tasks.TaskStatus
    state: mesos_tasks.TaskState


class Event_FrameworkAdded(Message, kw_only=True):
    """`mesos.v1.master.Event.FrameworkAdded`."""

    framework: Response_GetFrameworks_Framework


class Event_FrameworkUpdated(Message, kw_only=True):
    """`mesos.v1.master.Event.FrameworkUpdated`."""

    framework: Response_GetFrameworks_Framework


class Event_FrameworkRemoved(Message, kw_only=True):
    """`mesos.v1.master.Event.FrameworkRemoved`."""

    framework_info: mesos_cluster.FrameworkInfo


class Event_AgentAdded(Message, kw_only=True):
    """`mesos.v1.master.Event.AgentAdded`."""

    agent: Response_GetAgents_Agent


class Event_AgentRemoved(Message, kw_only=True):
    """`mesos.v1.master.Event.AgentRemoved`."""

    agent_id: mesos_ids.AgentID
