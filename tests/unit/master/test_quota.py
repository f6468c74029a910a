from __future__ import annotations

from pathlib import Path
from typing import Any

import msgspec
import pytest

from merismos.core.master.state import Config
from merismos.core.master.views import metrics
from merismos.core.master.views.quota import quota_status
from merismos.core.master.views.roles import roles_v0
from merismos.model.quota import Quota
from merismos.protocol import json
from unit.master.rig import Json, Rig, agent_info, framework_info, resources, value

INVALID = "Invalid QuotaConfig: "
FORCE = " (use 'force' flag to bypass this check)"


def amounts(**scalars: float) -> Json:
    return {name: {"value": amount} for name, amount in scalars.items()}


def config(role: str, guarantees: Json | None = None, limits: Json | None = None) -> Json:
    return {"role": role, "guarantees": guarantees or {}, "limits": limits or {}}


def update(rig: Rig, *configs: Json, force: bool = False) -> tuple[int, str]:
    return rig.operate({"type": "UPDATE_QUOTA", "update_quota": {"quota_configs": list(configs), "force": force}})


def status(rig: Rig) -> Json:
    found: Json = msgspec.json.decode(json.encode(quota_status(rig.master)))
    return found


def recorded(recordings: Path, name: str) -> Json:
    found: Json = msgspec.json.decode((recordings / name).read_bytes())
    return found


def answer_of(recording: Json) -> tuple[int, str]:
    return recording["response"]["status"], recording["response"]["body"]


@pytest.mark.parametrize(
    "name",
    [
        "m_UPDATE_QUOTA",
        "m_UPDATE_QUOTA_dup",
        "m_UPDATE_QUOTA_empty",
        "m_UPDATE_QUOTA_g_gt_l",
        "m_UPDATE_QUOTA_nonexistent_res",
        "m_UPDATE_QUOTA_overcommit_force",
        "m_UPDATE_QUOTA_star",
        "m_UPDATE_QUOTA_zero_limit",
        "m_SET_QUOTA",
    ],
)
def test_calls_are_answered_as_recorded(recordings: Path, name: str) -> None:
    rig = Rig()
    rig.agent()
    recording = recorded(recordings, f"operator/{name}.json")
    assert rig.operate(recording["request"]["body"]) == answer_of(recording)


def test_a_quota_that_was_set_is_shown_as_recorded(recordings: Path) -> None:
    rig = Rig()
    rig.agent()
    for name in ("m_UPDATE_QUOTA", "m_SET_QUOTA", "m_SET_QUOTA_again", "m_REMOVE_QUOTA"):
        recording = recorded(recordings, f"operator/{name}.json")
        assert rig.operate(recording["request"]["body"]) == answer_of(recording)
    shown = msgspec.json.decode(recorded(recordings, "operator/m_GET_QUOTA_after.json")["response"]["body"])
    assert status(rig) == shown["get_quota"]["status"]


def test_roles_show_their_quota_as_recorded(recordings: Path) -> None:
    rig = Rig()
    rig.agent()
    configs = msgspec.json.decode(recorded(recordings, "v0/quota_with_quota.json")["response"]["body"])["configs"]
    assert update(rig, *configs) == (200, "")
    expected = msgspec.json.decode(recorded(recordings, "v0/roles_with_quota.json")["response"]["body"])["roles"]
    mine = {role["name"]: role for role in roles_v0(rig.master)}
    known = {role["name"]: role for role in expected if role["quota"]["guarantee"] or role["quota"]["limit"]}
    assert mine == known


def test_guarantees_beyond_the_cluster_are_refused_as_recorded(recordings: Path) -> None:
    rig = Rig()
    rig.agent("cpus:4;mem:2048;disk:4096")
    assert update(rig, config("a", amounts(cpus=1, mem=128))) == (200, "")
    recording = recorded(recordings, "operator/m_UPDATE_QUOTA_overcommit.json")
    assert rig.operate(recording["request"]["body"]) == answer_of(recording)
    assert update(rig, config("a"), config("b", amounts(cpus=4))) == (200, "")


def test_set_quota_beyond_the_cluster_is_a_conflict() -> None:
    rig = Rig()
    ask: Json = {"role": "a", "guarantee": resources("cpus:9")}
    text = (
        "Quota guarantees overcommit the cluster (use 'force' to bypass this check): "
        "Total quota guarantees 'cpus:9' exceed cluster capacity ''"
    )
    assert rig.operate({"type": "SET_QUOTA", "set_quota": {"quota_request": ask}}) == (409, text)
    assert rig.operate({"type": "SET_QUOTA", "set_quota": {"quota_request": ask | {"force": True}}}) == (200, "")
    assert rig.master.quotas == {"a": Quota({"cpus": 9000}, {"cpus": 9000})}


