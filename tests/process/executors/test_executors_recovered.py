"""Custom executors outlive an agent that is killed, and come back to the next one."""

from __future__ import annotations

import asyncio
import json
import os
from pathlib import Path
from typing import Any

import pytest

from merismos.protocol import link
from process.agent_process import AgentUnderTest, agent_under_test
from process.executors.test_custom_executors import Pipe, Played, call, job, update

pytestmark = pytest.mark.process
FRAMEWORK = json.dumps({"user": "root", "name": "f", "id": {"value": "F"}, "checkpoint": True}).encode()


def run(agent: AgentUnderTest, *tasks: dict[str, Any]) -> None:
    ids = [one["task_id"]["value"] for one in tasks]
    raw = [json.dumps(one).encode() for one in tasks]
    agent.master.send(link.RunTasks("F", FRAMEWORK, "eng", raw, ids, ["e"]))


def url_of(agent: AgentUnderTest) -> str:
    heard = [one for one in agent.master.heard if isinstance(one, link.RegisterAgent | link.ReregisterAgent)]
    return f"http://{heard[-1].pid.partition('@')[2]}"


def test_an_executor_and_its_tasks_go_on_over_kill_9(tmp_path: Path) -> None:
    async def scenario() -> None:
        pipe = Pipe(tmp_path / "pipe")
        command = f"echo $$ > {pipe.path}; exec sleep 600"
        async with agent_under_test(tmp_path / "work", "--executor_reregistration_timeout=20secs") as agent:
            run(agent, job("a", command), job("b", command))
            pid = int(await pipe.line())
            first = Played(url_of(agent))
            await first.subscribe()
            await first.expect("SUBSCRIBED")
            assert await first.post(update("a", "TASK_RUNNING")) == (202, "")
            await agent.master.until(lambda: agent.master.states("a") == ["TASK_RUNNING"])
            await agent.kill()
            await first.close()
            await agent.start()
            os.kill(pid, 0)
            back = agent.master.of(link.ReregisterAgent)[-1]
            assert [json.loads(one.executor)["executor_id"]["value"] for one in back.executors] == ["e"]
            assert [(json.loads(one.task)["name"], one.state) for one in back.tasks] == [
                ("a", "TASK_RUNNING"),
                ("b", "TASK_STAGING"),
            ]
            second = Played(url_of(agent))
            body = {"unacknowledged_tasks": [], "unacknowledged_updates": [update("a", "TASK_FINISHED")["update"]]}
            await second.subscribe(call("SUBSCRIBE", subscribe=body))
            await second.expect("SUBSCRIBED")
            await second.expect("ACKNOWLEDGED")
            launch = (await second.expect("LAUNCH")).launch
            assert launch is not None
            assert launch.task.task_id.value == "b"
            assert (await agent.master.end_of("a"))["state"] == "TASK_FINISHED"
            os.kill(pid, 9)
            assert (await agent.master.end_of("b"))["message"] == "Executor terminated"
            assert agent.master.of(link.ExitedExecutor) == [link.ExitedExecutor("F", "e", 9)]
            await second.close()
        pipe.close()

    asyncio.run(scenario())


def test_an_executor_that_does_not_come_back_is_ended_and_its_tasks_fail(tmp_path: Path) -> None:
    async def scenario() -> None:
        pipe = Pipe(tmp_path / "pipe")
        command = f"echo $$ > {pipe.path}; exec sleep 600"
        async with agent_under_test(tmp_path / "work", "--executor_reregistration_timeout=300ms") as agent:
            run(agent, job("a", command))
            pid = int(await pipe.line())
            await agent.kill()
            await agent.start()
            status = await agent.master.end_of("a")
            assert status["reason"] == "REASON_EXECUTOR_REREGISTRATION_TIMEOUT"
            assert status["message"] == "Executor did not reregister within 300ms"
            with pytest.raises(ProcessLookupError):
                os.kill(pid, 0)
        pipe.close()

    asyncio.run(scenario())


def test_an_executor_that_ended_while_there_was_no_agent_is_told_by_the_next(tmp_path: Path) -> None:
    async def scenario() -> None:
        pipe = Pipe(tmp_path / "pipe")
        command = f"echo $$ > {pipe.path}; exec sleep 600"
        async with agent_under_test(tmp_path / "work") as agent:
            run(agent, job("a", command))
            pid = int(await pipe.line())
            await agent.kill()
            os.kill(pid, 9)
            await agent.until_gone(pid)
            await agent.start()
            assert (await agent.master.end_of("a"))["message"] == "Executor terminated"
        pipe.close()

    asyncio.run(scenario())
