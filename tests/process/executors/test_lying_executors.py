"""Executors that lie: about who they are, about tasks of others, in no language at all. The agent believes nothing, and lives on."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from linux.loops import in_a_loop
from process.executors.test_custom_executors import Pipe, call, job, played, run, update
from process.test_agent import running

pytestmark = pytest.mark.process


@in_a_loop
async def test_an_executor_with_a_token_of_its_own_tells_nothing_of_the_tasks_of_another(tmp_path: Path) -> None:
    key = tmp_path / "key"
    key.write_bytes(b"secret")
    flags = ("--authenticate_http_executors", f"--jwt_secret_key={key}")
    pipe = Pipe(tmp_path / "pipe")
    command = f"echo $MESOS_EXECUTOR_AUTHENTICATION_TOKEN > {pipe.path}; exec sleep 100"
    async with running(tmp_path / "work", *flags) as agent, played(agent) as liar, played(agent) as honest:
        run(agent, job("mine", command), starts=["e"])
        mine = {"Authorization": f"Bearer {await pipe.line()}"}
        run(agent, job("theirs", command, "e-2"), starts=["e-2"])
        theirs = {"Authorization": f"Bearer {await pipe.line()}"}
        await liar.subscribe(**mine)
        await liar.expect("SUBSCRIBED")
        await honest.subscribe(call("SUBSCRIBE", "e-2", subscribe={}), **theirs)
        await honest.expect("SUBSCRIBED")
        lie = update("theirs", "TASK_FINISHED")
        assert (await liar.post(lie, **mine))[0] == 400, "that is none of its tasks"
        as_another = {**lie, "executor_id": {"value": "e-2"}}
        assert (await liar.post(as_another, **mine))[0] == 403, "it is not that executor"
        assert (await liar.post({**lie, "framework_id": {"value": "G"}}, **mine))[0] in {400, 403}
        assert (await liar.post(update("nobodys", "TASK_FINISHED"), **mine))[0] == 400
        assert agent.master.states("theirs") == []
        assert (await honest.post({**update("theirs", "TASK_FAILED"), "executor_id": {"value": "e-2"}}, **theirs))[
            0
        ] == 202
        assert (await agent.master.end_of("theirs"))["state"] == "TASK_FAILED"
    pipe.close()


@in_a_loop
async def test_an_executor_that_talks_nonsense_keeps_the_agent_from_nothing(tmp_path: Path) -> None:
    pipe = Pipe(tmp_path / "pipe")
    async with running(tmp_path / "work") as agent, played(agent) as one:
        run(agent, job("a", pipe.says_up), starts=["e"])
        await pipe.line()
        await one.subscribe()
        await one.expect("SUBSCRIBED")
        await one.expect("LAUNCH")
        assert (await one.post(os.urandom(1 << 16)))[0] == 400
        assert (await one.post(b"[" * 100_000))[0] == 400
        strange = update("a", "TASK_STRANGE")
        assert (await one.post(strange))[0] in {202, 400}
        assert (await one.post(update("a", "TASK_RUNNING", timestamp="yesterday")))[0] == 400
        assert (await one.post(update("a", "TASK_FINISHED")))[0] == 202
        assert (await one.post(update("a", "TASK_RUNNING")))[0] in {202, 400}, "a dead task doesn't rise"
        assert (await agent.master.end_of("a"))["state"] == "TASK_FINISHED"
        assert agent.master.states("a")[-1] == "TASK_FINISHED"
    pipe.close()