@pytest.mark.parametrize(
    ("change", "fault"),
    [
        (config("a b"), "Invalid 'QuotaConfig.role': Role component 'a b' is invalid because it contains backspace or whitespace"),
        (config("a", amounts(cpus=-1)), "Invalid guarantee configuration {'cpus': -1}: Negative values not supported"),
        (config("a", None, amounts(mem=-0.5)), "Invalid limit configuration {'mem': -0.5}: Negative values not supported"),
        (config("a", None, amounts(cpus=5e-324)), "Invalid limit configuration {'cpus': 4.94065645841247e-324}: Subnormal values not supported"),
        (config("a", None, amounts(ports=5)), "Invalid limit configuration {'ports': 5}: Only scalar resources have quota"),
        (
            config("a", amounts(cpus=1e13)),
            "Invalid 'QuotaConfig.guarantees': {'cpus': 10000000000000} is invalid: values greater than 1 trillion (1000000000000) are not supported",
        ),
        (
            config("a", None, amounts(mem=1e13)),
            "Invalid 'QuotaConfig.limits': {'mem': 10000000000000} is invalid: values greater than 1 exabyte (1099511627776) are not supported",
        ),
        (
            config("a/b", amounts(cpus=1)),
            "Invalid quota configuration. Parent role 'a' with guarantees () does not contain the sum of its children's guarantees (cpus:1)",
        ),
    ],
)  # fmt: skip
def test_a_quota_that_cannot_be_is_refused(change: Json, fault: str) -> None:
    rig = Rig()
    rig.agent()
    assert update(rig, config("fine", None, amounts(cpus=1)), change, force=True) == (400, INVALID + fault)
    assert rig.master.quotas == {}, "all or none"


@pytest.mark.parametrize(
    ("ask", "fault"),
    [
        ({}, "QuotaInfo with invalid role: Role names cannot be the empty string"),
        ({"role": "a"}, "QuotaInfo with empty 'guarantee'"),
        ({"role": "a", "guarantee": resources("cpus:1;cpus:2")}, "QuotaInfo contains duplicate resource name 'cpus'"),
        (
            {"role": "a", "guarantee": [{"name": "ports", "type": "RANGES", "ranges": {"range": [{"begin": 1, "end": 2}]}}]},
            "QuotaInfo must not include non-scalar resources",
        ),
        (
            {"role": "a", "guarantee": [resources("cpus:1")[0] | {"revocable": {}}]},
            "QuotaInfo must not contain RevocableInfo",
        ),
    ],
)  # fmt: skip
def test_an_older_request_that_cannot_be_is_refused(ask: Json, fault: str) -> None:
    answer = Rig().operate({"type": "SET_QUOTA", "set_quota": {"quota_request": ask}})
    assert answer == (400, "Failed to validate set quota request: " + fault)


def test_quotas_of_nested_roles_fit_into_those_above() -> None:
    rig = Rig()
    rig.agent()
    both = [config("a", amounts(cpus=2), amounts(cpus=3)), config("a/b", amounts(cpus=2), amounts(cpus=3))]
    assert update(rig, *both) == (200, "")
    text = (
        "Invalid quota configuration. Role 'a/b' with limits (cpus:4) is not contained within the limits (cpus:3)"
        " of role 'a' above it"
    )
    assert update(rig, config("a/b", amounts(cpus=2), amounts(cpus=4))) == (400, INVALID + text)
    text = (
        "Invalid quota configuration. Parent role 'a' with guarantees () does not contain the sum of its"
        " children's guarantees (cpus:2)"
    )
    removal = {"type": "REMOVE_QUOTA", "remove_quota": {"role": "a"}}
    assert rig.operate(removal) == (400, "Failed to remove quota: " + text)
    assert update(rig, config("a"), config("a/b")) == (200, "")
    assert rig.operate(removal) == (400, "Failed to remove quota: Role 'a' has no quota set")


def test_a_limit_below_what_is_in_use_is_refused_unless_forced() -> None:
    rig = Rig()
    rig.agent()
    framework = rig.subscribe(framework_info(roles=("eng",)))
    framework.launch("t-1", need="cpus:2;mem:32")
    lower = config("eng", None, amounts(cpus=1))
    text = "Role 'eng' is already consuming 'cpus:2; mem:32'; this is more than the requested limits 'cpus:1'" + FORCE
    assert update(rig, lower) == (400, INVALID + text)
    assert update(rig, lower, force=True) == (200, "")
    assert list(framework.record.tasks) == ["t-1"]


def test_what_is_only_offered_is_taken_back_when_the_limit_is_lowered() -> None:
    rig = Rig()
    rig.agent()
    framework = rig.subscribe(framework_info(roles=("eng/web",)))
    assert [offer["quantities"] for offer in framework.offers()] == [{"cpus": 4000, "mem": 2048_000}]
    assert update(rig, config("eng", None, amounts(cpus=1))) == (200, "")
    assert framework.of("RESCIND")
    rig.advance(2)
    assert [offer["quantities"] for offer in framework.offers()] == [{"cpus": 1000, "mem": 2048_000}]


