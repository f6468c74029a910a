"""FEATURES 1B and the redirect of E7 as a sceptical user would check them, on real processes."""

from __future__ import annotations

import itertools
import json
from collections.abc import Callable
from pathlib import Path

import pytest

from process.sessions.cluster import Cluster
from process.sessions.replay import Replay
from process.sessions.scheduler import MODERN, PATH, Scheduler, amounts_of, ask, framework_info, get, scalars
from process.sessions.streams import QUIET_S, Json, Stream

pytestmark = pytest.mark.process

GPU_AGENT = "three"


def from_host(hostname: str) -> Callable[[Json], bool]:
    return lambda offer: bool(offer["hostname"] == hostname)


# ---------------------------------------------------------------- B1, E7


def test_b1_a_stream_starts_with_subscribed_and_a_heartbeat_and_has_an_id(cluster: Cluster) -> None:
    with Scheduler(cluster.port) as scheduler:
        scheduler.stream.take("HEARTBEAT")
        assert [event["type"] for event in scheduler.stream.events[:2]] == ["SUBSCRIBED", "HEARTBEAT"]
        assert scheduler.subscribed["heartbeat_interval_seconds"] == 15.0
        assert scheduler.stream.headers["content-type"] == "application/json"
        assert scheduler.stream_id
        revive: Json = {"type": "REVIVE", "framework_id": {"value": scheduler.id}}
        status, _, body = ask(cluster.port, "POST", PATH, revive)
        assert (status, body) == (400, b"All non-subscribe calls should include the 'Mesos-Stream-Id' header")
        assert ask(cluster.port, "POST", PATH, revive, Mesos_Stream_Id="other")[0] == 400
        assert ask(cluster.port, "POST", PATH, revive, Mesos_Stream_Id=scheduler.stream_id)[0] == 202


def test_b1_a_stream_is_chunked_also_when_the_client_wants_to_close_it(cluster: Cluster) -> None:
    body = {"type": "SUBSCRIBE", "subscribe": {"framework_info": framework_info()}}
    stream = Stream(cluster.port, PATH, body, Connection="close")
    assert stream.headers["transfer-encoding"] == "chunked"
    stream.take("SUBSCRIBED")
    stream.close()


def test_e7_redirect_names_the_leader(cluster: Cluster) -> None:
    for path in ("/redirect", "/master/redirect"):
        status, headers, body = ask(cluster.port, "GET", path)
        assert (status, headers["location"], body) == (307, f"//localhost:{cluster.port}", b"")


# ---------------------------------------------------------------- B2


def test_b2_what_is_left_of_an_accepted_offer_comes_back(cluster: Cluster) -> None:
    with Scheduler(cluster.port) as scheduler:
        offer = scheduler.offer()
        scheduler.launch(offer, scheduler.task("part", offer, "sleep 60", cpus=1.5, mem=100))
        left = scheduler.offer()
        assert amounts_of(left["resources"]) == {"cpus": 2.5, "mem": 1948.0, "disk": 4096.0}
        scheduler.update("part", "TASK_RUNNING")


def test_b2_offers_of_one_agent_are_merged_and_operations_run_in_order(cluster: Cluster) -> None:
    with Scheduler(cluster.port) as scheduler:
        whole = scheduler.offer()
        scheduler.launch(whole, scheduler.task("holds", whole, "sleep 60", cpus=2.0, mem=1000))
        first = scheduler.offer()
        scheduler.update("holds", "TASK_RUNNING")
        scheduler.kill("holds")
        scheduler.update("holds", "TASK_KILLED")
        second = scheduler.offer()
        assert amounts_of(first["resources"])["cpus"] == amounts_of(second["resources"])["cpus"] == 2.0
        # Neither of the two would do for the first task alone, and what the first leaves is too little for the third.
        tasks = [
            scheduler.task(name, first, cpus=cpus) for name, cpus in (("large", 3.0), ("small", 0.5), ("late", 0.6))
        ]
        scheduler.accept([first, second], [{"type": "LAUNCH", "launch": {"task_infos": [task]}} for task in tasks])
        scheduler.update("large", "TASK_FINISHED")
        scheduler.update("small", "TASK_FINISHED")
        refused = scheduler.update("late", "TASK_ERROR")
        assert refused["message"].startswith(
            "Total resources cpus(allocated: test):0.6; mem(allocated: test):32 required"
        )


