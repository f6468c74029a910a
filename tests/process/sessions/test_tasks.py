"""FEATURES 1H, as far as command tasks go, as a sceptical user would check it: real processes in real sandboxes."""

from __future__ import annotations

import http.server
import io
import tarfile
import threading
import time
from collections.abc import Iterator
from pathlib import Path
from urllib.parse import quote

import pytest

from process.sessions.cluster import Cluster
from process.sessions.scheduler import Scheduler, ask, framework_info, get
from process.sessions.streams import Json

pytestmark = pytest.mark.process

NANOSECONDS = 1_000_000_000


def sandbox_of(cluster: Cluster, scheduler: Scheduler, task_id: str) -> Path:
    """Return a task's sandbox, as the agent's state names it."""
    state = get(cluster.agents[0].port, "/state")
    frameworks = [one for one in state["frameworks"] + state["completed_frameworks"] if one["id"] == scheduler.id]
    executors = [one for framework in frameworks for one in framework["executors"] + framework["completed_executors"]]
    return Path(next(one["directory"] for one in executors if one["id"] == task_id))


def run(cluster: Cluster, command: Json, state: str = "TASK_FINISHED") -> tuple[Path, Json]:
    """Run a task until it is in `state`; return its sandbox and its last status."""
    with Scheduler(cluster.port) as scheduler:
        offer = scheduler.offer()
        scheduler.launch(offer, scheduler.task("t", offer) | {"command": command})
        status = scheduler.update("t", state)
        return sandbox_of(cluster, scheduler, "t"), status


def stdout_of(sandbox: Path) -> list[str]:
    return (sandbox / "stdout").read_text(encoding="utf-8").splitlines()


# ---------------------------------------------------------------- H15


def test_h15_a_shell_command_sees_its_environment(cluster: Cluster) -> None:
    variables = [
        {"name": "FOO", "value": "b a r"},
        {"name": "EMPTY", "value": ""},
        {"name": "PATH", "value": "/bin:/usr/bin"},
    ]
    sandbox, _ = run(cluster, {"value": 'set; pwd; cd /; echo "$FOO"', "environment": {"variables": variables}})
    lines = stdout_of(sandbox)
    assert "FOO='b a r'" in lines
    assert "EMPTY=''" in lines
    assert lines[-2:] == [str(sandbox), "b a r"]
    named = {line.partition("=")[0]: line.partition("=")[2].strip("'") for line in lines if "=" in line}
    assert (named["MESOS_SANDBOX"], named["MESOS_DIRECTORY"]) == (str(sandbox), str(sandbox))
    assert named["MESOS_ALLOCATION_ROLE"] == "test"
    assert named["MESOS_SLAVE_ID"] == cluster.agents[0].id
    assert named["MESOS_EXECUTOR_ID"] == "t"
    assert {"MESOS_FRAMEWORK_ID", "MESOS_AGENT_ENDPOINT", "LIBPROCESS_IP", "LIBPROCESS_PORT"} <= set(named)
    assert named["PATH"] == "/bin:/usr/bin"


def test_h15_arguments_reach_the_command_as_they_are(cluster: Cluster) -> None:
    arguments = ["printf", "%s\\n", "a b", "$HOME", "*", "", "'\"\\"]
    sandbox, _ = run(cluster, {"shell": False, "value": "/usr/bin/printf", "arguments": arguments})
    assert stdout_of(sandbox) == arguments[2:]


def test_h15_a_command_without_slash_is_found_by_path_and_stderr_is_its_own_file(cluster: Cluster) -> None:
    sandbox, _ = run(cluster, {"shell": False, "value": "sh", "arguments": ["sh", "-c", "echo out; echo err >&2"]})
    assert stdout_of(sandbox) == ["out"]
    assert (sandbox / "stderr").read_text(encoding="utf-8") == "err\n"


@pytest.mark.parametrize(
    ("command", "state", "message"),
    [
        ("exit 0", "TASK_FINISHED", "Command exited with status 0"),
        ("exit 137", "TASK_FAILED", "Command exited with status 137"),
        ("kill -9 $$", "TASK_FAILED", "Command terminated with signal Killed"),
        ("kill -SEGV $$", "TASK_FAILED", "Command terminated with signal Segmentation fault"),
    ],
)
def test_h15_exit_statuses_and_signals_are_told_apart(cluster: Cluster, command: str, state: str, message: str) -> None:
    _, status = run(cluster, {"value": command}, state)
    assert status["message"].removesuffix(" (core dumped)") == message