def test_what_others_were_offered_is_taken_back_for_a_guarantee() -> None:
    rig = Rig()
    rig.agent()
    greedy = rig.subscribe(framework_info(roles=("eng",)))
    assert greedy.offers()
    assert update(rig, config("prod", amounts(cpus=3))) == (200, "")
    assert greedy.offers() == []
    wanted = rig.subscribe(framework_info("prod", roles=("prod",)))
    rig.advance(2)
    found = [offer["quantities"].get("cpus", 0) for one in (greedy, wanted) for offer in one.offers()]
    assert sum(found) == 4000
    assert sum(offer["quantities"]["cpus"] for offer in wanted.offers()) >= 3000


def test_a_quota_counts_once_it_is_durable() -> None:
    rig = Rig()
    rig.agent()
    rig.held_writes = []
    change = {"type": "UPDATE_QUOTA", "update_quota": {"quota_configs": [config("eng", None, amounts(cpus=1))]}}
    request = rig.operate_only(change)
    assert request not in rig.answers
    assert status(rig) == {}
    ask = {"role": "eng", "guarantee": resources("cpus:1")}
    text = "Failed to validate set quota request: Cannot set quota for role 'eng' which already has quota"
    again = rig.operate_only({"type": "SET_QUOTA", "set_quota": {"quota_request": ask}})
    assert rig.answers[again] == (400, text)


def restarted(rig: Rig) -> Rig:
    return Rig(registry=[(table, key, content) for (table, key), content in rig.registry.items()])


def test_a_quota_survives_a_failover_and_holds_before_the_first_offer() -> None:
    rig = Rig()
    assert update(rig, config("eng", None, amounts(cpus=1))) == (200, "")
    before = status(rig)
    after = restarted(rig)
    assert status(after) == before
    after.agent()
    framework = after.subscribe(framework_info(roles=("eng",)))
    assert [offer["quantities"]["cpus"] for offer in framework.offers()] == [1000]
    assert after.operate({"type": "REMOVE_QUOTA", "remove_quota": {"role": "eng"}}) == (200, "")
    assert status(restarted(after)) == {}


def test_a_new_leader_with_quotas_offers_nothing_before_it_knows_what_is_in_use() -> None:
    rig = Rig()
    agents = [rig.agent(pid=f"slave(1)@127.0.0.1:{6000 + number}") for number in range(3)]
    assert update(rig, config("eng", None, amounts(cpus=1))) == (200, "")
    after = restarted(rig)
    framework = after.subscribe(framework_info(roles=("eng",)))
    for number, agent in enumerate(agents):
        assert framework.offers() == []
        after.reregister(agent.id, pid=f"slave(1)@127.0.0.1:{6000 + number}")
        after.advance(2)
    assert sum(offer["quantities"].get("cpus", 0) for offer in framework.offers()) == 1000


def test_a_new_leader_with_quotas_waits_no_longer_than_for_its_agents() -> None:
    kept = b'{"role":"eng","limits":{"cpus":{"value":1}}}'
    rig = Rig(registry=[("quota", "eng", kept), ("agents", "old-S0", agent_info())])
    fresh = rig.agent(pid="slave(1)@127.0.0.1:7000")
    framework = rig.subscribe(framework_info(roles=("eng",)))
    rig.advance(500)
    assert framework.offers() == []
    rig.advance(200)
    assert [offer["agent_id"] for offer in framework.offers()] == [value(fresh.id)]


def test_a_quota_that_does_not_decode_is_no_reason_to_lose_the_others() -> None:
    good = b'{"role":"a","limits":{"cpus":{"value":1}}}'
    bad = b'{"role":"b","limits":{"cpus":{"value":-1}}}'
    rig = Rig(registry=[("quota", "b", bad), ("quota", "c", b"{"), ("quota", "a", good)])
    assert rig.master.quotas == {"a": Quota({}, {"cpus": 1000})}
    assert rig.master.metrics["registrar/entries_invalid"] == 2


def test_roles_outside_the_whitelist_have_no_quota() -> None:
    config_ = Config()
    config_.roles = ["eng"]
    rig = Rig(config_)
    assert update(rig, config("ops", None, amounts(cpus=1))) == (
        400,
        INVALID + "'ops' is not on the roles whitelist",
    )
    ask = {"role": "ops", "guarantee": resources("cpus:1")}
    answer = rig.operate({"type": "SET_QUOTA", "set_quota": {"quota_request": ask}})
    assert answer == (400, "Failed to validate set quota request: Unknown role 'ops'")


def test_metrics_name_what_a_role_is_guaranteed_limited_to_and_has() -> None:
    rig = Rig()
    rig.agent()
    rig.subscribe(framework_info(roles=("eng",)))
    assert update(rig, config("eng", amounts(cpus=1), amounts(cpus=4, mem=4096))) == (200, "")
    found: dict[str, Any] = metrics.snapshot(rig.master, rig.now)
    head = "allocator/mesos/quota/roles/eng/resources/"
    assert {name: found[head + name] for name in ("cpus/guarantee", "cpus/limit", "mem/limit")} == {
        "cpus/guarantee": 1.0,
        "cpus/limit": 4.0,
        "mem/limit": 4096.0,
    }
    assert found[head + "cpus/offered_or_allocated"] == 4.0
    assert head + "mem/guarantee" not in found