def test_b2_what_is_not_supported_yet_is_refused_in_words_and_nothing_is_lost(cluster: Cluster) -> None:
    with Scheduler(cluster.port, framework_info(principal="p")) as scheduler:
        offer = scheduler.offer()
        reserved = scalars(disk=8)
        reserved[0]["reservations"] = [{"type": "DYNAMIC", "role": "test", "principal": "p"}]
        operations = [
            {"type": "RESERVE", "id": {"value": "r"}, "reserve": {"resources": reserved}},
            {"type": "CREATE", "id": {"value": "c"}, "create": {"volumes": reserved}},
            {"type": "LAUNCH", "launch": {"task_infos": [scheduler.task("after", offer)]}},
        ]
        scheduler.accept([offer], operations)
        for name, kind in (("r", "RESERVE"), ("c", "CREATE")):
            status = scheduler.stream.take("UPDATE_OPERATION_STATUS")["update_operation_status"]["status"]
            assert (status["operation_id"], status["state"]) == ({"value": name}, "OPERATION_ERROR")
            assert status["message"] == f"{kind} is not supported yet; only launches are"
        scheduler.update("after", "TASK_FINISHED")
        assert amounts_of(scheduler.offer()["resources"])["disk"] == 4096.0


def test_b2_offers_of_two_agents_are_refused_together_and_come_back(racks: Cluster) -> None:
    with Scheduler(racks.port) as scheduler:
        offers = [scheduler.offer(from_host("one")), scheduler.offer(from_host("two"))]
        scheduler.accept(offers, [{"type": "LAUNCH", "launch": {"task_infos": [scheduler.task("mixed", offers[0])]}}])
        status = scheduler.update("mixed")
        assert (status["state"], status["reason"]) == ("TASK_DROPPED", "REASON_INVALID_OFFERS")
        assert "must belong to one single agent" in status["message"]
        assert scheduler.offer(from_host("one"))
        assert scheduler.offer(from_host("two"))


# ---------------------------------------------------------------- B3, B4


def test_b3_what_is_declined_goes_to_others_at_once_and_not_back(cluster: Cluster) -> None:
    with Scheduler(cluster.port, framework_info("first")) as first:
        offer = first.offer()
        with Scheduler(cluster.port, framework_info("second")) as second:
            first.decline(offer, 60)
            assert amounts_of(second.offer(within_s=2.0)["resources"]) == amounts_of(offer["resources"])
        assert not first.offers_come(QUIET_S), "the second framework is gone, the filter isn't"


def test_b3_a_decline_without_filters_lasts_a_while(cluster: Cluster) -> None:
    with Scheduler(cluster.port) as scheduler:
        scheduler.decline(scheduler.offer())
        assert not scheduler.offers_come(QUIET_S)
        scheduler.call("REVIVE")
        scheduler.accept([scheduler.offer()], [], refuse_s=60)
        assert not scheduler.offers_come(QUIET_S), "an ACCEPT of nothing is a decline"


def test_b3_an_agent_that_has_more_than_what_was_declined_is_offered_again(cluster: Cluster) -> None:
    with Scheduler(cluster.port) as scheduler:
        offer = scheduler.offer()
        scheduler.launch(offer, scheduler.task("brief", offer, "sleep 60"), refuse_s=60)
        scheduler.update("brief", "TASK_RUNNING")
        assert not scheduler.offers_come(QUIET_S)
        scheduler.kill("brief")
        scheduler.update("brief", "TASK_KILLED")
        assert amounts_of(scheduler.offer()["resources"])["cpus"] == 4.0


def test_b4_a_suppressed_role_gets_nothing_until_it_is_revived(cluster: Cluster) -> None:
    with Scheduler(cluster.port, framework_info("a", "b"), suppressed_roles=["a", "b"]) as scheduler:
        assert not scheduler.offers_come(QUIET_S)
        scheduler.call("REVIVE", {"roles": ["b"]})
        offer = scheduler.offer()
        assert offer["allocation_info"] == {"role": "b"}
        scheduler.call("SUPPRESS", {"roles": ["b"]})
        scheduler.decline(offer, 60)
        assert not scheduler.offers_come(QUIET_S)
        scheduler.call("REVIVE")
        assert scheduler.offer(), "REVIVE takes away suppression and filters, in all roles"


# ---------------------------------------------------------------- B5


def test_b5_an_offer_that_is_held_too_long_is_rescinded_and_no_longer_good(impatient: Cluster) -> None:
    for capabilities, state in ((MODERN, "TASK_DROPPED"), (("MULTI_ROLE",), "TASK_LOST")):
        with Scheduler(impatient.port, framework_info("held", capabilities=capabilities)) as scheduler:
            offer = scheduler.offer()
            rescinded = scheduler.stream.take("RESCIND")
            assert rescinded["rescind"] == {"offer_id": offer["id"]}
            scheduler.launch(offer, scheduler.task("late", offer))
            status = scheduler.update("late")
            assert (status["state"], status["reason"]) == (state, "REASON_INVALID_OFFERS")
            assert "uuid" not in status
            assert scheduler.offer()["id"] != offer["id"]


