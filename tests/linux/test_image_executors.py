"""Custom executors in the root filesystem of an image, for real: they reach their agent, say who they are, and outlive it."""

from __future__ import annotations

import base64
import json
import os
import sys
from pathlib import Path
from typing import Any

import pytest

from linux.image_agent import ImageAgent, eventually, image_agent, of_docker, why_not
from linux.loops import in_a_loop
from merismos.protocol import link
from process.executors.test_custom_executors import job

pytestmark = [pytest.mark.process, pytest.mark.timeout(120)]
REPOSITORY = Path(__file__).resolve().parents[2]
EXAMPLE = REPOSITORY / "examples" / "hello_executor.py"
# the image holds a shell; the Python that runs the example is the machine's own, by volumes
OF_PYTHON = dict.fromkeys(
    [
        "/usr",
        "/lib",
        "/lib64",
        sys.base_prefix,
        str(REPOSITORY),
        sys.prefix,
        *filter(os.path.isdir, filter(None, sys.path)),
    ]
)
FRAMEWORK = {"user": "root", "name": "f", "id": {"value": "F"}, "checkpoint": True}
COMMAND = f"echo image=$FROM_IMAGE sandbox=$MESOS_SANDBOX; cat /etc/group; exec {sys.executable} -B {EXAMPLE}"


@pytest.fixture(autouse=True)
def _needs_a_runtime() -> None:
    reason = why_not()
    if reason:
        pytest.skip(reason)


def in_image(task_id: str, count: int, command: str = COMMAND, image: str = "shell") -> dict[str, Any]:
    volumes = [{"mode": "RO", "container_path": path, "host_path": path} for path in OF_PYTHON if Path(path).exists()]
    container = {"type": "MESOS", "mesos": {"image": of_docker(image)}, "volumes": volumes}
    return {**job(task_id, command, container=container), "data": base64.b64encode(b"%d" % count).decode()}


def run(agent: ImageAgent, *tasks: dict[str, Any]) -> None:
    raw = [json.dumps(one).encode() for one in tasks]
    ids = [one["task_id"]["value"] for one in tasks]
    agent.master.send(link.RunTasks("F", json.dumps(FRAMEWORK).encode(), "eng", raw, ids, ["e"]))


@in_a_loop
async def test_an_executor_in_an_image_shows_its_token_counts_is_stopped_and_leaves_nothing(tmp_path: Path) -> None:
    key = tmp_path / "key"
    key.write_bytes(b"secret")
    async with image_agent(tmp_path, "--authenticate_http_executors", f"--jwt_secret_key={key}") as agent:
        run(agent, in_image("quick", 0), in_image("slow", 1000))
        assert (await agent.end_of("quick"))["message"] == "counted to 0", agent.output("e")
        await agent.master.until(lambda: agent.master.states("slow") == ["TASK_RUNNING"])
        agent.master.send(link.KillTask("F", "slow", 1.5))
        assert (await agent.end_of("slow"))["message"] == "stopped, grace 1.5"
        assert agent.output("e").startswith("image=1 sandbox=/mnt/mesos/sandbox\nroot:x:0:\nweb:x:1234:\n")
        agent.master.send(link.ShutdownExecutor("F", "e"))
        await agent.master.until(lambda: bool(agent.master.of(link.ExitedExecutor)))
        assert agent.master.of(link.ExitedExecutor) == [link.ExitedExecutor("F", "e", 0)]
        await eventually(lambda: agent.remains() == [], agent.remains)


@in_a_loop
async def test_an_executor_in_an_image_follows_its_agent_over_the_socket_that_is_mounted_in(tmp_path: Path) -> None:
    async with image_agent(tmp_path, "--http_executor_domain_sockets") as agent:
        line = f"test -S $MESOS_DOMAIN_SOCKET && echo a socket at $MESOS_DOMAIN_SOCKET; MESOS_AGENT_ENDPOINT=127.0.0.1:1; {COMMAND}"
        run(agent, in_image("slow", 1000, line))
        pid = await agent.agent.pid_of("slow")
        assert agent.output("e").startswith("a socket at /mnt/mesos/agent/executors.sock\n"), agent.output("e")
        await agent.agent.kill()
        await agent.agent.start("--executor_reregistration_timeout=30secs")
        assert await agent.agent.pid_of("slow") == pid
        agent.master.send(link.KillTask("F", "slow", 1.5))
        assert (await agent.end_of("slow"))["message"] == "stopped, grace 1.5"
        agent.master.send(link.ShutdownExecutor("F", "e"))
        await agent.master.until(lambda: bool(agent.master.of(link.ExitedExecutor)))
        await eventually(lambda: agent.remains() == [], agent.remains)


@in_a_loop
async def test_an_executor_whose_image_cannot_be_had_or_says_nothing_to_run_fails_its_tasks_in_words(
    tmp_path: Path,
) -> None:
    async with image_agent(tmp_path) as agent:
        run(agent, in_image("absent", 0, image="missing"))
        absent = await agent.end_of("absent")
        assert absent["reason"] == "REASON_CONTAINER_LAUNCH_FAILED"
        assert "Failed to pull image 'missing': there is no image missing:latest" in absent["message"]
        wordless = in_image("wordless", 0)
        wordless["executor"]["command"] = {"shell": False}
        run(agent, wordless)
        said = (await agent.end_of("wordless"))["message"]
        assert "neither the task nor its image says what to run" in said
        await eventually(lambda: agent.remains() == [], agent.remains)
