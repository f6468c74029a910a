"""Whatever a client of a master sends: one answer, no surprise, nothing lost."""

from __future__ import annotations

from typing import Any

import msgspec
from hypothesis import given, settings
from hypothesis import strategies as st

from merismos.core.master import events as happened
from merismos.protocol import link
from merismos.protocol.errors import DecodeError
from merismos.protocol.thin import decode_call
from unit.master.rig import MASTER_ID, Json, Rig, running

IDS = st.sampled_from(
    [
        "t-1",
        "",
        ".",
        "a/b",
        "x" * 300,
        f"{MASTER_ID}-S0",
        f"{MASTER_ID}-O0",
        f"{MASTER_ID}-O1",
        f"{MASTER_ID}-0000",
        "é",
    ]
)
ID = IDS.map(lambda text: {"value": text})
NUMBER = st.one_of(
    st.floats(allow_nan=False), st.integers(-(2**63), 2**63 - 1), st.just("NaN"), st.just("Infinity"), st.just("1.5")
)
RESOURCE = st.fixed_dictionaries(
    {
        "name": st.sampled_from(["cpus", "mem", "ports", "", "gpus"]),
        "type": st.sampled_from(["SCALAR", "RANGES", "SET"]),
    },
    optional={
        "scalar": st.fixed_dictionaries({"value": NUMBER}),
        "ranges": st.just({"range": [{"begin": 5, "end": 1}]}),
        "set": st.just({"item": ["a", "a"]}),
        "role": st.sampled_from(["*", "golden", "a b"]),
        "allocation_info": st.sampled_from([{"role": "golden"}, {"role": "x"}]),
        "reservations": st.just([{"type": "DYNAMIC", "role": "golden"}]),
        "revocable": st.just({}),
        "shared": st.just({}),
    },
)
DURATION = st.fixed_dictionaries({"nanoseconds": st.integers(-(2**63), 2**63 - 1)})
TASK = st.fixed_dictionaries(
    {"name": st.text(max_size=3), "task_id": ID, "agent_id": ID, "resources": st.lists(RESOURCE, max_size=3)},
    optional={
        "command": st.just({"value": "true"}),
        "executor": st.fixed_dictionaries({"executor_id": ID}, optional={"resources": st.lists(RESOURCE, max_size=2)}),
        "kill_policy": st.fixed_dictionaries({"grace_period": DURATION}),
        "max_completion_time": DURATION,
        "limits": st.dictionaries(st.sampled_from(["cpus", "mem", "x"]), st.fixed_dictionaries({"value": NUMBER})),
        "health_check": st.fixed_dictionaries({"type": st.sampled_from(["COMMAND", "HTTP", "TCP", "UNKNOWN"])}),
        "check": st.fixed_dictionaries({"type": st.sampled_from(["COMMAND", "HTTP", "TCP", "UNKNOWN"])}),
    },
)
OPERATION = st.one_of(
    st.fixed_dictionaries(
        {"type": st.just("LAUNCH"), "launch": st.fixed_dictionaries({"task_infos": st.lists(TASK, max_size=3)})}
    ),
    st.fixed_dictionaries({"type": st.sampled_from(["RESERVE", "DESTROY", "UNKNOWN", "LAUNCH"])}, optional={"id": ID}),
)
FILTERS = st.fixed_dictionaries({}, optional={"refuse_seconds": NUMBER})
UUIDS = st.sampled_from(["MDEyMzQ1Njc4OWFiY2RlZg==", "", "c2hvcnQ="])
ROLES = st.lists(st.sampled_from(["golden", "x", ""]), max_size=3)
BODIES: dict[str, st.SearchStrategy[Json]] = {
    "ACCEPT": st.fixed_dictionaries(
        {"offer_ids": st.lists(ID, max_size=3), "operations": st.lists(OPERATION, max_size=3)},
        optional={"filters": FILTERS},
    ),
    "DECLINE": st.fixed_dictionaries({"offer_ids": st.lists(ID, max_size=3)}, optional={"filters": FILTERS}),
    "REVIVE": st.fixed_dictionaries({"roles": ROLES}),
    "SUPPRESS": st.fixed_dictionaries({"roles": ROLES}),
    "KILL": st.fixed_dictionaries(
        {"task_id": ID},
        optional={"agent_id": ID, "kill_policy": st.fixed_dictionaries({"grace_period": DURATION})},
    ),
    "SHUTDOWN": st.fixed_dictionaries({"executor_id": ID, "agent_id": ID}),
    "ACKNOWLEDGE": st.fixed_dictionaries({"agent_id": ID, "task_id": ID, "uuid": UUIDS}),
    "ACKNOWLEDGE_OPERATION_STATUS": st.fixed_dictionaries({"uuid": UUIDS, "operation_id": ID}),
    "RECONCILE": st.fixed_dictionaries(
        {"tasks": st.lists(st.fixed_dictionaries({"task_id": ID}, optional={"agent_id": ID}), max_size=3)}
    ),
    "RECONCILE_OPERATIONS": st.fixed_dictionaries(
        {"operations": st.lists(st.fixed_dictionaries({"operation_id": ID}, optional={"agent_id": ID}), max_size=3)}
    ),
    "MESSAGE": st.fixed_dictionaries({"agent_id": ID, "executor_id": ID, "data": st.just("aGk=")}),
    "REQUEST": st.just({}),
    "ACCEPT_INVERSE_OFFERS": st.fixed_dictionaries({"inverse_offer_ids": st.lists(ID, max_size=2)}),
    "UPDATE_FRAMEWORK": st.fixed_dictionaries(
        {
            "framework_info": st.fixed_dictionaries(
                {"user": st.just("root"), "name": st.text(max_size=2), "id": ID},
                optional={"failover_timeout": NUMBER, "roles": ROLES, "checkpoint": st.booleans()},
            )
        }
    ),
    "NO_SUCH_TYPE": st.just({}),
}
CALL = st.sampled_from(sorted(BODIES)).flatmap(
    lambda kind: st.fixed_dictionaries({"type": st.just(kind), kind.lower(): BODIES[kind]})
)


