"""GET_STATE and its four parts as slices of JSON; also the snapshot that opens an operator's event stream."""

from __future__ import annotations

from typing import TYPE_CHECKING

from merismos.core.master.views.agents import agent_v1
from merismos.core.master.views.frameworks import executor_v1, framework_v1
from merismos.core.master.views.rendering import array, encode
from merismos.core.master.views.tasks import task_v1_json

if TYPE_CHECKING:
    from collections.abc import Iterator

    from merismos.core.master.state import Master, Task
    from merismos.core.master.views.rendering import Renderings


def get_tasks(master: Master, renderings: Renderings) -> Iterator[bytes]:
    """Yield the GetTasks object: every task, running, unreachable or completed."""
    alive = [task for framework in master.frameworks.values() for task in framework.tasks.values()]
    unreachable = [task for framework in master.frameworks.values() for task in framework.unreachable_tasks.values()]
    completed: list[Task] = [
        task
        for frameworks in (master.frameworks, master.completed_frameworks)
        for framework in frameworks.values()
        for task in framework.completed_tasks.values()
    ]
    for head, tasks in (
        (b'{"tasks":', alive),
        (b',"unreachable_tasks":', unreachable),
        (b',"completed_tasks":', completed),
    ):
        yield head
        yield from array(task_v1_json(renderings, task) for task in tasks)
    yield b"}"


def get_executors(master: Master) -> Iterator[bytes]:
    """Yield the GetExecutors object; its list is left out when there are none."""
    executors = [
        {"executor_info": executor_v1(executor), "agent_id": {"value": agent.id}}
        for agent in master.agents.values()
        for executor in agent.executors.values()
    ]
    yield encode({"executors": executors} if executors else {})


def get_frameworks(master: Master) -> Iterator[bytes]:
    """Yield the GetFrameworks object: those that are known, then those that ended."""
    yield b'{"frameworks":'
    yield from array(encode(framework_v1(master, framework)) for framework in list(master.frameworks.values()))
    yield b',"completed_frameworks":'
    yield from array(
        encode(framework_v1(master, framework)) for framework in list(master.completed_frameworks.values())
    )
    yield b"}"


def get_agents(master: Master) -> Iterator[bytes]:
    """Yield the GetAgents object: those admitted, then those that a new leader still waits for."""
    yield b'{"agents":'
    yield from array(encode(agent_v1(master, agent)) for agent in list(master.agents.values()))
    yield b',"recovered_agents":'
    yield from array(encode(info) for info in list(master.recovered_agents.values()))
    yield b"}"


def get_state(master: Master, renderings: Renderings) -> Iterator[bytes]:
    """Yield the GetState object."""
    yield b'{"get_tasks":'
    yield from get_tasks(master, renderings)
    yield b',"get_executors":'
    yield from get_executors(master)
    yield b',"get_frameworks":'
    yield from get_frameworks(master)
    yield b',"get_agents":'
    yield from get_agents(master)
    yield b"}"
