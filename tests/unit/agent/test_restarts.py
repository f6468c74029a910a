"""What an agent makes of its next start: with another configuration, after a reboot, to clean up."""

from __future__ import annotations

from typing import Any

import pytest

from merismos.core.agent import effects, events
from merismos.core.agent.events import HeldContainer
from merismos.model.attributes import parse_attributes
from merismos.model.rejection import Rejection
from merismos.model.resource_notation import parse_resources
from merismos.model.resource_protocol import to_protocol
from merismos.protocol import json, link
from merismos.protocol.v1 import mesos
from unit.agent.rig import WALL_OFFSET_S, Rig, task

RESOURCES = "cpus:4;mem:1024;ports:[31000-31999]"
ATTRIBUTES = "rack:r1;level:3;ids:[1-5]"


def info(resources: str = RESOURCES, attributes: str = ATTRIBUTES, **fields: Any) -> mesos.AgentInfo:  # noqa: ANN401 - fields of AgentInfo
    parsed, noted = parse_resources(resources), parse_attributes(attributes)
    assert not isinstance(parsed, Rejection)
    assert not isinstance(noted, Rejection)
    given: dict[str, Any] = {"hostname": "host", "port": 5051, **fields}
    return mesos.AgentInfo(resources=to_protocol(parsed), attributes=noted, **given)


def domain(zone: str) -> mesos.DomainInfo:
    region = mesos.DomainInfo_FaultDomain_RegionInfo(name="eu")
    fault = mesos.DomainInfo_FaultDomain(region=region, zone=mesos.DomainInfo_FaultDomain_ZoneInfo(name=zone))
    return mesos.DomainInfo(fault_domain=fault)


def with_a_task(**fields: Any) -> Rig:  # noqa: ANN401 - likewise
    rig = Rig(started=events.Started(1, WALL_OFFSET_S, boot_id="first"), info=info(**fields))
    rig.handle(events.ContainersRecovered("holder"))
    rig.handle(events.MasterDetected("m:5050"))
    rig.open_link()
    rig.receive(link.AgentRegistered("S0"))
    rig.run(task("t"))
    rig.launched("t")
    return rig


def next_start(before: Rig, boot_id: str = "first", **settings: Any) -> Rig:  # noqa: ANN401 - of AgentSettings
    started = events.Started(2, WALL_OFFSET_S, (), before.killed(), (), boot_id)
    return Rig(started=started, now=before.now, **settings)


def comes_back(rig: Rig, *held: HeldContainer, holder: str = "holder") -> None:
    rig.handle(events.ContainersRecovered(holder, held))
    rig.handle(events.MasterDetected("m:5050"))
    rig.open_link()


@pytest.mark.parametrize(
    ("now", "equal", "additive"),
    [
        ({}, True, True),
        ({"port": 5052}, True, True),
        ({"resources": "cpus:8;mem:1024;ports:[31000-31999]"}, False, True),
        ({"resources": "cpus:4;mem:1024;disk:9;ports:[31000-31999]"}, False, True),
        ({"resources": "cpus:4;mem:1024;ports:[30000-32999]"}, False, True),
        ({"resources": "cpus:2;mem:1024;ports:[31000-31999]"}, False, False),
        ({"resources": "cpus:4;ports:[31000-31999]"}, False, False),
        ({"resources": "cpus(eng):4;mem:1024;ports:[31000-31999]"}, False, False),
        ({"attributes": f"{ATTRIBUTES};disk:ssd"}, False, True),
        ({"attributes": "rack:r1;level:4;ids:[1-5]"}, False, True),
        ({"attributes": "rack:r1;level:3;ids:[1-9]"}, False, True),
        ({"attributes": "rack:r2;level:3;ids:[1-5]"}, False, False),
        ({"attributes": "rack:r1;level:2;ids:[1-5]"}, False, False),
        ({"attributes": "rack:r1;level:3"}, False, False),
        ({"hostname": "other"}, False, False),
        ({"domain": domain("a")}, False, True),
    ],
)
def test_an_agent_may_change_what_its_policy_lets_it(now: dict[str, Any], equal: bool, additive: bool) -> None:
    for policy, may in ((False, equal), (True, additive)):
        rig = next_start(with_a_task(), info=info(**now), additive=policy)
        if may:
            comes_back(rig, HeldContainer(rig.container("t"), pid=4711))
            (back,) = rig.sent(link.ReregisterAgent)
            assert (back.agent_id, [one.state for one in back.tasks]) == ("S0", ["TASK_RUNNING"])
            assert json.decode(mesos.AgentInfo, back.info) == info(**now), "the master hears of the change"
        else:
            rig.handle(events.ContainersRecovered("holder", (HeldContainer("c", pid=4711),)))
            rig.handle(events.MasterDetected("m:5050"))
            (gone,) = rig.of(effects.Exit)
            assert (gone.code, gone.at_once) == (1, True), "what runs goes on"
            assert "the agent's configuration changed" in gone.reason
            assert rig.of(effects.SignalContainer) == []
            assert rig.of(effects.OpenLink) == []


