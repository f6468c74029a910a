"""The Docker containerizer, with an Engine that hangs, refuses, or talks nonsense."""

from __future__ import annotations

import asyncio
import base64
import json
import tempfile
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any, TypeVar

import pytest
from aiohttp import web

from merismos.containers.docker.breaker import FAILURES_MAX, Breaker
from merismos.containers.docker.client import Engine, EngineDown, EngineError
from merismos.containers.docker.containerizer import DockerContainerizer, DockerSetup
from merismos.containers.images.credentials import Login
from merismos.core.agent import effects, events
from merismos.core.containers.docker_plan import (
    LABEL_CONTAINER,
    LABEL_SANDBOX,
    LABEL_WORK_DIR,
    DockerCreate,
    DockerExec,
)
from merismos.core.kernel import Event
from unit.containers.docker.fake_engine import Answer, FakeEngine, fake_engine, hang, no_such_container, say

E = TypeVar("E", bound=Event)
LIMIT_S = 30.0
LABELS = {LABEL_WORK_DIR: "/w", LABEL_CONTAINER: "c"}


def inspected(status: str = "running", **state: Any) -> dict[str, Any]:  # noqa: ANN401 - fields of State
    return {
        "State": {"Status": status, "Running": status == "running", "Pid": 42, **state},
        "Config": {"Labels": LABELS},
        "HostConfig": {"Memory": 32 << 20},
        "NetworkSettings": {"Networks": {"bridge": {"IPAddress": "172.17.0.2"}}},
    }


class Agent:
    """A containerizer whose events a test reads."""

    def __init__(self, engine: FakeEngine, folder: Path, **setup: Any) -> None:  # noqa: ANN401 - of DockerSetup
        self.sandbox = folder
        self.heard: list[Event] = []
        self._more = asyncio.Event()
        given = DockerSetup(
            **{
                "socket": engine.socket, "work_dir": "/w", "records": folder / "records", "timeout_s": 0.2,
                "stall_s": 0.5, "remove_delay_s": 3600.0, "logins": {}, **setup,
            }
        )  # fmt: skip
        self.docker = DockerContainerizer(self._take, given)

    def _take(self, event: Event) -> None:
        self.heard.append(event)
        self._more.set()

    async def next(self, kind: type[E]) -> E:
        async with asyncio.timeout(LIMIT_S):
            while not (found := [one for one in self.heard if isinstance(one, kind)]):
                self._more.clear()
                await self._more.wait()
        self.heard.remove(found[0])
        return found[0]

    def launch(self, image: str = "web:1", **fields: Any) -> None:  # noqa: ANN401 - of DockerCreate
        plan = DockerCreate(
            **{"name": "mesos-c", "image": image, "force_pull": False, "body": {"Image": image}, **fields}
        )
        self.docker.launch(effects.LaunchContainer("c", str(self.sandbox), [], "", [], None, docker=plan))

    def signal(self, number: int, container_id: str = "c") -> None:
        assert self.docker.owns(container_id)
        self.docker.signal(effects.SignalContainer(container_id, number))


@asynccontextmanager
async def agent_with(answers: dict[str, Answer] | None = None, **setup: Any) -> AsyncIterator[tuple[Agent, FakeEngine]]:  # noqa: ANN401 - of DockerSetup
    with tempfile.TemporaryDirectory(prefix="mfe") as folder:  # a socket's path must be short
        async with fake_engine(Path(folder, "s")) as engine:
            engine.answers |= {"GET /containers/json": say([]), "GET /containers/mesos-c/json": say(inspected())}
            engine.answers |= answers or {}
            agent = Agent(engine, Path(folder), **setup)
            agent.docker.start()
            try:
                yield agent, engine
            finally:
                await agent.docker.close(end=False)


async def eventually(true: Callable[[], bool]) -> None:
    async with asyncio.timeout(LIMIT_S):
        while not true():
            await asyncio.sleep(0)


