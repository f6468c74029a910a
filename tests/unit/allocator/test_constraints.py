from __future__ import annotations

import pytest

from merismos.core.allocator import validate_constraints
from merismos.core.allocator.constraints import conditions_of
from merismos.protocol.v1 import scheduler
from unit.allocator.rig import attributes, constraint, constraints

HERE = attributes("rack:r1;level:10;rack:r2")


def admits(one: scheduler.AttributeConstraint, *, region: str | None = None, zone: str | None = None) -> bool:
    condition = conditions_of(constraints("eng", [one]))["eng"]
    return condition.admits(HERE, "host7.example", region, zone)


@pytest.mark.parametrize(
    ("name", "predicate", "expected"),
    [
        ("rack", {"exists": True}, True),
        ("rack", {"not_exists": True}, False),
        ("rack", {"text_equals": "r1"}, True),
        ("rack", {"text_equals": "r2"}, False),
        ("rack", {"text_not_equals": "r1"}, False),
        ("rack", {"text_not_equals": "r2"}, True),
        ("rack", {"text_matches": "r[0-9]"}, True),
        ("rack", {"text_matches": "r"}, False),
        ("rack", {"text_not_matches": "r[0-9]"}, False),
        ("rack", {"text_not_matches": "r"}, True),
        ("gone", {"exists": True}, False),
        ("gone", {"not_exists": True}, True),
        ("gone", {"text_equals": "x"}, False),
        ("gone", {"text_not_equals": "x"}, True),
        ("gone", {"text_matches": ".*"}, False),
        ("gone", {"text_not_matches": ".*"}, True),
        ("level", {"exists": True}, True),
        ("level", {"not_exists": True}, False),
        ("level", {"text_equals": "11"}, True),
        ("level", {"text_not_equals": "10"}, True),
        ("level", {"text_matches": "x"}, True),
        ("level", {"text_not_matches": ".*"}, True),
    ],
)
def test_a_named_attribute_is_tested_as_mesos_does(name: str, predicate: dict[str, object], expected: bool) -> None:
    assert admits(constraint(name, **predicate)) is expected


@pytest.mark.parametrize(
    ("pseudo", "predicate", "expected"),
    [
        ("HOSTNAME", {"text_equals": "host7.example"}, True),
        ("HOSTNAME", {"text_matches": "host[0-5].*"}, False),
        ("REGION", {"text_equals": "eu"}, True),
        ("REGION", {"text_not_equals": "eu"}, False),
        ("ZONE", {"exists": True}, False),
        ("ZONE", {"not_exists": True}, True),
        ("ZONE", {"text_not_equals": "a"}, True),
    ],
)
def test_a_pseudoattribute_is_tested_like_text(pseudo: str, predicate: dict[str, object], expected: bool) -> None:
    assert admits(constraint(pseudo=pseudo, **predicate), region="eu") is expected


def test_all_constraints_of_any_group_must_hold() -> None:
    first, second = constraint(text_equals="r1"), constraint(pseudo="HOSTNAME", text_equals="other")

    def admitted(*groups: list[scheduler.AttributeConstraint]) -> bool:
        return conditions_of(constraints("eng", *groups))["eng"].admits(HERE, "host", None, None)

    assert not admitted([first, second])
    assert admitted([first], [second])
    assert not admitted([second])


def refused(made: scheduler.OfferConstraints) -> str | None:
    rejection = validate_constraints(made, ["golden"])
    return None if rejection is None else rejection.message


@pytest.mark.parametrize(
    ("made", "message"),
    [
        (
            constraints("golden", [constraint(text_matches="[")]),
            (
                "Offer constraints are not valid: A role golden has an invalid 'AttributeConstraint': "
                "Failed to construct regex from pattern '[': missing ]: ["
            ),
        ),
        (
            constraints("golden", []),
            (
                "Offer constraints are not valid: 'OfferConstraints::RoleConstraints::groups' for role golden"
                "contains an empty RoleConstraints::Group"
            ),
        ),
        (
            constraints("golden"),
            (
                "Offer constraints are not valid: 'OfferConstraints::role_constraints' has an empty "
                "'RoleConstraints::groups' for role golden"
            ),
        ),
        (
            constraints("zzz", [constraint(exists=True)]),
            "Offer constraints specify `role_constraints` for a role 'zzz'not contained in the set of roles",
        ),
    ],
    ids=["bad_regex", "empty_group", "no_groups", "other_role"],
)
def test_bad_constraints_are_refused_in_the_words_of_a_real_mesos(
    made: scheduler.OfferConstraints, message: str
) -> None:
    assert refused(made) == message


def test_selectors_and_predicates_that_say_nothing_are_refused() -> None:
    selector, predicate = scheduler.AttributeConstraint_Selector, scheduler.AttributeConstraint_Predicate
    nameless = scheduler.AttributeConstraint(
        selector=selector(), predicate=predicate(exists=scheduler.AttributeConstraint_Predicate_Exists())
    )
    pointless = scheduler.AttributeConstraint(selector=selector(attribute_name="rack"), predicate=predicate())
    assert "must be set" in (refused(constraints("golden", [nameless])) or "")
    assert "Unknown pseudoattribute type" in (
        refused(constraints("golden", [constraint(pseudo="UNKNOWN", exists=True)])) or ""
    )
    assert "Unknown predicate type" in (refused(constraints("golden", [pointless])) or "")


def test_good_constraints_and_none_pass() -> None:
    assert validate_constraints(None, []) is None
    assert refused(constraints("golden", [constraint(text_matches="r[12]")], [constraint(not_exists=True)])) is None


def test_a_pattern_that_is_too_big_is_refused() -> None:
    message = refused(constraints("golden", [constraint(text_matches="(a{100}){100}")]))
    assert message is not None
    assert message.endswith("pattern too large - compile failed")
