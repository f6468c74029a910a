"""The agent's endpoints in the forms and texts of a real one."""

from __future__ import annotations

import asyncio
import json
import socket
from collections.abc import Awaitable, Callable, Iterable
from pathlib import Path
from typing import Any, NamedTuple

import aiohttp
import pytest

from merismos.adapters.agent_http.executor import ExecutorEndpoint
from merismos.adapters.agent_http.server import AgentHttp, Pruner
from merismos.protocol import link, protobuf
from merismos.protocol.v1 import agent as operator
from merismos.protocol.v1 import mesos
from unit.agent.containers_rig import containers_of
from unit.agent.rig import FRAMEWORK, Rig, framework_info, task


class Answer(NamedTuple):
    status: int
    content_type: str | None
    body: bytes
    headers: Any

    def json(self) -> Any:  # noqa: ANN401 - whatever was sent
        return json.loads(self.body)


Ask = Callable[..., Awaitable[Answer]]


def with_agent(scenario: Callable[[Ask], Awaitable[None]], rig: Rig, images: Pruner | None = None) -> None:
    async def run() -> None:
        listener = socket.create_server(("127.0.0.1", 0))
        http = AgentHttp(
            rig.state, {"work_dir": "/w", "ip": "10.0.0.1"}, ExecutorEndpoint(rig.handle), containers_of(rig), images
        )
        await http.start(listener)
        url = f"http://127.0.0.1:{listener.getsockname()[1]}"
        try:
            async with aiohttp.ClientSession(skip_auto_headers=["Content-Type"]) as session:

                async def ask(path: str, body: bytes | None = None, **headers: str) -> Answer:
                    given = {name.replace("_", "-"): value for name, value in headers.items()}
                    method = "GET" if body is None else "POST"
                    async with session.request(method, url + path, data=body, headers=given) as answer:
                        kind = answer.headers.get("Content-Type")
                        return Answer(answer.status, kind, await answer.read(), answer.headers)

                await scenario(ask)
        finally:
            await http.close()

    asyncio.run(run())


def lively(work_dir: Path | str = "/w") -> Rig:
    rig = Rig.registered()
    rig.state.settings.work_dir = str(work_dir)
    rig.run(
        task("runs", labels={"labels": [{"key": "k", "value": "v"}]}),
        task("done"),
        framework=framework_info("MULTI_ROLE", roles=["eng"]),
    )
    rig.launched("runs", pid=1)
    rig.launched("done")
    rig.exited("done", 0)
    rig.acknowledge_all()
    return rig


JSON = {"Content_Type": "application/json"}


async def call(ask: Ask, kind: str, **fields: object) -> Any:  # noqa: ANN401 - the shape is what is tested
    answer = await ask("/api/v1", json.dumps({"type": kind, **fields}).encode(), **JSON)
    assert (answer.status, answer.content_type) == (200, "application/json"), answer.body
    told = answer.json()
    assert told["type"] == kind
    return told[kind.lower()]


def test_health_is_an_empty_200_without_a_type() -> None:
    async def scenario(ask: Ask) -> None:
        for path in ("/health", "/slave(1)/health", "/health/"):
            answer = await ask(path)
            assert (answer.status, answer.content_type, answer.body) == (200, None, b"")

    with_agent(scenario, Rig.registered())


def test_the_same_state_is_served_with_and_without_the_agents_name() -> None:
    async def scenario(ask: Ask) -> None:
        plain = (await ask("/state")).json()
        assert plain["id"] == "S0"
        assert plain["pid"] == "slave(1)@10.0.0.1:5051"
        assert plain["flags"]["work_dir"] == "/w"
        assert (await ask("/slave(1)/state")).json() == plain
        (framework,) = plain["frameworks"]
        (executor,) = framework["executors"]
        assert executor["directory"].endswith("/executors/runs/runs/" + executor["container"])
        assert executor["name"] == "Command Executor (Task: runs) (Command: sh -c 'sleep 1')"
        (running,) = executor["tasks"]
        assert running["labels"] == [{"key": "k", "value": "v"}]
        assert [status["state"] for status in running["statuses"]] == ["TASK_STARTING", "TASK_RUNNING"]
        (completed,) = framework["completed_executors"]
        assert completed["completed_tasks"][0]["state"] == "TASK_FINISHED"

    with_agent(scenario, lively())