def test_the_breaker_opens_after_so_many_failures_in_a_row_and_the_first_answer_closes_it() -> None:
    told: list[str | None] = []
    breaker = Breaker(told.append)
    for _ in range(FAILURES_MAX - 1):
        breaker.on_failure("slow")
    breaker.on_answer()
    for _ in range(FAILURES_MAX):
        assert breaker.why is None
        breaker.on_failure("slow")
    assert (breaker.why, told, breaker.opened) == ("slow", ["slow"], 1)
    breaker.on_failure("slower")
    breaker.on_answer()
    assert (breaker.why, told) == (None, ["slow", None])


@pytest.mark.parametrize(
    ("answer", "why"),
    [
        (hang, "no answer within 0.1 s to GET /x"),
        (say("<html>no engine</html>"), "something else than its API says"),
        (say([]), "something else than its API says"),
    ],
)
def test_an_engine_that_hangs_or_talks_nonsense_is_down_and_soon_nobody_waits_for_it(answer: Answer, why: str) -> None:
    async def scenario(folder: str) -> None:
        async with fake_engine(Path(folder, "s")) as fake:
            fake.answers["GET /x"] = answer
            engine = Engine(fake.socket, 0.1, lambda _: None)
            for _ in range(FAILURES_MAX):
                with pytest.raises(EngineDown, match=why):
                    await engine.ask("GET", "/x", kind=dict[str, str])
            asked = len(fake.asked)
            with pytest.raises(EngineDown, match=why):
                await engine.ask("GET", "/x", kind=dict[str, str])
            with pytest.raises(EngineDown, match=why):
                async with engine.stream("GET", "/x"):
                    pass
            assert len(fake.asked) == asked, "behind an open breaker nobody asks"
            await engine.ask("GET", "/_ping", is_probe=True)
            assert engine.breaker.why is None
            await engine.close()

    with tempfile.TemporaryDirectory(prefix="mfe") as folder:
        asyncio.run(scenario(folder))


def test_a_refusal_is_an_answer_in_the_engines_own_words() -> None:
    async def scenario(folder: str) -> None:
        async with fake_engine(Path(folder, "s")) as fake:
            fake.answers["GET /x"] = say({"message": "no such thing"}, 404)
            engine = Engine(fake.socket, 5.0, lambda _: None)
            for _ in range(FAILURES_MAX + 1):
                with pytest.raises(EngineError, match="no such thing"):
                    await engine.ask("GET", "/x")
            await engine.close()

    with tempfile.TemporaryDirectory(prefix="mfe") as folder:
        asyncio.run(scenario(folder))


def test_no_socket_at_all_is_an_engine_that_is_down() -> None:
    async def scenario() -> None:
        engine = Engine("/no/such/socket", 5.0, lambda _: None)
        with pytest.raises(EngineDown):
            await engine.ask("GET", "/_ping", is_probe=True)
        await engine.close()

    asyncio.run(scenario())


def test_a_launch_that_hangs_fails_and_what_it_may_have_made_is_removed() -> None:
    async def scenario() -> None:
        async with agent_with({"POST /containers/mesos-c/start": hang}, timeout_s=0.05) as (agent, engine):
            await agent.next(events.DockerRecovered)
            agent.launch()
            failed = await agent.next(events.ContainerLaunchFailed)
            assert "no answer within 0.3 s to POST /containers/mesos-c/start" in failed.message
            await eventually(lambda: bool(engine.heard("DELETE /containers/mesos-c")))
            assert not agent.docker.owns("c")

    asyncio.run(scenario())