def test_no_policy_takes_a_fault_domain_for_another() -> None:
    rig = next_start(with_a_task(domain=domain("a")), info=info(domain=domain("b")), additive=True)
    assert "the fault domain is another" in rig.last(effects.Exit).reason


def test_after_a_reboot_the_agent_is_the_same_and_what_ran_has_failed() -> None:
    rig = next_start(with_a_task(), boot_id="second", info=info())
    comes_back(rig, holder="another")
    (back,) = rig.sent(link.ReregisterAgent)
    assert back.agent_id == "S0"
    rig.receive(link.AgentRegistered("S0"))
    assert rig.acknowledge_all()[-1] == "TASK_FAILED"
    assert rig.of(effects.LaunchContainer) == [], "nothing is started a second time"


def test_after_a_reboot_a_changed_agent_is_a_new_one() -> None:
    rig = next_start(with_a_task(), boot_id="second", info=info(resources="cpus:2;mem:512"))
    comes_back(rig, holder="another")
    assert rig.sent(link.ReregisterAgent) == []
    assert len(rig.sent(link.RegisterAgent)) == 1
    assert rig.of(effects.Exit) == []


def test_a_second_start_after_a_reboot_is_held_to_its_policy_again() -> None:
    again = next_start(with_a_task(), boot_id="second", info=info())
    comes_back(again, holder="another")
    again.checkpoints[:0] = with_a_task().checkpoints
    rig = next_start(again, boot_id="second", info=info(resources="cpus:2;mem:512"))
    assert "the agent's configuration changed" in rig.last(effects.Exit).reason


def test_cleanup_ends_what_runs_tells_nobody_and_then_leaves_nothing_to_the_next_start() -> None:
    before = with_a_task()
    rig = next_start(before, info=info(), cleanup=True)
    container_id = rig.container("t")
    rig.handle(events.ContainersRecovered("holder", (HeldContainer(container_id, pid=4711),)))
    rig.advance(0.1)
    assert [(one.container_id, one.signal) for one in rig.of(effects.SignalContainer)][-1] == (container_id, 9)
    assert rig.of(effects.Exit) == [], "not before what ran is gone"
    rig.exited("t", 9)
    assert rig.last(effects.Exit).code == 0
    assert rig.of(effects.ForgetAgent)
    assert rig.of(effects.SendMessage) == []


def test_cleanup_where_nothing_was_ends_at_once() -> None:
    rig = Rig(started=events.Started(1, WALL_OFFSET_S), info=info(), cleanup=True)
    rig.handle(events.ContainersRecovered("holder"))
    assert rig.last(effects.Exit).code == 0


def test_an_upgrade_is_a_restart_by_another_version_under_the_same_id() -> None:
    rig = next_start(with_a_task(), info=info())
    rig.state.settings.version = "1.13.0"
    comes_back(rig, HeldContainer(rig.container("t"), pid=4711))
    (back,) = rig.sent(link.ReregisterAgent)
    assert (back.agent_id, back.version, len(back.tasks)) == ("S0", "1.13.0", 1)
