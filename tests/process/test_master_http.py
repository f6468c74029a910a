"""A real master process: how it starts and ends, and what the slow lane answers."""

from __future__ import annotations

import gzip
import http.client
import json
import signal
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from merismos.daemons import master as daemon

pytestmark = pytest.mark.process

COMMAND = [sys.executable, "-m", "merismos.daemons.master"]


class Master:
    def __init__(self, *arguments: str) -> None:
        self.process = subprocess.Popen([*COMMAND, "--ip=127.0.0.1", "--port=0", *arguments], stdout=subprocess.PIPE)
        assert self.process.stdout is not None
        line = self.process.stdout.readline()
        self.announced = json.loads(line) if line else {}
        self.port = self.announced.get("port", 0)

    def get(
        self, path: str, method: str = "GET", body: bytes | None = None, **headers: str
    ) -> tuple[int, dict[str, str], bytes]:
        connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=5)
        try:
            connection.request(method, path, body, {name.replace("_", "-"): value for name, value in headers.items()})
            response = connection.getresponse()
            return response.status, {name.lower(): value for name, value in response.getheaders()}, response.read()
        finally:
            connection.close()

    def call(self, body: str, **headers: str) -> tuple[int, dict[str, str], bytes]:
        return self.get("/api/v1", "POST", body.encode(), **{"Content_Type": "application/json", **headers})

    def stop(self, number: int = signal.SIGTERM) -> int:
        self.process.send_signal(number)
        try:
            return self.process.wait(10)
        finally:
            self.process.kill()
            assert self.process.stdout is not None
            self.process.stdout.close()


@pytest.fixture(scope="module")
def master(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Master]:
    folder = tmp_path_factory.mktemp("master")
    running = Master(f"--work_dir={folder}", f"--log_dir={folder}/log", "--cluster=c", "--weights=ads=2.5")
    yield running
    assert running.stop() == 0


@pytest.fixture
def start() -> Iterator[Callable[..., Master]]:
    """Start masters that are gone when the test is over, however it ends."""
    started: list[Master] = []

    def one(*arguments: str) -> Master:
        started.append(Master(*arguments))
        return started[-1]

    yield one
    for running in started:
        if running.process.poll() is None:
            running.stop(signal.SIGKILL)


def refused(*arguments: str, python: tuple[str, ...] = ()) -> tuple[int, str]:
    run = subprocess.run(
        [sys.executable, *python, *COMMAND[1:], *arguments], capture_output=True, timeout=20, text=True, check=False
    )
    return run.returncode, run.stderr


def test_it_says_where_it_listens_on_one_line_and_in_the_port_file(
    start: Callable[..., Master], tmp_path: Path
) -> None:
    running = start("--registry=in_memory", f"--port_file={tmp_path}/port")
    assert running.announced["url"] == f"http://127.0.0.1:{running.port}"
    assert running.announced["pid"] == running.process.pid
    assert (tmp_path / "port").read_text() == f"{running.port}\n"
    assert running.stop(signal.SIGINT) == 0


def test_each_start_is_a_new_master_of_a_higher_epoch(start: Callable[..., Master], tmp_path: Path) -> None:
    ids = []
    for _ in range(2):
        running = start(f"--work_dir={tmp_path}/new/deep")
        ids.append(json.loads(running.get("/state")[2])["id"])
        assert running.stop() == 0
    assert ids[0] != ids[1]