def test_a_degraded_engine_is_counted_and_recovers() -> None:
    async def scenario() -> None:
        async with agent_with({"GET /_ping": hang}, timeout_s=0.05) as (agent, engine):
            await eventually(lambda: agent.docker.metrics()["containerizer/docker/degraded"] == 1.0)
            assert agent.docker.metrics()["containerizer/docker/call_timeouts"] >= FAILURES_MAX
            agent.launch()
            assert "no answer" in (await agent.next(events.ContainerLaunchFailed)).message
            engine.answers["GET /_ping"] = say("OK")
            await agent.next(events.DockerRecovered)
            assert agent.docker.metrics()["containerizer/docker/degraded"] == 0.0
            assert agent.docker.metrics()["containerizer/docker/degradations"] == 1.0

    asyncio.run(scenario())


def test_a_task_that_is_killed_while_its_image_is_pulled_is_not_started() -> None:
    async def scenario() -> None:
        missing = say({"message": "No such image"}, 404)
        async with agent_with({"GET /images": missing, "POST /images/create": hang}, stall_s=LIMIT_S) as (
            agent,
            engine,
        ):
            agent.launch()
            await eventually(lambda: bool(engine.heard("POST /images/create")))
            agent.signal(15)
            await agent.next(events.ContainerLaunchFailed)
            assert engine.heard("POST /containers/create") == []

    asyncio.run(scenario())


@pytest.mark.parametrize(
    ("image", "force_pull", "config", "query", "login"),
    [
        ("web", False, "", {"fromImage": "web", "tag": "latest"}, None),
        ("r.example:5000/a/web:2", True, "", {"fromImage": "r.example:5000/a/web", "tag": "2"}, ("us", "secret")),
        (
            "r.example:5000/a/web:2",
            True,
            "cm9vdDp0b29y",
            {"fromImage": "r.example:5000/a/web", "tag": "2"},
            ("root", "toor"),
        ),
    ],
)
def test_an_image_is_pulled_where_it_is_missing_or_always_with_the_login_of_its_registry(
    image: str, force_pull: bool, config: str, query: dict[str, str], login: tuple[str, str] | None
) -> None:
    async def scenario() -> None:
        logins = {"r.example:5000": Login("us", "secret")}
        answers = {} if force_pull else {"GET /images": say({"message": "No such image"}, 404)}
        async with agent_with(answers, logins=logins) as (agent, engine):
            if config:
                (agent.sandbox / ".docker").mkdir()
                auths = {"auths": {"r.example:5000": {"auth": config}}}
                (agent.sandbox / ".docker/config.json").write_text(json.dumps(auths))
            agent.launch(image, force_pull=force_pull)
            await agent.next(events.ContainerLaunched)
            [(_, asked, _, headers)] = engine.heard("POST /images/create")
            assert asked == query
            given = headers.get("X-Registry-Auth")
            if login is None:
                assert given is None
            else:
                assert given is not None
                entry = json.loads(base64.urlsafe_b64decode(given))
                assert (entry["username"], entry["password"]) == login

    asyncio.run(scenario())


def test_a_pull_that_ends_in_an_error_or_stalls_fails_the_launch() -> None:
    async def stall(request: web.Request) -> web.StreamResponse:
        stream = web.StreamResponse()
        await stream.prepare(request)
        await stream.write(b'{"status":"Pulling"}\n')
        return await hang(request)

    async def scenario(answer: Answer, why: str) -> None:
        async with agent_with({"POST /images/create": answer}) as (agent, _):
            agent.launch(force_pull=True)
            assert why in (await agent.next(events.ContainerLaunchFailed)).message

    error = say('{"status":"Pulling"}\n{"error":"manifest unknown"}\n')
    asyncio.run(scenario(error, "web:1 can't be pulled: manifest unknown"))
    asyncio.run(scenario(stall, "nothing came for 0.5 s"))


