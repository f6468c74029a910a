"""The flags of classes of network traffic: what can't be read is refused with what to write."""

from __future__ import annotations

import pytest

from merismos.core.containers.net_class_plan import NetClasses
from merismos.daemons.agent_isolation import net_classes_of
from merismos.shell import flag_tables
from merismos.shell.flags import FlagError, parse

PRIMARY, SECONDARY = "--cgroups_net_cls_primary_handle=", "--cgroups_net_cls_secondary_handles="


def classes(*given: str) -> NetClasses | None:
    return net_classes_of(parse(flag_tables.AGENT, list(given), {}, effective=frozenset()))


def test_without_a_first_half_the_operator_gives_classes() -> None:
    assert classes() is None


def test_the_second_half_is_any_but_zero_unless_a_range_is_given() -> None:
    assert classes(f"{PRIMARY}0x12") == NetClasses(0x12, 1, 0xFFFF)
    assert classes(f"{PRIMARY}0x12", f"{SECONDARY}0xAB,0xcd") == NetClasses(0x12, 0xAB, 0xCD)


@pytest.mark.parametrize(
    ("given", "why"),
    [
        ([f"{SECONDARY}0x1,0x2"], "needs --cgroups_net_cls_primary_handle"),
        ([f"{PRIMARY}12"], "write halves of 16 bits"),
        ([f"{PRIMARY}0x12345"], "write halves of 16 bits"),
        ([f"{PRIMARY}0x1", f"{SECONDARY}0x1"], "write halves of 16 bits"),
        ([f"{PRIMARY}0x1", f"{SECONDARY}0x2,0x1"], "must rise"),
        ([f"{PRIMARY}0x0"], "no half may be 0"),
    ],
)
def test_what_cannot_be_read_is_refused(given: list[str], why: str) -> None:
    with pytest.raises(FlagError, match=why):
        classes(*given)