# ---------------------------------------------------------------- H16


@pytest.fixture(scope="module")
def files(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[Path, str]]:
    """A folder with a script and an archive, and the URL that serves it."""
    folder = tmp_path_factory.mktemp("files")
    (folder / "hello.sh").write_text("#!/bin/sh\necho hello from $0\n", encoding="utf-8")
    with tarfile.open(folder / "tree.tar.gz", "w:gz") as archive:
        data = b"inside\n"
        entry = tarfile.TarInfo("tree/leaf")
        entry.size = len(data)
        archive.addfile(entry, io.BytesIO(data))

    class Quiet(http.server.SimpleHTTPRequestHandler):
        def __init__(self, *arguments: object) -> None:
            super().__init__(*arguments, directory=str(folder))  # type: ignore[arg-type]

        def log_message(self, *_: object) -> None:
            pass

    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Quiet)
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
    thread.start()
    yield folder, f"http://127.0.0.1:{server.server_address[1]}"
    server.shutdown()
    thread.join()
    server.server_close()


@pytest.mark.parametrize("scheme", ["file", "path", "http"])
def test_h16_an_executable_is_fetched_and_runs(cluster: Cluster, files: tuple[Path, str], scheme: str) -> None:
    folder, url = files
    start = {"file": f"file://{folder}", "path": str(folder), "http": url}[scheme]
    uris = [{"value": f"{start}/hello.sh", "executable": True}]
    sandbox, _ = run(cluster, {"value": "./hello.sh", "uris": uris})
    assert stdout_of(sandbox) == ["hello from ./hello.sh"]


def test_h16_archives_are_extracted_unless_told_not_to_and_files_are_named_as_asked(
    cluster: Cluster, files: tuple[Path, str]
) -> None:
    _, url = files
    uris = [
        {"value": f"{url}/tree.tar.gz"},
        {"value": f"{url}/tree.tar.gz", "extract": False, "output_file": "kept/as-is.tar.gz"},
        {"value": f"{url}/hello.sh", "output_file": "renamed"},
    ]
    sandbox, _ = run(cluster, {"value": "cat tree/leaf; test -x renamed || echo plain", "uris": uris})
    assert stdout_of(sandbox) == ["inside", "plain"]
    assert (sandbox / "kept" / "as-is.tar.gz").read_bytes() == (files[0] / "tree.tar.gz").read_bytes()


@pytest.mark.parametrize("name", ["missing", "../outside"])
def test_h16_what_cannot_be_fetched_fails_the_task_and_says_why(
    cluster: Cluster, files: tuple[Path, str], name: str
) -> None:
    uri = (
        {"value": f"{files[1]}/missing"}
        if name == "missing"
        else {"value": f"{files[1]}/hello.sh", "output_file": name}
    )
    _, status = run(cluster, {"value": "true", "uris": [uri]}, "TASK_FAILED")
    assert status["reason"] == "REASON_CONTAINER_LAUNCH_FAILED"
    assert status["source"] == "SOURCE_AGENT"
    assert status["message"].startswith("Failed to launch container: Failed to fetch all URIs for container '")
    assert ("404" if name == "missing" else name) in status["message"]


# ---------------------------------------------------------------- H17's layout, by the files API


def test_h17_a_sandbox_lies_where_mesos_puts_it_and_is_read_by_either_of_its_names(cluster: Cluster) -> None:
    with Scheduler(cluster.port) as scheduler:
        offer = scheduler.offer()
        scheduler.launch(offer, scheduler.task("s", offer, "echo hello"))
        status = scheduler.update("s", "TASK_FINISHED")
        sandbox = sandbox_of(cluster, scheduler, "s")
        agent = cluster.agents[0]
        container_id = status["container_status"]["container_id"]["value"]
        virtual = f"/frameworks/{scheduler.id}/executors/s/runs"
        assert sandbox == agent.work_dir / "slaves" / agent.id / f"{virtual[1:]}/{container_id}"
        assert (sandbox.parent / "latest").resolve() == sandbox
        for path in (str(sandbox), f"{virtual}/latest"):
            listed = ask(agent.port, "GET", f"/files/browse?path={quote(path)}")[2]
            assert b'"path":' in listed
            assert b"/stdout" in listed
            read = get(agent.port, f"/files/read?path={quote(path)}/stdout&offset=0")
            assert read == {"data": "hello\n", "offset": 0}