def is_sound(rig: Rig) -> bool:
    """Whether the cluster still works: a fresh scheduler gets an offer of what is left."""
    fresh = rig.subscribe({"user": "u", "name": "fresh", "role": "fresh"})
    for framework_id in list(rig.master.frameworks):
        if framework_id != fresh.id:
            rig.operate({"type": "TEARDOWN", "teardown": {"framework_id": {"value": framework_id}}})
    rig.advance(5)
    return sum(offer["quantities"].get("cpus", 0) for offer in fresh.offers()) == 4000


@given(calls=st.lists(CALL, min_size=1, max_size=8))
@settings(max_examples=150, deadline=None)
def test_any_call_gets_one_answer_and_the_master_lives_on(calls: list[Json]) -> None:
    rig = Rig()
    framework, _ = running(rig)
    rig.advance(2)
    for call in calls:
        try:
            decoded = decode_call(msgspec.json.encode(call | {"framework_id": {"value": framework.id}}))
        except DecodeError:
            continue
        request = rig.token()
        rig.handle(happened.SchedulerCalled(request, decoded, framework.stream_id))
        assert rig.answers[request][0] in {200, 202, 400, 501}
    assert is_sound(rig)


STATES = st.sampled_from(["TASK_RUNNING", "TASK_FINISHED", "TASK_STAGING", "TASK_UNREACHABLE", "nonsense", ""])
MESSAGE: st.SearchStrategy[Any] = st.one_of(
    st.builds(link.UpdateStatus, IDS, IDS, STATES, STATES, st.binary(max_size=20), st.just(b"{}")),
    st.builds(link.ExitedExecutor, IDS, IDS, st.integers(-1, 65536)),
    st.builds(link.MessageFramework, IDS, IDS, st.binary(max_size=5)),
    st.builds(link.Pong, st.integers()),
    st.builds(link.Ping, st.integers()),
    st.builds(link.RegisterAgent, st.sampled_from([b"{}", b"", b'{"hostname":"h"}', b"\xff"]), IDS, IDS),
    st.builds(
        link.ReregisterAgent,
        IDS,
        st.sampled_from([b"{}", b"", b'{"hostname":"h"}']),
        IDS,
        IDS,
        tasks=st.lists(st.builds(link.TaskRecord, IDS, st.just(b"{}"), IDS, STATES), max_size=2),
        frameworks=st.lists(st.sampled_from([b"{}", b"", b'{"user":"u","name":"n","id":{"value":"f"}}']), max_size=2),
        executors=st.lists(st.builds(link.ExecutorRecord, IDS, st.just(b"{}")), max_size=2),
    ),
    st.builds(link.Hello),
)


@given(messages=st.lists(MESSAGE, min_size=1, max_size=8), known=st.booleans())
@settings(max_examples=150, deadline=None)
def test_any_message_of_a_link_leaves_the_master_alive(messages: list[Any], *, known: bool) -> None:
    rig = Rig()
    framework, agent = running(rig)
    stranger = rig.connect()
    for message in messages:
        (agent if known else stranger).send(message)
    rig.advance(30)
    assert framework.call("REVIVE") == (202, "")
    assert agent.id in rig.master.agents