def test_an_end_is_told_once_with_its_code_and_what_it_took_too_much_of() -> None:
    async def scenario() -> None:
        async with agent_with() as (agent, engine):
            await agent.next(events.DockerRecovered)
            agent.launch()
            launched = await agent.next(events.ContainerLaunched)
            assert launched.ip == "172.17.0.2"
            assert json.loads(launched.data) == [inspected()], "as `docker inspect` prints it"
            engine.answers["GET /containers/mesos-c/json"] = say(inspected("exited", ExitCode=137, OOMKilled=True))
            died = {"Action": "die", "Actor": {"Attributes": {**LABELS, "exitCode": "137"}}}
            await engine.tell("nonsense")
            await engine.tell({**died, "Actor": {"Attributes": {**LABELS, LABEL_WORK_DIR: "/another"}}})
            await engine.tell(died)
            await engine.tell(died)
            limited = await agent.next(events.ContainerLimited)
            assert limited.limitation.reason == "REASON_CONTAINER_LIMITATION_MEMORY"
            assert (await agent.next(events.ContainerExited)).status == 137 << 8
            assert agent.heard == []

    asyncio.run(scenario())


def test_a_container_that_somebody_removed_ended_as_the_event_said() -> None:
    async def scenario() -> None:
        async with agent_with() as (agent, engine):
            await agent.next(events.DockerRecovered)
            agent.launch()
            await agent.next(events.ContainerLaunched)
            engine.answers["GET /containers/mesos-c/json"] = no_such_container("mesos-c")
            await engine.tell({"Action": "die", "Actor": {"Attributes": {**LABELS, "exitCode": "5"}}})
            assert (await agent.next(events.ContainerExited)).status == 5 << 8

    asyncio.run(scenario())


def test_a_kill_that_could_not_be_delivered_is_delivered_later() -> None:
    async def scenario() -> None:
        async with agent_with({"POST /containers/mesos-c/kill": hang}, timeout_s=0.05) as (agent, engine):
            await agent.next(events.DockerRecovered)
            agent.launch()
            await agent.next(events.ContainerLaunched)
            row = {"State": "running", "Labels": LABELS}
            engine.answers |= {"GET /containers/json": say([row]), "GET /_ping": hang}
            agent.signal(9)
            await eventually(lambda: agent.docker.metrics()["containerizer/docker/degraded"] == 1.0)
            engine.answers |= {"GET /_ping": say("OK"), "POST /containers/mesos-c/kill": say("")}
            before = len(engine.heard("POST /containers/mesos-c/kill"))
            await eventually(lambda: len(engine.heard("POST /containers/mesos-c/kill")) > before)
            assert engine.heard("POST /containers/mesos-c/kill")[-1][1] == {"signal": "9"}

    asyncio.run(scenario())


def test_what_an_earlier_agent_left_is_told_and_a_name_that_is_taken_is_its_container() -> None:
    async def scenario() -> None:
        row = {"State": "created", "Labels": LABELS}
        answers = {
            "GET /containers/json": say([row]),
            "GET /containers/mesos-c/json": say(inspected("created")),
            "POST /containers/create": say({"message": "the name is in use"}, 409),
        }
        async with agent_with(answers) as (agent, engine):
            [held] = (await agent.next(events.DockerRecovered)).containers
            assert (held.container_id, held.pid, held.status) == ("c", 0, None)
            engine.answers["GET /containers/mesos-c/json"] = say(inspected())
            agent.launch()
            assert (await agent.next(events.ContainerLaunched)).pid == 42
            assert engine.heard("POST /containers/mesos-c/start")

    asyncio.run(scenario())


def test_output_of_a_container_that_names_no_sandbox_is_asked_of_nobody_and_written_nowhere(tmp_path: Path) -> None:
    async def scenario() -> None:
        answers = {
            "GET /containers/json": say([{"State": "running", "Labels": LABELS}]),
            "GET /containers/mesos-c/json": say(inspected()),
            "POST /containers/mesos-c/exec": say({"Id": "e"}),
            "GET /exec/e/json": say({"ExitCode": 0}),
        }
        async with agent_with(answers, records=tmp_path) as (agent, engine):
            await agent.next(events.DockerRecovered)
            check = effects.LaunchContainer("run", "/", [], "", [], None, docker=DockerExec("c", {"Cmd": ["true"]}))
            agent.docker.launch(check)
            await agent.next(events.ContainerExited)
            assert not engine.heard("GET /containers/mesos-c/logs")

    asyncio.run(scenario())