# ---------------------------------------------------------------- H20, H21


STUBBORN = "trap 'echo term' TERM; echo ready; while :; do sleep 0.02; done"


def _until_written(path: Path, text: str) -> None:
    deadline = time.monotonic() + 10.0
    while not path.exists() or text not in path.read_text(encoding="utf-8"):
        assert time.monotonic() < deadline, f"{path} never says {text}"


def test_h20_a_task_that_ignores_term_dies_at_the_end_of_its_grace_with_all_its_children(cluster: Cluster) -> None:
    with Scheduler(cluster.port, framework_info(capabilities=("MULTI_ROLE", "TASK_KILLING_STATE"))) as scheduler:
        offer = scheduler.offer()
        command = f'sh -c "{STUBBORN}" & echo $! > child; {STUBBORN}'
        policy = {"grace_period": {"nanoseconds": NANOSECONDS // 2}}
        scheduler.launch(offer, scheduler.task("stubborn", offer, command, kill_policy=policy))
        scheduler.update("stubborn", "TASK_RUNNING")
        sandbox = sandbox_of(cluster, scheduler, "stubborn")
        _until_written(sandbox / "stdout", "ready\nready\n")
        killed_at = time.monotonic()
        scheduler.kill("stubborn")
        scheduler.update("stubborn", "TASK_KILLING")
        status = scheduler.update("stubborn", "TASK_KILLED")
        assert 0.45 < time.monotonic() - killed_at < 5.0
        assert status["message"] == "Command terminated with signal Killed"
        assert stdout_of(sandbox).count("term") == 2, "the whole tree was asked first"
        _until_gone(int((sandbox / "child").read_text(encoding="utf-8")))


def test_h20_a_kill_brings_a_grace_of_its_own(cluster: Cluster) -> None:
    with Scheduler(cluster.port) as scheduler:
        offer = scheduler.offer()
        policy = {"grace_period": {"nanoseconds": 600 * NANOSECONDS}}
        scheduler.launch(offer, scheduler.task("patient", offer, STUBBORN, kill_policy=policy))
        scheduler.update("patient", "TASK_RUNNING")
        _until_written(sandbox_of(cluster, scheduler, "patient") / "stdout", "ready")
        scheduler.kill("patient", kill_policy={"grace_period": {"nanoseconds": NANOSECONDS // 10}})
        assert scheduler.update("patient", "TASK_KILLED")["message"] == "Command terminated with signal Killed"


def test_h20_a_task_is_killed_with_processes_that_left_its_session(cluster: Cluster) -> None:
    with Scheduler(cluster.port) as scheduler:
        offer = scheduler.offer()
        command = "setsid sh -c 'echo $$ > daemon; exec sleep 60' & echo ready; sleep 60"
        scheduler.launch(offer, scheduler.task("forks", offer, command))
        scheduler.update("forks", "TASK_RUNNING")
        sandbox = sandbox_of(cluster, scheduler, "forks")
        _until_written(sandbox / "daemon", "\n")
        scheduler.kill("forks")
        scheduler.update("forks", "TASK_KILLED")
        _until_gone(int((sandbox / "daemon").read_text(encoding="utf-8")))


def _until_gone(pid: int) -> None:
    deadline = time.monotonic() + 10.0
    status = Path(f"/proc/{pid}/stat")
    while status.exists() and status.read_text(encoding="utf-8").rpartition(")")[2].split()[0] != "Z":
        assert time.monotonic() < deadline, f"process {pid} still runs"


def test_h21_a_task_ends_when_its_time_is_over(cluster: Cluster) -> None:
    with Scheduler(cluster.port) as scheduler:
        offer = scheduler.offer()
        limit = {"max_completion_time": {"nanoseconds": NANOSECONDS // 4}}
        scheduler.launch(offer, scheduler.task("long", offer, "sleep 60", **limit))
        scheduler.update("long", "TASK_RUNNING")
        status = scheduler.update("long", "TASK_FAILED")
        assert status["reason"] == "REASON_MAX_COMPLETION_TIME_REACHED"
        assert status["message"] == "Command terminated with signal Terminated"
