"""From a TaskInfo of type DOCKER to a request of the Docker Engine API, a row for each thing that can be asked for."""

from __future__ import annotations

import json
from typing import Any

import pytest

from merismos.core.containers.cni_format import Dns
from merismos.core.containers.docker_parameters import apply_parameter, parse_bytes
from merismos.core.containers.docker_plan import DockerCreate, DockerSettings, plan_create, plan_exec, validate_docker
from merismos.core.containers.network_plan import DnsDefaults
from merismos.model.rejection import Rejection
from merismos.protocol.json import decode
from merismos.protocol.v1 import mesos

PORTS = {"name": "ports", "type": "RANGES", "ranges": {"range": [{"begin": 31000, "end": 31009}]}}


def task_of(docker: dict[str, Any] | None = None, **fields: Any) -> mesos.TaskInfo:  # noqa: ANN401 - fields of TaskInfo
    container = {"type": "DOCKER", "docker": {"image": "web:1", **(docker or {})}, **fields.pop("container", {})}
    amounts = [
        {"name": name, "type": "SCALAR", "scalar": {"value": value}} for name, value in (("cpus", 0.5), ("mem", 64))
    ]
    return decode(
        mesos.TaskInfo,
        json.dumps(
            {
                "name": "t", "task_id": {"value": "t"}, "agent_id": {"value": "S0"}, "container": container,
                "resources": [*amounts, PORTS], "command": {"shell": False}, **fields,
            }
        ).encode(),
    )  # fmt: skip


def planned(info: mesos.TaskInfo, directory: str = "/w/box", **settings: Any) -> dict[str, Any]:  # noqa: ANN401 - of DockerSettings
    plan = plan_create(DockerSettings(work_dir="/w", **settings), info, "id", directory, ["A=1"])
    assert isinstance(plan, DockerCreate), plan
    assert plan.name == "mesos-id"
    return plan.body


def refused(info: mesos.TaskInfo) -> str:
    rejection = validate_docker(DockerSettings(work_dir="/w"), info)
    assert rejection is not None
    return rejection.message


@pytest.mark.parametrize(
    ("command", "words"),
    [
        ({"shell": False}, {}),
        ({"shell": False, "arguments": ["a", "b"]}, {"Cmd": ["a", "b"]}),
        ({"shell": False, "value": "x", "arguments": ["a"]}, {"Cmd": ["x", "a"]}),
        ({"value": "x | y"}, {"Entrypoint": ["/bin/sh"], "Cmd": ["-c", "x | y"]}),
    ],
)
def test_a_shell_line_replaces_the_entrypoint_and_words_are_its_arguments(
    command: dict[str, Any], words: dict[str, Any]
) -> None:
    body = planned(task_of(command=command))
    assert {key: body[key] for key in ("Entrypoint", "Cmd") if key in body} == words


def test_the_environment_is_the_agents_then_the_options_then_the_commands() -> None:
    variables = {"shell": False, "environment": {"variables": [{"name": "B", "value": "2"}]}}
    parameters = [{"key": "env", "value": "C=3"}]
    assert planned(task_of({"parameters": parameters}, command=variables))["Env"] == [
        "A=1", "MESOS_SANDBOX=/mnt/mesos/sandbox", "MESOS_CONTAINER_NAME=mesos-id", "C=3", "B=2",
    ]  # fmt: skip


@pytest.mark.parametrize(
    ("settings", "limits", "expected"),
    [
        ({}, {}, {"CpuShares": 512, "Memory": 64 << 20}),
        ({"enable_cfs": True}, {}, {"CpuShares": 512, "CpuPeriod": 100_000, "CpuQuota": 50_000, "Memory": 64 << 20}),
        (
            {},
            {"cpus": {"value": 2}, "mem": {"value": 128}},
            {
                "CpuShares": 512, "CpuPeriod": 100_000, "CpuQuota": 200_000, "Memory": 128 << 20,
                "MemoryReservation": 64 << 20,
            },
        ),
        (
            {"enable_cfs": True},
            {"cpus": {"value": "Infinity"}, "mem": {"value": "Infinity"}},
            {"CpuShares": 512, "MemoryReservation": 64 << 20},
        ),
    ],
)  # fmt: skip
def test_requests_are_shares_and_limits_are_limits(
    settings: dict[str, Any], limits: dict[str, Any], expected: dict[str, int]
) -> None:
    host = planned(task_of(limits=limits), **settings)["HostConfig"]
    assert {key: value for key, value in host.items() if key.startswith(("Cpu", "Memory"))} == expected


