"""An agent's core with a custom executor that the test plays."""

from __future__ import annotations

from typing import Any

from merismos.core.agent import effects, events
from merismos.core.agent.executors_state import Executor
from merismos.protocol import json
from merismos.protocol.v1 import executor as api
from unit.agent.rig import FRAMEWORK, Rig, task

CPU = {"name": "cpus", "type": "SCALAR", "scalar": {"value": 0.5}}


def executor_info(executor_id: str = "e", **fields: object) -> dict[str, object]:
    return {
        "type": "CUSTOM",
        "executor_id": {"value": executor_id},
        "command": {"value": "./executor"},
        "resources": [CPU],
        **fields,
    }


def job(task_id: str, executor_id: str = "e", **fields: object) -> bytes:
    return task(task_id, None, executor=executor_info(executor_id, **fields))


class ExecutorRig(Rig):
    """Plays the executor `e` of the framework `F` as well."""

    calls = 0

    def executor(self, executor_id: str = "e") -> Executor:
        return self.state.frameworks[FRAMEWORK].executors[executor_id]

    def _call(self, kind: str, executor_id: str, framework_id: str, **fields: object) -> api.Call:
        call: dict[str, Any] = {
            "type": kind,
            "framework_id": {"value": framework_id},
            "executor_id": {"value": executor_id},
            **fields,
        }
        return json.decode(api.Call, json_bytes(call))

    def subscribe(
        self,
        executor_id: str = "e",
        framework_id: str = FRAMEWORK,
        tasks: list[object] | None = None,
        updates: list[object] | None = None,
    ) -> int:
        self.calls += 1
        body = {"unacknowledged_tasks": tasks or [], "unacknowledged_updates": updates or []}
        call = self._call("SUBSCRIBE", executor_id, framework_id, subscribe=body)
        self.handle(events.ExecutorSubscribed(self.calls, self.calls, call))
        return self.calls

    def call(self, kind: str, executor_id: str = "e", framework_id: str = FRAMEWORK, **fields: object) -> int:
        self.calls += 1
        self.handle(events.ExecutorCalled(self.calls, self._call(kind, executor_id, framework_id, **fields)))
        return self.calls

    def update(self, task_id: str, state: str, number: int, **fields: object) -> int:
        return self.call("UPDATE", update=update(task_id, state, number, **fields))

    def answer(self, request: int) -> tuple[int, str]:
        (answer,) = [one for one in self.of(effects.AnswerExecutor) if one.request == request]
        return answer.status, answer.text

    def heard(self, kind: str, stream: int | None = None) -> list[api.Event]:
        return [
            one.event
            for one in self.of(effects.SendExecutorEvent)
            if one.event.type == kind and stream in {None, one.stream}
        ]

    def delivered(self) -> list[str]:
        return [event.launch.task.task_id.value for event in self.heard("LAUNCH") if event.launch is not None]

    def acknowledged(self) -> list[tuple[str, int]]:
        return [
            (event.acknowledged.task_id.value, event.acknowledged.uuid[0])
            for event in self.heard("ACKNOWLEDGED")
            if event.acknowledged is not None
        ]

    @classmethod
    def with_executor(cls, *tasks: bytes, **settings: Any) -> ExecutorRig:  # noqa: ANN401 - of AgentSettings
        """An agent whose executor `e` runs and was handed `tasks`."""
        rig = cls.registered(**settings)
        assert isinstance(rig, cls)
        rig.run(*tasks)
        rig.handle(events.ContainerLaunched(rig.executor().container_id, 4711))
        rig.subscribe()
        return rig


def json_bytes(value: object) -> bytes:
    import json as plain

    return plain.dumps(value).encode()


def update(task_id: str, state: str, number: int, **fields: object) -> dict[str, object]:
    import base64

    uuid = base64.b64encode(bytes([number] * 16)).decode()
    status = {"task_id": {"value": task_id}, "state": state, "source": "SOURCE_EXECUTOR", "uuid": uuid, **fields}
    return {"status": status}