def test_a_read_may_be_wrapped_for_a_script() -> None:
    async def scenario(ask: Ask) -> None:
        answer = await ask("/flags?jsonp=show.it")
        assert (answer.content_type, answer.body[:9]) == ("text/javascript", b"show.it({")
        assert (await ask("/flags?jsonp=alert(1)//")).status == 400

    with_agent(scenario, Rig.registered())


def test_the_texts_of_refusals_are_mesos_own() -> None:
    async def scenario(ask: Ask) -> None:
        for path, status, text in (
            ("/nothing", 404, b"404 Not Found."),
            ("/monitor/statistics.json", 404, b"404 Not Found."),
            ("/files/browse", 400, b"Expecting 'path=value' in query.\n"),
            ("/files/browse?path=/nope", 404, b""),
            ("/files/read?path=/x&offset=abc", 400, b"Failed to parse offset: Failed to convert 'abc' to number.\n"),
            ("/api/v1", 405, b"405 Method Not Allowed. Expecting one of { 'POST' }, but received 'GET'."),
        ):
            answer = await ask(path)
            assert (answer.status, answer.content_type, answer.body) == (status, "text/plain; charset=utf-8", text), (
                path
            )

    with_agent(scenario, Rig.registered())


def test_calls_are_refused_for_their_media_types_and_forms() -> None:
    async def scenario(ask: Ask) -> None:
        body = b'{"type":"GET_HEALTH"}'
        assert (await ask("/api/v1", body)).status == 400
        assert (await ask("/api/v1", body, Content_Type="application/json; charset=utf-8")).status == 415
        assert (await ask("/api/v1", body, Content_Type="application/json", Accept="text/html")).status == 406
        assert (await ask("/api/v1", b"{", **JSON)).status == 400
        assert (
            await ask("/api/v1", b"{}", **JSON)
        ).body == b"Failed to validate agent::Call: Expecting 'type' to be present"
        assert (await ask("/api/v1", b'{"type":"ADD_RESOURCE_PROVIDER_CONFIG"}', **JSON)).status == 501
        assert (await ask("/slave(1)/api/v1/anything", body, **JSON)).status == 200

    with_agent(scenario, Rig.registered())


def test_a_call_may_come_and_be_answered_in_protobuf() -> None:
    async def scenario(ask: Ask) -> None:
        body = protobuf.encode(operator.Call(type=operator.Call_Type.GET_AGENT))
        answer = await ask("/api/v1", body, Content_Type="application/x-protobuf", Accept="application/x-protobuf")
        assert answer.content_type == "application/x-protobuf"
        told = protobuf.decode(operator.Response, answer.body)
        assert told.get_agent is not None
        assert told.get_agent.agent_info is not None
        assert told.get_agent.agent_info.hostname == "host"

    with_agent(scenario, Rig.registered())


def test_every_read_of_the_operator_api_is_answered() -> None:
    async def scenario(ask: Ask) -> None:
        assert await call(ask, "GET_HEALTH") == {"healthy": True}
        assert {"name": "work_dir", "value": "/w"} in (await call(ask, "GET_FLAGS"))["flags"]
        assert (await call(ask, "GET_VERSION"))["version_info"]["version"] == "1.12.0"
        assert {"name": "slave/registered", "value": 1.0} in (await call(ask, "GET_METRICS"))["metrics"]
        assert await call(ask, "GET_LOGGING_LEVEL") == {"level": 0}
        assert await call(ask, "GET_OPERATIONS") == {}
        assert await call(ask, "GET_RESOURCE_PROVIDERS") == {}
        tasks = await call(ask, "GET_TASKS")
        assert [entry["name"] for entry in tasks["launched_tasks"]] == ["runs"]
        assert [entry["name"] for entry in tasks["completed_tasks"]] == ["done"]
        assert tasks["pending_tasks"] == tasks["queued_tasks"] == tasks["terminated_tasks"] == []
        executors = await call(ask, "GET_EXECUTORS")
        assert executors["executors"][0]["executor_info"]["source"] == "runs"
        assert executors["completed_executors"][0]["executor_info"]["source"] == "done"
        frameworks = await call(ask, "GET_FRAMEWORKS")
        assert frameworks["frameworks"][0]["framework_info"]["id"] == {"value": FRAMEWORK}
        assert await call(ask, "GET_STATE") == {
            "get_tasks": tasks,
            "get_executors": executors,
            "get_frameworks": frameworks,
        }
        (container,) = (await call(ask, "GET_CONTAINERS"))["containers"]
        assert container["container_status"]["executor_pid"] == 1

    with_agent(scenario, lively())