@pytest.mark.parametrize(
    ("volume", "bind"),
    [
        ({"host_path": "/data", "container_path": "/in", "mode": "RW"}, "/data:/in:rw"),
        ({"host_path": "/data", "container_path": "in", "mode": "RO"}, "/data:/mnt/mesos/sandbox/in:ro"),
        ({"host_path": "mine", "container_path": "/in", "mode": "RW"}, "/w/box/mine:/in:rw"),
        (
            {
                "container_path": "/in",
                "mode": "RW",
                "source": {"type": "SANDBOX_PATH", "sandbox_path": {"type": "SELF", "path": "mine"}},
            },
            "/w/box/mine:/in:rw",
        ),
        (
            {
                "container_path": "/in",
                "mode": "RW",
                "source": {"type": "DOCKER_VOLUME", "docker_volume": {"name": "v", "driver": "d"}},
            },
            "v:/in:rw",
        ),
        (
            {
                "container_path": "/in",
                "mode": "RO",
                "source": {
                    "type": "HOST_PATH",
                    "host_path": {"path": "/data", "mount_propagation": {"mode": "HOST_TO_CONTAINER"}},
                },
            },
            "/data:/in:ro,rslave",
        ),
    ],
)
def test_a_volume_is_a_bind(volume: dict[str, Any], bind: str) -> None:
    assert planned(task_of(container={"volumes": [volume]}))["HostConfig"]["Binds"] == [bind]


def test_the_sandbox_is_mounted_even_where_its_path_has_a_colon() -> None:
    [sandbox] = planned(task_of(), directory="/w/a:b")["HostConfig"]["Mounts"]
    assert sandbox == {"Type": "bind", "Source": "/w/a:b", "Target": "/mnt/mesos/sandbox"}


@pytest.mark.parametrize(
    ("docker", "container", "why"),
    [
        ({"image": "NOT AN IMAGE"}, {}, "can't be the name of an image"),
        ({"network": "HOST"}, {"hostname": "h"}, "Unable to set hostname with host network mode"),
        ({"network": "USER"}, {}, "No network name found in network info"),
        ({"network": "USER"}, {"network_infos": [{"name": "a"}, {"name": "b"}]}, "Only a single network"),
        ({"port_mappings": [{"host_port": 31000, "container_port": 80}]}, {}, "Port mappings are only supported for"),
        (
            {"network": "BRIDGE", "port_mappings": [{"host_port": 80, "container_port": 80}]},
            {},
            "Port [80] not included in resources",
        ),
        (
            {"network": "BRIDGE", "port_mappings": [{"host_port": 31000, "container_port": 80, "protocol": "icmp"}]},
            {},
            "Protocol 'icmp'",
        ),
        ({}, {"volumes": [{"host_path": "a", "container_path": "b", "mode": "RW"}]}, "are relative"),
        ({}, {"volumes": [{"host_path": "../a", "container_path": "/b", "mode": "RW"}]}, "leaves the sandbox"),
        ({}, {"volumes": [{"container_path": "/b", "mode": "RW"}]}, "has no source"),
        ({"parameters": [{"key": "frobnicate", "value": "1"}]}, {}, "'frobnicate' is not supported"),
        ({"parameters": [{"key": "name", "value": "mine"}]}, {}, "the agent names its containers"),
        ({"parameters": [{"key": "ulimit", "value": "nofile=many"}]}, {}, "can't be read"),
        ({"parameters": [{"key": "publish", "value": "80:80"}]}, {}, "give docker.port_mappings"),
    ],
)
def test_what_can_not_be_had_is_refused_with_a_sentence(
    docker: dict[str, Any], container: dict[str, Any], why: str
) -> None:
    assert why in refused(task_of(docker, container=container))


def test_a_shell_without_a_line_is_refused() -> None:
    assert refused(task_of(command={"shell": True})) == "Shell specified but no command value provided"