def test_a_second_master_on_the_same_work_dir_says_so_and_exits(start: Callable[..., Master], tmp_path: Path) -> None:
    running = start(f"--work_dir={tmp_path}")
    code, said = refused("--ip=127.0.0.1", "--port=0", f"--work_dir={tmp_path}")
    assert code == 1
    assert "another master runs with this work_dir" in said
    assert running.get("/health")[0] == 200
    assert running.stop() == 0


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["--work_dri=/x"], "the nearest is --work_dir"),
        (["--port=0"], "--work_dir=PATH is needed"),
        (["--zk=zk://h"], "names no path"),
        (["--zk=zk://h/p", "--registry=sqlite"], "leave --registry out"),
        (["--zk=zk://h/p", "--zk_session_timeout=999ms"], "at least 1secs"),
        (["--registry=in_memory", "--port=70000"], "a port is a number"),
        (["--registry=in_memory", "--weights=ads"], "is no weight"),
        (["--registry=in_memory", "--logging_level=LOUD"], "--logging_level=LOUD: take one of INFO"),
    ],
)
def test_flags_that_can_not_be_are_refused_with_what_to_change(
    arguments: list[str], words: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert daemon.main(arguments) == 64
    assert words in capsys.readouterr().err


def test_an_address_that_can_not_be_had_is_told_without_a_traceback() -> None:
    code, said = refused("--registry=in_memory", "--ip=203.0.113.1", "--port=0")
    assert (code, "203.0.113.1" in said, "Traceback" in said) == (1, True, False), said


def test_it_refuses_to_run_without_assertions() -> None:
    code, said = refused("--registry=in_memory", python=("-O",))
    assert code == 1
    assert "assertions guard" in said


def test_help_and_version_print_and_exit(capsys: pytest.CaptureFixture[str]) -> None:
    for flag, words in (("--help", "--agent_ping_timeout=DURATION"), ("--version", "merismos ")):
        assert daemon.main([flag]) == 0
        assert words in capsys.readouterr().out


@pytest.mark.parametrize(
    "path",
    ["/state", "/master/state", "/state/", "/state-summary", "/slaves", "/frameworks", "/tasks", "/roles", "/flags", "/version", "/metrics/snapshot",
     "/weights", "/system/stats.json", "/files/debug", "/master/maintenance/schedule", "/quota"],
)  # fmt: skip
def test_every_read_is_json_of_its_length(master: Master, path: str) -> None:
    status, headers, body = master.get(path)
    assert (status, headers["content-type"]) == (200, "application/json")
    assert "server" not in headers
    json.loads(body)


def test_a_read_may_be_a_call_of_a_script_and_compressed(master: Master) -> None:
    plain = json.loads(master.get("/state")[2])
    status, headers, body = master.get("/state?jsonp=cb")
    assert (status, headers["content-type"], body[:3], body[-1:]) == (200, "text/javascript", b"cb(", b")")
    assert json.loads(body[3:-1]) == plain
    status, headers, body = master.get("/state", Accept_Encoding="gzip, deflate")
    assert headers["content-encoding"] == "gzip"
    assert json.loads(gzip.decompress(body)) == plain
    assert master.get("/state?jsonp=%3Cscript%3E")[0] == 400


def test_a_head_request_gets_the_headers_only(master: Master) -> None:
    status, headers, body = master.get("/version", "HEAD")
    assert (status, body) == (200, b"")
    assert int(headers["content-length"]) > 0


def test_health_redirect_and_unknown_paths_are_as_in_mesos(master: Master) -> None:
    status, headers, body = master.get("/health")
    assert (status, body, "content-type" in headers) == (200, b"", False)
    status, headers, _ = master.get("/redirect")
    assert (status, headers["location"]) == (307, f"//localhost:{master.port}")
    assert master.get("/nope")[::2] == (404, b"404 Not Found.")
    assert master.get("/master/state.json")[0] == 404
    assert master.get("/teardown")[0] == 405


def test_the_log_can_be_read_under_its_virtual_path_and_nothing_beside_it(master: Master) -> None:
    entry = json.loads(master.get("/files/read?path=/master/log&offset=0&length=10000")[2])
    assert entry["offset"] == 0
    assert "leading" in entry["data"]
    assert json.loads(master.get("/files/read?path=/master/log")[2])["data"] == ""
    assert b"leading" in master.get("/files/download?path=/master/log")[2]
    for path in ("/master/log/../../../etc/passwd", "/etc/passwd", "/master/log%00"):
        assert master.get(f"/files/read?path={path}&offset=0")[0] == 404
    assert master.get("/files/read?path=/master/log&offset=abc")[::2] == (
        400,
        b"Failed to parse offset: Failed to convert 'abc' to number.\n",
    )


def test_metrics_come_in_prometheus_form_too(master: Master) -> None:
    status, headers, body = master.get("/metrics")
    assert (status, headers["content-type"]) == (200, "text/plain; version=0.0.4; charset=utf-8")
    assert b"merismos_system_cpus_total " in body
    snapshot = json.loads(master.get("/metrics/snapshot")[2])
    assert snapshot["master/elected"] == 1
    assert snapshot["system/cpus_total"] >= 1


def test_operator_reads_say_the_same_in_json_and_protobuf(master: Master) -> None:
    from merismos.protocol import json as protocol_json
    from merismos.protocol import protobuf
    from merismos.protocol.v1 import master as operator

    for name in (
        "GET_HEALTH",
        "GET_FLAGS",
        "GET_VERSION",
        "GET_STATE",
        "GET_AGENTS",
        "GET_FRAMEWORKS",
        "GET_TASKS",
        "GET_ROLES",
        "GET_WEIGHTS",
        "GET_MASTER",
    ):
        status, headers, as_json = master.call(f'{{"type":"{name}"}}')
        assert (status, headers["content-type"]) == (200, "application/json")
        status, headers, as_protobuf = master.call(f'{{"type":"{name}"}}', Accept="application/x-protobuf")
        assert (status, headers["content-type"]) == (200, "application/x-protobuf")
        assert protobuf.decode(operator.Response, as_protobuf) == protocol_json.decode(operator.Response, as_json)


def test_a_protobuf_call_is_understood(master: Master) -> None:
    from merismos.protocol import protobuf
    from merismos.protocol.v1 import master as operator

    body = protobuf.encode(operator.Call(type=operator.Call_Type.GET_HEALTH))
    status, _, answer = master.get("/api/v1", "POST", body, Content_Type="application/x-protobuf")
    assert (status, answer) == (200, b'{"type":"GET_HEALTH","get_health":{"healthy":true}}')


def test_changes_reach_the_core_by_both_apis(master: Master) -> None:
    for status, body in (
        master.get("/weights", "PUT", b'[{"role":"w2","weight":4.0}]')[::2],
        master.call('{"type":"UPDATE_WEIGHTS","update_weights":{"weight_infos":[{"role":"w3","weight":5}]}}')[::2],
    ):
        assert (status, body) == (200, b"")
    weights = {one["role"]: one["weight"] for one in json.loads(master.get("/weights")[2])}
    assert weights == {"ads": 2.5, "w2": 4.0, "w3": 5.0}
    assert master.get("/teardown", "POST", b"")[::2] == (
        400,
        b"Missing 'frameworkId' query parameter in the request body",
    )
    assert master.get("/teardown", "POST", b"frameworkId=x")[::2] == (400, b"No framework found with specified ID")
    assert master.get("/weights", "PUT", b'[{"role":"w2"}]')[::2] == (
        400,
        b'Failed to convert weights JSON array to protobuf \'[{"role":"w2"}]\': Missing required fields: weight',
    )


def test_quota_is_set_and_removed_by_the_older_endpoint_as_recorded(master: Master) -> None:
    ask = b'{"role":"v0/q","force":true,"guarantee":[{"name":"cpus","type":"SCALAR","scalar":{"value":0.5}}]}'
    assert master.get("/quota", "POST", ask)[::2] == (
        400,
        (
            b"Failed to validate set quota request: Invalid quota configuration. Parent role 'v0' with guarantees () does"
            b" not contain the sum of its children's guarantees (cpus:0.5)"
        ),
    )
    assert master.get("/quota", "POST", ask.replace(b"v0/q", b"v0q"))[::2] == (200, b"")
    shown = master.get("/quota")[2]
    assert shown == (
        b'{"infos":[{"role":"v0q","guarantee":[{"name":"cpus","type":"SCALAR","scalar":{"value":0.5}}]}],'
        b'"configs":[{"role":"v0q","guarantees":{"cpus":{"value":0.5}},"limits":{"cpus":{"value":0.5}}}]}'
    )
    called = json.loads(master.call('{"type":"GET_QUOTA"}')[2])
    assert called == {"type": "GET_QUOTA", "get_quota": {"status": json.loads(shown)}}
    assert master.get("/quota", "PUT", ask)[0] == 405
    assert master.get("/quota/v0q", "DELETE")[::2] == (200, b"")
    assert master.get("/quota/v0q", "DELETE")[::2] == (
        400,
        b"Failed to remove quota for path '/master/quota/v0q': Role 'v0q' has no quota set",
    )
    assert master.get("/quota", "POST", b"{}")[::2] == (
        400,
        b"Failed to validate set quota request: QuotaInfo with invalid role: Role names cannot be the empty string",
    )


@pytest.mark.parametrize("accept", ["application/json", "application/x-protobuf"])
def test_an_operators_stream_begins_with_the_whole_state_and_a_heartbeat(master: Master, accept: str) -> None:
    from merismos.protocol import json as protocol_json
    from merismos.protocol import protobuf
    from merismos.protocol.v1 import master as operator

    connection = http.client.HTTPConnection("127.0.0.1", master.port, timeout=5)
    connection.request(
        "POST", "/api/v1", b'{"type":"SUBSCRIBE"}', {"Content-Type": "application/json", "Accept": accept}
    )
    response = connection.getresponse()
    assert (response.status, response.headers["Content-Type"], response.headers["Mesos-Stream-Id"]) == (
        200,
        accept,
        None,
    )
    decode = protocol_json.decode if accept == "application/json" else protobuf.decode
    found = [decode(operator.Event, response.read(int(response.readline()))) for _ in range(2)]
    assert [event.type.value for event in found if event.type] == ["SUBSCRIBED", "HEARTBEAT"]
    assert found[0].subscribed is not None
    assert found[0].subscribed.heartbeat_interval_seconds == 15.0
    response.close()
    connection.close()


def test_a_thousand_idle_connections_leave_room_for_more(master: Master) -> None:
    import resource
    import socket

    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (min(hard, max(soft, 4096)), hard))
    idle = [socket.create_connection(("127.0.0.1", master.port)) for _ in range(1000)]
    try:
        assert master.get("/health")[0] == 200
    finally:
        for connection in idle:
            connection.close()
        resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))
