from __future__ import annotations

import ipaddress

import pytest
from hypothesis import given
from hypothesis import strategies as st

from merismos.core.election import Candidacy, Place, epoch_of, leader_of, leading, sequence_of
from merismos.core.master.views.values import master_info_of
from merismos.ports.contender import Deposed, Elected, Restored, Standing, Suspended
from merismos.ports.detector import Leader
from merismos.protocol import json

BORN_S = 1_790_000_000


def name(sequence: int) -> str:
    return f"json.info_{sequence:010d}"


@pytest.mark.parametrize(
    "other",
    ["log_replicas", "info_0000000001", "json.info_1", "json.info_-000000001", "json.info_00000000٣1", "json.info_"],
)
def test_what_is_no_candidates_name_has_no_number_and_never_leads(other: str) -> None:
    assert sequence_of(other) is None
    assert leading([other]) is None
    assert leading([other, name(7)]) == name(7)


@given(st.sets(st.integers(0, 2**31 - 1), min_size=1))
def test_the_lowest_number_leads(numbers: set[int]) -> None:
    assert leading(map(name, numbers)) == name(min(numbers))


def test_epochs_grow_with_the_number_and_again_when_everything_was_lost() -> None:
    assert epoch_of(BORN_S, name(3)) < epoch_of(BORN_S, name(4)) < epoch_of(BORN_S + 60, name(0))
    assert epoch_of(2**32, name(2**20)) < 2**53, "JSON carries it"


def test_a_candidates_introduction_reads_back() -> None:
    info = master_info_of("m-1", "10.1.2.3", 5050, "one.example")
    assert leader_of(json.encode(info), 9) == Leader("10.1.2.3", 5050, "one.example", "m-1", 9)
    assert info.ip == int.from_bytes(ipaddress.ip_address("10.1.2.3").packed, "little")


def test_an_introduction_without_an_address_is_read_by_its_number() -> None:
    data = b'{"id":"m","ip":16777343,"port":5050,"pid":"master@127.0.0.1:5050"}'
    assert leader_of(data, 1) == Leader("127.0.0.1", 5050, "127.0.0.1", "m", 1)


@pytest.mark.parametrize("data", [b"", b"{}", b"\xff", b"[]", b'{"id":"m","ip":99999999999,"port":1}'])
def test_an_introduction_that_can_not_be_read_is_nobody(data: bytes) -> None:
    assert leader_of(data, 1) is None


def told(candidacy: Candidacy, *numbers: int) -> list[Standing]:
    return list(candidacy.seen([name(number) for number in numbers], BORN_S))


def elected() -> Candidacy:
    candidacy = Candidacy()
    candidacy.joined(name(1))
    assert told(candidacy, 1, 2) == [Elected(epoch_of(BORN_S, name(1)))]
    return candidacy


def test_a_candidate_waits_for_those_before_it() -> None:
    candidacy = Candidacy()
    assert told(candidacy, 1) == []
    candidacy.joined(name(3))
    assert told(candidacy, 1, 3) == told(candidacy, 2, 3) == []
    assert told(candidacy, 3) == [Elected(epoch_of(BORN_S, name(3)))]
    assert told(candidacy, 3) == [], "it is told once"


def test_a_doubted_leader_is_suspended_once_and_restored_only_by_what_it_sees() -> None:
    candidacy = elected()
    assert list(candidacy.doubted("away")) == [Suspended("away")]
    assert list(candidacy.doubted("away")) == []
    assert told(candidacy, 1, 2) == [Restored()]


@pytest.mark.parametrize("suspended", [False, True])
@pytest.mark.parametrize("present", [(0, 1, 2), (2,), ()])
def test_a_leader_that_sees_another_lead_or_itself_gone_never_leads_again(
    present: tuple[int, ...], *, suspended: bool
) -> None:
    candidacy = elected()
    if suspended:
        candidacy.doubted("away")
    (deposed,) = told(candidacy, *present)
    assert isinstance(deposed, Deposed)
    assert candidacy.place is Place.OVER
    assert told(candidacy, 1) == list(candidacy.lost("session")) == list(candidacy.doubted("away")) == []


def test_only_who_led_is_deposed_by_a_lost_session() -> None:
    led, waited = elected(), Candidacy()
    waited.joined(name(2))
    assert list(led.lost("expired")) == [Deposed("expired")]
    assert list(waited.doubted("away")) == list(waited.lost("expired")) == []
    waited.joined(name(5))
    assert told(waited, 5) == [Elected(epoch_of(BORN_S, name(5)))]