def test_a_container_that_was_only_created_is_removed_where_nobody_wants_it() -> None:
    async def scenario() -> None:
        answers = {
            "GET /containers/json": say([{"State": "created", "Labels": {**LABELS, LABEL_SANDBOX: "/w/box"}}]),
            "GET /containers/mesos-c/json": say(inspected("created")),
        }
        async with agent_with(answers) as (agent, engine):
            await agent.next(events.DockerRecovered)
            agent.signal(9)
            await agent.next(events.ContainerLaunchFailed)
            await eventually(lambda: bool(engine.heard("DELETE /containers/mesos-c")))

    asyncio.run(scenario())


def test_a_check_in_a_container_tells_its_exit_code_and_that_it_could_not_be_asked_for() -> None:
    async def scenario() -> None:
        plan = DockerExec("c", {"Cmd": ["true"]})
        check = effects.LaunchContainer("run", "/", [], "", [], None, docker=plan)
        answers = {"POST /containers/mesos-c/exec": say({"Id": "e"}), "GET /exec/e/json": say({"ExitCode": 3})}
        async with agent_with(answers, timeout_s=0.05) as (agent, engine):
            await agent.next(events.DockerRecovered)
            agent.docker.launch(check)
            assert (await agent.next(events.ContainerExited)).status == 3 << 8
            engine.answers["POST /containers/mesos-c/exec"] = say({"message": "it is paused"}, 409)
            agent.docker.launch(check)
            assert not (await agent.next(events.ContainerLaunchFailed)).unasked
            engine.answers["POST /containers/mesos-c/exec"] = hang
            agent.docker.launch(check)
            assert (await agent.next(events.ContainerLaunchFailed)).unasked

    asyncio.run(scenario())


def test_a_container_is_removed_after_the_delay_and_no_earlier() -> None:
    async def scenario() -> None:
        for delay_s, removed in ((0.0, True), (3600.0, False)):
            async with agent_with(remove_delay_s=delay_s) as (agent, engine):
                await agent.next(events.DockerRecovered)
                agent.launch()
                await agent.next(events.ContainerLaunched)
                agent.docker.collect(effects.CollectContainer("c"))
                await engine.tell({})
                if removed:
                    await eventually(lambda engine=engine: bool(engine.heard("DELETE /containers/mesos-c")))  # type: ignore[misc]
                assert bool(engine.heard("DELETE /containers/mesos-c")) == removed

    asyncio.run(scenario())


def test_an_end_that_could_not_be_looked_at_and_a_kill_that_was_refused_are_tried_again() -> None:
    async def scenario() -> None:
        async with agent_with({"POST /containers/mesos-c/kill": say({"message": "busy"}, 500)}) as (agent, engine):
            await agent.next(events.DockerRecovered)
            agent.launch()
            await agent.next(events.ContainerLaunched)
            engine.answers["GET /containers/json"] = say([{"State": "running", "Labels": LABELS}])
            agent.signal(15)
            await eventually(lambda: len(engine.heard("POST /containers/mesos-c/kill")) > 1)
            engine.answers["GET /containers/mesos-c/json"] = hang
            await engine.tell({"Action": "die", "Actor": {"Attributes": LABELS}})
            engine.answers["GET /containers/json"] = say([{"State": "exited", "Labels": LABELS}])
            await eventually(lambda: agent.docker.metrics()["containerizer/docker/call_timeouts"] > 0)
            engine.answers["GET /containers/mesos-c/json"] = say(inspected("exited", ExitCode=1))
            assert (await agent.next(events.ContainerExited)).status == 1 << 8

    asyncio.run(scenario())
