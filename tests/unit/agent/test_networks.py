"""Networks of containers in an agent's core: asked for, told, checked in, and let go of."""

from __future__ import annotations

import json
from typing import Any

import pytest

from merismos.core.agent import effects, events
from merismos.core.agent.events import HeldContainer
from merismos.protocol import link
from merismos.protocol.v1 import mesos
from unit.agent.executor_rig import ExecutorRig, job
from unit.agent.rig import FRAMEWORK, Rig, framework_info, task

TIMES = {"delay_seconds": 0.0, "interval_seconds": 5.0, "timeout_seconds": 5.0}
ASKED = {"name": "net", "labels": {"labels": [{"key": "app", "value": "web"}]}}


def container(*networks: dict[str, Any], **fields: Any) -> dict[str, Any]:  # noqa: ANN401 - of ContainerInfo
    return {"type": "MESOS", "network_infos": list(networks), **fields}


def joined(ip: str, name: str = "net") -> tuple[mesos.NetworkInfo, ...]:
    kind = mesos.NetworkInfo_Protocol.IPv4
    return (mesos.NetworkInfo(name=name, ip_addresses=[mesos.NetworkInfo_IPAddress(protocol=kind, ip_address=ip)]),)


def networks_told(status: dict[str, Any]) -> list[str]:
    return [info["ip_addresses"][0]["ip_address"] for info in status["container_status"]["network_infos"]]


def running(**fields: Any) -> tuple[Rig, str]:  # noqa: ANN401 - of TaskInfo
    rig = Rig.registered(networks=True)
    rig.run(task("t", container=container(ASKED, {"name": "other"}), **fields))
    own = rig.last(effects.LaunchContainer).container_id
    rig.handle(events.ContainerLaunched(own, 42, networks=joined("10.1.0.2")))
    return rig, own


def run_group(rig: Rig, executor: dict[str, Any], *tasks: bytes) -> None:
    raw = [json.dumps(json.loads(one) | {"executor": executor}).encode() for one in tasks]
    rig.receive(link.RunTaskGroup(FRAMEWORK, framework_info(), "eng", json.dumps(executor).encode(), raw, starts=True))


def test_a_task_asks_for_its_networks_and_tells_what_came_of_them() -> None:
    rig, own = running()
    plan = rig.of(effects.LaunchContainer)[0].network
    assert plan is not None
    assert (plan.owner, plan.hostname, plan.joins) == (own, own, False)
    assert [one.name for one in plan.networks] == ["net", "other"]
    assert networks_told(rig.updates()[0]) == ["10.1.0.2"]


def test_a_task_whose_networks_have_no_names_has_its_agents() -> None:
    rig = Rig.registered(networks=True)
    rig.run(task("t", container=container({"groups": ["g"]})))
    assert rig.last(effects.LaunchContainer).network is None


def test_checks_ask_in_the_network_of_their_task() -> None:
    command = {"type": "COMMAND", "command": {"command": {"value": "true"}}, **TIMES}
    for check in (
        {"type": "HTTP", "http": {"port": 80}, **TIMES},
        {"type": "TCP", "tcp": {"port": 80}, **TIMES},
        command,
    ):
        rig, own = running(check=check)
        rig.take()
        rig.advance(0.1)
        if check is command:
            plan = rig.last(effects.LaunchContainer).network
            assert plan is not None
            assert (plan.owner, plan.joins) == (own, True)
        elif "http" in check:
            probe = rig.last(effects.ProbeHttp)
            assert (probe.url, probe.network) == ("http://127.0.0.1:80/", own)
        else:
            tcp = rig.last(effects.ProbeTcp)
            assert (tcp.ip, tcp.network) == ("127.0.0.1", own)


def test_a_network_is_known_after_a_restart() -> None:
    rig, own = running()
    rig.acknowledge_all()
    again = Rig.after(rig, HeldContainer(own, 42, networks=joined("10.1.0.2")))
    again.handle(events.ContainerExited(own, 0))
    again.acknowledge_all()
    assert networks_told(again.updates()[-1]) == ["10.1.0.2"]


