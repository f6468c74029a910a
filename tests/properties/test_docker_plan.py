"""Whatever a framework asks of Docker is planned or refused, and never escapes the agent's own words."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from merismos.core.containers.docker_parameters import apply_parameter
from merismos.core.containers.docker_plan import (
    LABEL_WORK_DIR,
    DockerCreate,
    DockerSettings,
    plan_create,
    validate_docker,
)
from merismos.protocol.v1 import mesos

SETTINGS = DockerSettings(work_dir="/w")
OPTIONS = st.sampled_from(
    [
        "label",
        "env",
        "volume",
        "ulimit",
        "device",
        "memory",
        "cpus",
        "tmpfs",
        "expose",
        "log-opt",
        "network-alias",
        "name",
        "x",
    ]
)
TEXTS = st.text(alphabet="ab=:/.,0123456789-", max_size=12)
VOLUMES = st.builds(
    mesos.Volume,
    mode=st.sampled_from(list(mesos.Volume_Mode)),
    container_path=st.sampled_from(["/in", "in", "a:b", "../out"]),
    host_path=st.none() | st.sampled_from(["/data", "mine", "../out", "a/../../b", "/a:b"]),
)


@given(
    st.lists(st.tuples(OPTIONS, TEXTS), max_size=4),
    st.lists(VOLUMES, max_size=3),
    st.sampled_from(list(mesos.ContainerInfo_DockerInfo_Network)),
)
def test_what_is_valid_is_planned_and_stays_the_agents_own(
    options: list[tuple[str, str]],
    volumes: list[mesos.Volume],
    network: mesos.ContainerInfo_DockerInfo_Network,
) -> None:
    docker = mesos.ContainerInfo_DockerInfo(
        image="web", network=network, parameters=[mesos.Parameter(key=key, value=value) for key, value in options]
    )
    container = mesos.ContainerInfo(type=mesos.ContainerInfo_Type.DOCKER, docker=docker, volumes=volumes)
    info = mesos.TaskInfo(
        name="t",
        task_id=mesos.TaskID(value="t"),
        agent_id=mesos.AgentID(value="S0"),
        command=mesos.CommandInfo(shell=False),
        container=container,
    )
    if validate_docker(SETTINGS, info) is not None:
        return
    plan = plan_create(SETTINGS, info, "id", "/w/box", [])
    assert isinstance(plan, DockerCreate)
    assert plan.body["Labels"][LABEL_WORK_DIR] == "/w"
    own = [one["Source"] for one in plan.body["HostConfig"]["Mounts"]][1:]
    own += [bind.split(":")[0] for bind in plan.body["HostConfig"]["Binds"][: len(volumes)]]
    assert not any(path.startswith("/w/box") and ".." in path.split("/") for path in own)


@given(st.text(max_size=8), st.text(max_size=16))
def test_no_option_and_no_value_is_our_bug(key: str, value: str) -> None:
    apply_parameter({"HostConfig": {}, "Env": [], "Labels": {}}, key, value)


@given(OPTIONS, st.text(max_size=16))
def test_no_value_of_a_known_option_is_our_bug(key: str, value: str) -> None:
    apply_parameter({"HostConfig": {}, "Env": [], "Labels": {}}, key, value)
