"""Offers put together from pieces are, to the byte, what the encoder makes of the whole message."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from merismos.adapters.http.offers import OfferPieces
from merismos.core.master.state import Agent, Framework, Offer
from merismos.model.rejection import Rejection
from merismos.model.resource_notation import parse_resources
from merismos.model.resources import Resources
from merismos.protocol import json
from merismos.protocol.v1 import mesos, scheduler


def resources(text: str) -> Resources:
    parsed = parse_resources(text)
    assert not isinstance(parsed, Rejection)
    return parsed


def agent(name: str = "S0", hostname: str = "localhost") -> Agent:
    attribute = mesos.Attribute(name="rack", type=mesos.Value_Type.TEXT, text=mesos.Value_Text(value="r1"))
    info = mesos.AgentInfo(hostname=hostname, attributes=[attribute])
    made = Agent(name, info, b"", resources("cpus:4"), 0.0)
    made.pid = "slave(1)@127.0.0.1:5051"
    return made


def framework(*, multi_role: bool = True, refinement: bool = True) -> Framework:
    made = Framework(mesos.FrameworkInfo(user="u", name="n"), "F-1", 0.0)
    made.multi_role, made.refinement = multi_role, refinement
    return made


def whole(pieces: OfferPieces, offers: list[Offer]) -> bytes:
    messages = scheduler.Event_Offers(offers=[pieces.message(offer) for offer in offers])
    return json.encode(scheduler.Event(type=scheduler.Event_Type.OFFERS, offers=messages))


TEXTS = [
    "ports:[31000-31999];cpus:4;mem:2048;disk:4096",
    "ports:[31000-31010,31020-31999];cpus:3.9;mem:0.001",
    "cpus(eng):2;cpus:1;gpus:1",
    "zones:{a,b};cpus:100000000",
]


@given(
    text=st.sampled_from(TEXTS),
    role=st.sampled_from(["*", "eng", "eng/dev", "rôle"]),
    multi_role=st.booleans(),
    refinement=st.booleans(),
    hostname=st.text(max_size=8),
    executors=st.lists(st.text(max_size=4), max_size=2, unique=True),
    away_from=st.none() | st.integers(0, 2**40),
)
def test_pieces_and_whole_messages_are_the_same_bytes(
    text: str,
    role: str,
    multi_role: bool,
    refinement: bool,
    hostname: str,
    executors: list[str],
    away_from: int | None,
) -> None:
    pieces, owner, host = (
        OfferPieces(),
        framework(multi_role=multi_role, refinement=refinement),
        agent(hostname=hostname),
    )
    host.executors = dict.fromkeys([("F-1", name) for name in executors] + [("F-2", "other")])
    if away_from is not None:
        host.unavailability = mesos.Unavailability(start=mesos.TimeInfo(nanoseconds=away_from))
    offers = [Offer(f"O{number}", owner, host, role, resources(text), 0.0) for number in range(2)]
    expected = whole(pieces, offers)
    assert pieces.event(offers) == expected
    assert pieces.event(offers) == expected, "from kept pieces"
    assert expected.isascii()


def test_an_agent_that_came_back_with_other_attributes_or_another_port_is_offered_as_it_is_now() -> None:
    pieces, host = OfferPieces(), agent()
    offer = Offer("O1", framework(), host, "*", resources("cpus:1"), 0.0)
    assert b'"port":5051' in pieces.event([offer])
    host.pid = "slave(1)@127.0.0.1:6000"
    assert b'"port":6000' in pieces.event([offer])
    host.info = mesos.AgentInfo(hostname="other")
    assert b'"hostname":"other"' in pieces.event([offer])
    assert b"attributes" not in pieces.event([offer])


@pytest.mark.parametrize(
    ("multi_role", "refinement", "entry"),
    [
        (True, True, b'{"name":"cpus","type":"SCALAR","scalar":{"value":4.0},"allocation_info":{"role":"golden"}}'),
        (False, False, b'{"name":"cpus","type":"SCALAR","scalar":{"value":4.0},"role":"*"}'),
    ],
)
def test_a_framework_without_multi_role_sees_roles_and_no_allocation(
    multi_role: bool, refinement: bool, entry: bytes
) -> None:
    offer = Offer(
        "O1", framework(multi_role=multi_role, refinement=refinement), agent(), "golden", resources("cpus:4"), 0.0
    )
    event = OfferPieces().event([offer])
    assert entry in event
    assert (b"allocation_info" in event) is multi_role