@pytest.mark.parametrize(
    ("key", "value", "where", "expected"),
    [
        ("cap-add", "NET_ADMIN", "CapAdd", ["NET_ADMIN"]),
        ("device", "/dev/fuse", "Devices", [
            {"PathOnHost": "/dev/fuse", "PathInContainer": "/dev/fuse", "CgroupPermissions": "rwm"}
        ]),
        ("device", "/dev/a:/dev/b:r", "Devices", [
            {"PathOnHost": "/dev/a", "PathInContainer": "/dev/b", "CgroupPermissions": "r"}
        ]),
        ("ulimit", "nofile=10:20", "Ulimits", [{"Name": "nofile", "Soft": 10, "Hard": 20}]),
        ("memory-swap", "-1", "MemorySwap", -1),
        ("shm-size", "1g", "ShmSize", 1 << 30),
        ("sysctl", "net.core.somaxconn=9", "Sysctls", {"net.core.somaxconn": "9"}),
        ("log-driver", "none", "LogConfig", {"Type": "none"}),
        ("log-opt", "max-size=1m", "LogConfig", {"Type": "json-file", "Config": {"max-size": "1m"}}),
        ("cpus", "1.5", "NanoCpus", 1_500_000_000),
        ("init", "true", "Init", True),
        ("v", "/a:/b", "Binds", ["/a:/b"]),
    ],
)  # fmt: skip
def test_an_option_of_docker_run_goes_where_it_belongs(key: str, value: str, where: str, expected: object) -> None:
    body = planned(task_of({"parameters": [{"key": key, "value": value}]}))
    assert body["HostConfig"][where] == expected


def test_options_can_not_take_the_labels_by_which_containers_are_found_again() -> None:
    label = {"key": "label", "value": "org.merismos.work_dir=/other"}
    assert planned(task_of({"parameters": [label]}))["Labels"]["org.merismos.work_dir"] == "/w"


def test_an_alias_needs_a_network_of_ones_own() -> None:
    alias = [{"key": "network-alias", "value": "db"}]
    assert "aliases need a network" in refused(task_of({"parameters": alias}))
    body = planned(task_of({"parameters": alias, "network": "USER"}, container={"network_infos": [{"name": "n"}]}))
    assert body["NetworkingConfig"] == {"EndpointsConfig": {"n": {"Aliases": ["db"]}}}


@pytest.mark.parametrize(("text", "amount"), [("5", 5), ("1k", 1024), ("1.5m", 3 << 19), ("2GB", 2 << 30)])
def test_amounts_of_memory_are_read_as_docker_reads_them(text: str, amount: int) -> None:
    assert parse_bytes(text) == amount


def test_a_value_that_can_not_be_read_is_refused_whatever_the_option() -> None:
    for key in ("memory", "cpu-shares", "cpus", "ulimit", "init", "env", "sysctl", "log-opt"):
        assert isinstance(apply_parameter({"HostConfig": {}, "Env": [], "Labels": {}}, key, "?"), Rejection), key


def test_a_check_runs_with_its_own_words_user_and_variables() -> None:
    command = mesos.CommandInfo(
        value="/bin/probe",
        shell=False,
        arguments=["probe", "-x"],
        user="web",
        environment=mesos.Environment(variables=[mesos.Environment_Variable(name="A", value="1")]),
    )
    body = plan_exec("id", command).body
    assert (body["Cmd"], body["Env"], body["User"]) == (["/bin/probe", "-x"], ["A=1"], "web")


def test_resolvers_of_the_flag_are_for_containers_that_name_none() -> None:
    settings = {"bridge_dns": Dns(["10.0.0.1"], search=["a.test"]), "user_dns": DnsDefaults({"own": Dns(["10.0.0.2"])})}

    def resolvers(docker: dict[str, Any], *networks: str) -> list[str] | None:
        infos = [{"name": name} for name in networks]
        host = planned(task_of(docker, container={"network_infos": infos}), **settings)["HostConfig"]
        found: list[str] | None = host.get("Dns")
        return found

    assert resolvers({"network": "BRIDGE"}) == ["10.0.0.1"]
    assert resolvers({"network": "USER"}, "own") == ["10.0.0.2"]
    assert resolvers({"network": "USER"}, "other") is None
    assert resolvers({"network": "HOST"}) is None
    assert resolvers({"network": "BRIDGE", "parameters": [{"key": "dns", "value": "10.0.0.9"}]}) == ["10.0.0.9"]
    assert resolvers({"network": "BRIDGE", "parameters": [{"key": "dns-search", "value": "b.test"}]}) is None