def test_files_are_read_by_either_api_and_from_any_origin(tmp_path: Path) -> None:
    run = tmp_path / "slaves/S0/frameworks/F/executors/t/runs/c"
    run.mkdir(parents=True)
    (run.parent / "latest").symlink_to(run)
    (run / "stdout").write_bytes("hellö\n".encode())
    path = "/frameworks/F/executors/t/runs/latest/stdout"

    async def scenario(ask: Ask) -> None:
        answer = await ask(f"/files/read?path={path}&offset=0&length=100")
        assert answer.body == b'{"data":"hell\\u00f6\\n","offset":0}'
        assert answer.headers["Access-Control-Allow-Origin"] == "*"
        assert (await ask(f"/files/read?path={path}")).json() == {"data": "", "offset": 7}
        told = await call(ask, "READ_FILE", read_file={"path": path, "offset": 2, "length": 2})
        assert told == {"size": 7, "data": "bGw="}
        assert await call(ask, "READ_FILE", read_file={"path": path, "offset": 100000}) == {"size": 7, "data": ""}
        missing = json.dumps({"type": "READ_FILE", "read_file": {"path": path + "x", "offset": 0}}).encode()
        assert (await ask("/api/v1", missing, **JSON)).status == 404
        (listed,) = (await call(ask, "LIST_FILES", list_files={"path": path.removesuffix("/stdout")}))["file_infos"]
        assert (listed["path"], listed["size"], listed["nlink"]) == (path, 7, 1)
        answer = await ask(f"/files/download?path={path}")
        assert answer.body == "hellö\n".encode()
        assert answer.content_type == "application/octet-stream"
        assert answer.headers["Content-Disposition"] == "attachment; filename=stdout"

    rig = Rig.registered()
    rig.state.settings.work_dir = str(tmp_path)
    with_agent(scenario, rig)


def test_a_run_is_attached_by_its_real_path_and_by_the_newest_one_of_its_executor_as_recorded(recordings: Path) -> None:
    def shapes(attached: dict[str, str]) -> set[tuple[str | bool, ...]]:
        return {
            (*path.removeprefix(real.partition("/slaves/")[0]).split("/")[1::2], path.rsplit("/", 1)[1] == "latest")
            for path, real in attached.items()
        }

    async def scenario(ask: Ask) -> None:
        ours = (await ask("/files/debug")).json()
        assert shapes(ours) == shapes(body_of(recordings, "v0/agent_files_debug.json"))
        assert len(ours) == 3 * len(set(ours.values()))
        assert all(path in ours for path in ours.values())

    with_agent(scenario, lively())


# ------------------------------------------------------------------ against the recordings


def test_get_agent_tells_of_a_drain_as_recorded_until_it_is_over_or_a_master_knows_of_none(recordings: Path) -> None:
    recorded = body_of(recordings, "operator/g_agent_GET_AGENT_draining.json")["get_agent"]
    config = json.dumps(recorded["drain_config"]).encode()
    rig = lively()
    draining = link.DrainAgent(config, recorded["estimated_drain_start_time"]["nanoseconds"])

    async def scenario(ask: Ask) -> None:
        for over in (link.DrainAgent(), link.AgentRegistered("S0")):
            rig.receive(draining)
            ours = await call(ask, "GET_AGENT")
            assert {key: ours.get(key) for key in recorded if key != "agent_info"} == {
                key: recorded[key] for key in recorded if key != "agent_info"
            }
            rig.receive(over)
            assert list(await call(ask, "GET_AGENT")) == ["agent_info"]

    with_agent(scenario, rig)


def body_of(recordings: Path, name: str) -> Any:  # noqa: ANN401 - recorded
    recorded = json.loads((recordings / name).read_text())["response"]
    return recorded["body_json"] if recorded.get("body_json") is not None else json.loads(recorded["body"])


def keys(value: Any) -> Any:  # noqa: ANN401 - any JSON
    """Return the keys of objects in order, of lists those of the first entry."""
    if isinstance(value, dict):
        return {name: keys(entry) for name, entry in value.items()}
    return None