def test_b5_an_offer_times_out_as_recorded(impatient: Cluster, recordings: Path) -> None:
    path = recordings / "scheduler" / "13_offer_timeout_rescind.json"
    replay = Replay(impatient.port, json.loads(path.read_text(encoding="utf-8")))
    assert not (found := replay.run()), found


# ---------------------------------------------------------------- B7, B8, B9


def _constraint(predicate: Json, selector: Json | None = None) -> Json:
    constraint = {"selector": selector or {"attribute_name": "rack"}, "predicate": predicate}
    return {"role_constraints": {"test": {"groups": [{"attribute_constraints": [constraint]}]}}}


def _hosts_offered(scheduler: Scheduler) -> set[str]:
    """Return whose offers came in eight batches; each is held."""
    hosts: set[str] = set()
    while scheduler.offers_come(QUIET_S):
        hosts.add(scheduler.offer()["hostname"])
    return hosts


CONSTRAINTS: list[tuple[Json, Json | None, set[str]]] = [
    ({"text_matches": {"regex": "r[12]"}}, None, {"one", "two"}),
    ({"text_not_matches": {"regex": "r[12]"}}, None, {"three"}),
    ({"text_equals": {"value": "r3"}}, None, {"three"}),
    ({"exists": {}}, {"attribute_name": "level"}, {"one"}),
    ({"text_not_equals": {"value": "one"}}, {"pseudoattribute_type": "HOSTNAME"}, {"two", "three"}),
]


@pytest.mark.parametrize(("predicate", "selector", "hosts"), CONSTRAINTS)
def test_b7_offers_meet_the_constraints(
    racks: Cluster, predicate: Json, selector: Json | None, hosts: set[str]
) -> None:
    info = framework_info(capabilities=(*MODERN, "GPU_RESOURCES"))
    constraints = _constraint(predicate, selector)
    with Scheduler(racks.port, info, offer_constraints=constraints) as scheduler:
        assert _hosts_offered(scheduler) == hosts
        shown = next(one for one in get(racks.port, "/frameworks")["frameworks"] if one["id"] == scheduler.id)
        assert shown["offer_constraints"] == constraints


def test_b8_no_offer_is_smaller_than_both_alternatives(racks: Cluster) -> None:
    """The cluster's smallest offers have cpus:0.5 or mem:64."""
    with Scheduler(racks.port) as scheduler:
        offer = scheduler.offer(from_host("two"))
        most = scheduler.task("most", offer, "sleep 60", cpus=0.7, mem=216)
        scheduler.launch(offer, most)
        scheduler.update("most", "TASK_RUNNING")
        assert not scheduler.offers_come(QUIET_S, from_host("two")), "0.3 cpus and 40 MB are left"
        smaller = {"quantities": [{"quantities": {"cpus": {"value": 0.25}}}]}
        info = framework_info("modest", offer_filters={"modest": {"min_allocatable_resources": smaller}})
        with Scheduler(racks.port, info) as modest:
            assert amounts_of(modest.offer(from_host("two"))["resources"])["cpus"] == 0.3
        scheduler.kill("most")
        scheduler.update("most", "TASK_KILLED")


def test_b9_agents_with_gpus_are_for_frameworks_that_know_gpus(racks: Cluster) -> None:
    with Scheduler(racks.port) as scheduler:
        assert GPU_AGENT not in _hosts_offered(scheduler)
    with Scheduler(racks.port, framework_info(capabilities=(*MODERN, "GPU_RESOURCES"))) as scheduler:
        assert amounts_of(scheduler.offer(from_host(GPU_AGENT))["resources"])["gpus"] == 1.0


# ---------------------------------------------------------------- B10, B11, B12


def test_b10_a_role_is_added_without_a_new_subscription_and_some_fields_stay(cluster: Cluster) -> None:
    info = framework_info("before", principal="p", checkpoint=True)
    with Scheduler(cluster.port, info) as scheduler:
        scheduler.decline(scheduler.offer(), 60)
        changed = info | {"id": {"value": scheduler.id}, "roles": ["before", "added"], "name": "renamed"}
        scheduler.call("UPDATE_FRAMEWORK", {"framework_info": changed}, status=200)
        assert scheduler.offer()["allocation_info"] == {"role": "added"}
        shown = next(one for one in get(cluster.port, "/frameworks")["frameworks"] if one["id"] == scheduler.id)
        assert (shown["name"], shown["roles"]) == ("renamed", ["before", "added"])
        for field, value in (("user", "nobody"), ("principal", "q"), ("checkpoint", False)):
            text = scheduler.call("UPDATE_FRAMEWORK", {"framework_info": changed | {field: value}}, status=400)
            assert text.startswith(
                f"FrameworkInfo update is not valid: Updating 'FrameworkInfo.{field}' is unsupported".encode()
            )