def test_a_group_shares_its_executors_network_and_lets_go_of_it_in_the_end() -> None:
    rig = Rig.registered(networks=True)
    executor = {"type": "DEFAULT", "executor_id": {"value": "pod"}, "container": container(ASKED)}
    run_group(rig, executor, task("a"), task("b"))
    (own,) = rig.state.executors
    plans = [launch.network for launch in rig.of(effects.LaunchContainer)]
    assert [plan.owner for plan in plans if plan is not None] == [own, own]
    for name in ("a", "b"):
        rig.handle(events.ContainerLaunched(rig.container(name), 42, networks=joined("10.1.0.2")))
    rig.acknowledge_all()
    assert {address for one in rig.updates() for address in networks_told(one)} == {"10.1.0.2"}
    rig.exited("a", 0)
    assert rig.of(effects.LeaveNetworks) == []
    rig.exited("b", 0)
    assert [one.container_id for one in rig.of(effects.LeaveNetworks)] == [own]


def test_a_group_without_a_network_lets_go_of_none() -> None:
    rig = Rig.registered(networks=True)
    run_group(rig, {"type": "DEFAULT", "executor_id": {"value": "pod"}}, task("a"))
    assert rig.last(effects.LaunchContainer).network is None
    rig.launched("a")
    rig.exited("a", 0)
    assert rig.of(effects.LeaveNetworks) == []


def test_a_custom_executor_has_a_network_of_its_own() -> None:
    rig = ExecutorRig.registered(networks=True)
    assert isinstance(rig, ExecutorRig)
    rig.run(job("t", container=container(ASKED)))
    launch = rig.last(effects.LaunchContainer)
    assert launch.network is not None
    assert launch.network.owner == launch.container_id
    rig.handle(events.ContainerLaunched(launch.container_id, 42, networks=joined("10.1.0.2")))
    rig.subscribe()
    rig.update("t", "TASK_RUNNING", 1)
    assert networks_told(rig.updates()[-1]) == ["10.1.0.2"]


@pytest.mark.parametrize(
    ("given", "said"),
    [
        (container(ASKED, ASKED), "Attempted to join CNI network 'net' multiple times"),
        (
            container({"name": "net", "port_mappings": [{"host_port": 70000, "container_port": 1}]}),
            "ports are 1 to 65535",
        ),
        (
            container({"name": "net", "port_mappings": [{"host_port": 1, "container_port": 1, "protocol": "icmp"}]}),
            "protocol 'icmp' is not known; known are tcp, udp, sctp",
        ),
        (container(ASKED, hostname="two words"), "hostname 'two words'"),
    ],
)
def test_a_network_that_makes_no_sense_is_refused_in_words(given: dict[str, Any], said: str) -> None:
    rig = Rig.registered(networks=True)
    rig.run(task("t", container=given))
    assert said in rig.updates()[0]["message"]


def test_a_network_without_a_name_is_the_agents_and_its_port_mappings_are_passed_over() -> None:
    rig = Rig.registered(networks=True)
    rig.run(task("t", container=container({"port_mappings": [{"host_port": 1, "container_port": 1}]})))
    assert rig.last(effects.LaunchContainer).network is None


def test_a_task_of_a_group_names_no_networks_and_an_agent_without_any_refuses_them() -> None:
    rig = Rig.registered(networks=True)
    run_group(rig, {"type": "DEFAULT", "executor_id": {"value": "pod"}}, task("a", container=container(ASKED)))
    assert "NetworkInfos must not be set on the task" in rig.updates()[0]["message"]
    without = Rig.registered()
    executor = {"type": "DEFAULT", "executor_id": {"value": "pod"}, "container": container(ASKED)}
    run_group(without, executor, task("a"))
    assert "network 'net': this agent joins none" in without.updates()[0]["message"]