def test_state_has_the_keys_of_a_recorded_agent_in_their_order(recordings: Path) -> None:
    async def scenario(ask: Ask) -> None:
        recorded = body_of(recordings, "v0/agent_state.json")
        ours = (await ask("/state")).json()
        assert list(ours) == [key for key in recorded if key != "git_sha"]
        theirs = next(entry for entry in recorded["frameworks"] if entry["executors"])
        framework = ours["frameworks"][0]
        assert list(framework) == [key for key in theirs if key != "principal"]
        command = next(entry for entry in theirs["executors"] if entry["id"] == "live-1")
        executor = framework["executors"][0]
        assert sorted(executor) == sorted(command)
        assert sorted(executor["tasks"][0]) == sorted(command["tasks"][0])
        assert keys(executor["tasks"][0]["statuses"][0]) == keys(command["tasks"][0]["statuses"][0])

    with_agent(scenario, lively())


@pytest.mark.parametrize(
    ("name", "path"),
    [
        ("v0/agent_metrics_snapshot.json", "/metrics/snapshot"),
        ("v0/agent_system_stats_json.json", "/system/stats.json"),
        ("v0/agent_version.json", "/version"),
    ],
)
def test_every_name_of_a_recorded_answer_is_there(recordings: Path, name: str, path: str) -> None:
    async def scenario(ask: Ask) -> None:
        ours = (await ask(path)).json()
        missing = set(body_of(recordings, name)) - set(ours) - {"git_sha"}
        assert {
            key
            for key in missing
            if not key.startswith(("resource_provider_manager", "containerizer/mesos/provisioner"))
        } == set()

    with_agent(scenario, lively())


def test_a_task_is_described_as_a_recorded_one(recordings: Path) -> None:
    async def scenario(ask: Ask) -> None:
        recorded = body_of(recordings, "operator/agent_GET_TASKS.json")["get_tasks"]
        theirs = next(entry for entry in recorded["launched_tasks"] if entry["name"] == "live-1")
        ours = (await call(ask, "GET_TASKS"))["launched_tasks"][0]
        assert list(ours) == list(theirs)
        assert list(ours["statuses"][0]) == list(theirs["statuses"][0])
        assert keys(ours["statuses"][0]["container_status"]) == keys(theirs["statuses"][0]["container_status"])

    with_agent(scenario, lively())


def test_containers_are_described_as_recorded_ones(recordings: Path) -> None:
    async def scenario(ask: Ask) -> None:
        theirs = body_of(recordings, "v0/agent_containers.json")[-1]
        ours = (await ask("/containers")).json()[-1]
        assert set(theirs) == set(ours)
        assert set(ours["statistics"]) - {
            "processes",
            "cpus_user_time_secs",
            "cpus_system_time_secs",
            "mem_rss_bytes",
        } <= set(theirs["statistics"])
        assert keys(ours["status"]) == keys(theirs["status"])

    with_agent(scenario, lively())


class FakeImages:
    """Says what it was asked to spare; the disk may say no."""

    def __init__(self, error: OSError | None = None) -> None:
        self.spared: list[list[str]] = []
        self._error = error

    async def prune(self, excluded: Iterable[mesos.Image]) -> None:
        if self._error is not None:
            raise self._error
        self.spared.append([image.docker.name for image in excluded if image.docker is not None])


def test_an_operator_prunes_images_and_gets_an_empty_answer() -> None:
    images = FakeImages()
    spared = {"excluded_images": [{"type": "DOCKER", "docker": {"name": "alpine:3"}}]}

    async def scenario(ask: Ask) -> None:
        for fields in ({"prune_images": spared}, {}):
            body = json.dumps({"type": "PRUNE_IMAGES", **fields}).encode()
            answer = await ask("/api/v1", body, **JSON)
            assert (answer.status, answer.body) == (200, b"")

    with_agent(scenario, lively(), images)
    with_agent(scenario, lively())
    assert images.spared == [["alpine:3"], []]


def test_images_that_cannot_be_pruned_are_an_error_of_the_agent() -> None:
    async def scenario(ask: Ask) -> None:
        answer = await ask("/api/v1", b'{"type": "PRUNE_IMAGES"}', **JSON)
        assert (answer.status, answer.body) == (500, b"Failed to prune images: the disk is gone")

    with_agent(scenario, lively(), FakeImages(OSError("the disk is gone")))
