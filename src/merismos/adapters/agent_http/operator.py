"""The agent's operator API: a call in, an answer out, in JSON or protobuf.

Rules: what changes something on an agent (nested and standalone containers, resource providers) is not there yet and
says so with 501.
"""

from __future__ import annotations

import os
import time
from collections.abc import Callable

from merismos.adapters.agent_http.files import READ_BYTES_MAX, FileRefused, SandboxFiles
from merismos.adapters.agent_http.statistics import NO_METERS, Meters, container_rows
from merismos.core.agent.state import Agent
from merismos.core.agent.views import metrics, v1
from merismos.core.master.views.values import version_info
from merismos.protocol.v1 import agent as operator
from merismos.protocol.v1 import mesos

Type = operator.Response_Type


class CallRefused(Exception):
    """A call can't be answered; the status and the text say why."""

    def __init__(self, status: int, text: str) -> None:
        super().__init__(text)
        self.status = status
        self.text = text


class OperatorReads:
    """Answers the calls that read."""

    def __init__(
        self,
        agent: Agent,
        files: SandboxFiles,
        flags: dict[str, str],
        machine_metrics: Callable[[], dict[str, float]],
        meters: Meters = NO_METERS,
    ) -> None:
        self._agent = agent
        self._meters = meters
        self._files = files
        self._flags = flags
        self._machine_metrics = machine_metrics
        self._answers: dict[operator.Call_Type, Callable[[operator.Call], operator.Response]] = {
            operator.Call_Type.GET_HEALTH: self._get_health,
            operator.Call_Type.GET_FLAGS: self._get_flags,
            operator.Call_Type.GET_VERSION: self._get_version,
            operator.Call_Type.GET_METRICS: self._get_metrics,
            operator.Call_Type.GET_LOGGING_LEVEL: self._get_logging_level,
            operator.Call_Type.LIST_FILES: self._list_files,
            operator.Call_Type.READ_FILE: self._read_file,
            operator.Call_Type.GET_STATE: self._get_state,
            operator.Call_Type.GET_CONTAINERS: self._get_containers,
            operator.Call_Type.GET_FRAMEWORKS: self._get_frameworks,
            operator.Call_Type.GET_EXECUTORS: self._get_executors,
            operator.Call_Type.GET_OPERATIONS: self._get_operations,
            operator.Call_Type.GET_TASKS: self._get_tasks,
            operator.Call_Type.GET_AGENT: self._get_agent,
            operator.Call_Type.GET_RESOURCE_PROVIDERS: self._get_resource_providers,
        }

    def answer(self, call: operator.Call) -> operator.Response:
        """Return the answer to a call.

        Errors: CallRefused.
        """
        if call.type is None:
            raise CallRefused(400, "Failed to validate agent::Call: Expecting 'type' to be present")
        answer = self._answers.get(call.type)
        if answer is None:
            raise CallRefused(501, f"{call.type} is not supported by this agent yet")
        try:
            return answer(call)
        except FileRefused as refused:
            raise CallRefused(refused.status, refused.text) from refused

    def _get_health(self, _call: operator.Call) -> operator.Response:
        return operator.Response(type=Type.GET_HEALTH, get_health=operator.Response_GetHealth(healthy=True))

    def _get_flags(self, _call: operator.Call) -> operator.Response:
        flags = [mesos.Flag(name=name, value=value) for name, value in self._flags.items()]
        return operator.Response(type=Type.GET_FLAGS, get_flags=operator.Response_GetFlags(flags=flags))

    def _get_version(self, _call: operator.Call) -> operator.Response:
        answer = operator.Response_GetVersion(version_info=version_info())
        return operator.Response(type=Type.GET_VERSION, get_version=answer)

    def _get_metrics(self, _call: operator.Call) -> operator.Response:
        values = metrics.snapshot(self._agent, time.monotonic(), self._machine_metrics())
        rows = [mesos.Metric(name=name, value=value) for name, value in values.items()]
        return operator.Response(type=Type.GET_METRICS, get_metrics=operator.Response_GetMetrics(metrics=rows))

    def _get_logging_level(self, _call: operator.Call) -> operator.Response:
        answer = operator.Response_GetLoggingLevel(level=0)
        return operator.Response(type=Type.GET_LOGGING_LEVEL, get_logging_level=answer)

    def _get_state(self, _call: operator.Call) -> operator.Response:
        return operator.Response(type=Type.GET_STATE, get_state=v1.get_state(self._agent))

    def _get_frameworks(self, _call: operator.Call) -> operator.Response:
        return operator.Response(type=Type.GET_FRAMEWORKS, get_frameworks=v1.get_frameworks(self._agent))

    def _get_executors(self, _call: operator.Call) -> operator.Response:
        return operator.Response(type=Type.GET_EXECUTORS, get_executors=v1.get_executors(self._agent))

    def _get_operations(self, _call: operator.Call) -> operator.Response:
        return operator.Response(type=Type.GET_OPERATIONS, get_operations=operator.Response_GetOperations())

    def _get_tasks(self, _call: operator.Call) -> operator.Response:
        return operator.Response(type=Type.GET_TASKS, get_tasks=v1.get_tasks(self._agent))

    def _get_agent(self, _call: operator.Call) -> operator.Response:
        return operator.Response(type=Type.GET_AGENT, get_agent=v1.get_agent(self._agent))

    def _get_resource_providers(self, _call: operator.Call) -> operator.Response:
        answer = operator.Response_GetResourceProviders()
        return operator.Response(type=Type.GET_RESOURCE_PROVIDERS, get_resource_providers=answer)

    def _get_containers(self, call: operator.Call) -> operator.Response:
        nested = call.get_containers is not None and bool(call.get_containers.show_nested)
        rows = [
            operator.Response_GetContainers_Container(
                framework_id=None if row.parent else mesos.FrameworkID(value=row.framework_id),
                executor_id=None if row.parent else mesos.ExecutorID(value=row.executor_id),
                executor_name=None if row.parent else row.executor_name,
                container_id=mesos.ContainerID(value=row.container_id),
                container_status=row.status,
                resource_statistics=row.statistics,
            )
            for row in container_rows(self._agent, self._meters, nested=nested)
        ]
        answer = operator.Response_GetContainers(containers=rows)
        return operator.Response(type=Type.GET_CONTAINERS, get_containers=answer)

    def _list_files(self, call: operator.Call) -> operator.Response:
        if call.list_files is None:
            raise CallRefused(400, "Failed to validate agent::Call: Expecting 'list_files' to be present")
        infos = [
            mesos.FileInfo(
                path=entry.path,
                nlink=entry.info.st_nlink,
                size=entry.info.st_size,
                mtime=mesos.TimeInfo(nanoseconds=int(entry.info.st_mtime) * 1_000_000_000),
                mode=entry.info.st_mode,
                uid=entry.uid,
                gid=entry.gid,
            )
            for entry in self._files.browse(call.list_files.path)
        ]
        return operator.Response(type=Type.LIST_FILES, list_files=operator.Response_ListFiles(file_infos=infos))

    def _read_file(self, call: operator.Call) -> operator.Response:
        wanted = call.read_file
        if wanted is None:
            raise CallRefused(400, "Failed to validate agent::Call: Expecting 'read_file' to be present")
        fd, size = self._files.open(wanted.path)
        try:
            length = READ_BYTES_MAX if wanted.length is None else wanted.length
            data = os.pread(fd, min(length, max(size - wanted.offset, 0)), wanted.offset)
        finally:
            os.close(fd)
        return operator.Response(type=Type.READ_FILE, read_file=operator.Response_ReadFile(size=size, data=data))