def test_b10_constraints_are_changed_and_a_role_that_is_left_gives_its_offers_back(cluster: Cluster) -> None:
    info = framework_info("left", "test")
    with Scheduler(cluster.port, info, suppressed_roles=["test"]) as scheduler:
        offer = scheduler.offer()
        changed = info | {"id": {"value": scheduler.id}, "roles": ["test"]}
        body = {"framework_info": changed, "offer_constraints": _constraint({"text_equals": {"value": "r9"}})}
        scheduler.call("UPDATE_FRAMEWORK", body, status=200)
        assert scheduler.stream.take("RESCIND")["rescind"] == {"offer_id": offer["id"]}
        assert not scheduler.offers_come(QUIET_S), "no agent is in rack r9"
        scheduler.call("UPDATE_FRAMEWORK", {"framework_info": changed}, status=200)
        assert scheduler.offer()["allocation_info"] == {"role": "test"}


def test_b11_a_request_is_accepted_and_nothing_more(cluster: Cluster) -> None:
    with Scheduler(cluster.port) as scheduler:
        scheduler.decline(scheduler.offer(), 60)
        scheduler.call("REQUEST", {"requests": [{"resources": scalars(cpus=1)}]})
        assert not scheduler.offers_come(QUIET_S)


def test_b11_agents_off_the_whitelist_are_never_offered(racks: Cluster) -> None:
    with Scheduler(racks.port, framework_info(capabilities=(*MODERN, "GPU_RESOURCES"))) as scheduler:
        assert _hosts_offered(scheduler) == {"one", "two", "three"}


@pytest.mark.parametrize("knows", [True, False])
def test_b12_multi_role_decides_whether_allocations_are_told(cluster: Cluster, *, knows: bool) -> None:
    info = framework_info("some", capabilities=("MULTI_ROLE",) if knows else ())
    with Scheduler(cluster.port, info) as scheduler:
        offer = scheduler.offer()
        assert ("allocation_info" in offer) is knows
        assert all(("allocation_info" in resource) is knows for resource in offer["resources"])
        assert all(resource["role"] == "*" for resource in offer["resources"]), "without RESERVATION_REFINEMENT"
        scheduler.launch(offer, scheduler.task("t", offer))
        scheduler.update("t", "TASK_FINISHED")


@pytest.mark.parametrize("knows", [True, False])
def test_b12_task_killing_is_told_to_who_knows_the_state(cluster: Cluster, *, knows: bool) -> None:
    info = framework_info(capabilities=(*MODERN, "TASK_KILLING_STATE") if knows else MODERN)
    with Scheduler(cluster.port, info) as scheduler:
        offer = scheduler.offer()
        scheduler.launch(offer, scheduler.task("k", offer, "sleep 60"))
        scheduler.update("k", "TASK_RUNNING")
        scheduler.kill("k")
        states = list(itertools.islice(_states(scheduler, "k"), 2 if knows else 1))
        assert states == (["TASK_KILLING", "TASK_KILLED"] if knows else ["TASK_KILLED"])


def _states(scheduler: Scheduler, task_id: str) -> itertools.chain[str]:
    return itertools.chain.from_iterable([scheduler.update(task_id)["state"]] for _ in itertools.count())


@pytest.mark.parametrize("knows", [True, False])
def test_b12_reservation_refinement_decides_the_format_of_reserved_resources(racks: Cluster, *, knows: bool) -> None:
    capabilities = ("MULTI_ROLE", "RESERVATION_REFINEMENT") if knows else ("MULTI_ROLE",)
    with Scheduler(racks.port, framework_info("eng", capabilities=capabilities)) as scheduler:
        resources = scheduler.offer(from_host("two"))["resources"]
        if knows:
            reserved = [one for one in resources if "reservations" in one]
            assert {json.dumps(one["reservations"]) for one in reserved} == {'[{"type": "STATIC", "role": "eng"}]'}
            assert not any("role" in one for one in resources)
        else:
            reserved = [one for one in resources if one["role"] == "eng"]
            assert not any("reservations" in one for one in resources)
            assert all(one["role"] in {"eng", "*"} for one in resources)
        assert amounts_of(reserved) == {"cpus": 1.0, "mem": 128.0}
    with Scheduler(racks.port, framework_info("ops", capabilities=capabilities)) as scheduler:
        assert amounts_of(scheduler.offer(from_host("two"))["resources"])["cpus"] == 1.0, "A5: reserved for eng only"
