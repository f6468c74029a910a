"""Offer constraints: which agents a framework wants to be offered in a role.

Rules: a role's constraint is a list of groups; an agent is admitted when every constraint of some group holds. A named constraint
looks at the first attribute of that name. A text predicate holds for an attribute that isn't text, so that nobody loses offers by
a mix-up of types; a missing attribute fails the positive predicates and passes the negative ones.
Source: semantics and messages as in Mesos, see also docs/decisions/0010-offer-constraint-patterns.md.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING

from merismos.core.allocator.patterns import PROGRAM_SIZE_MAX, Pattern, PatternError
from merismos.model.rejection import Rejection

if TYPE_CHECKING:
    from merismos.protocol.v1 import mesos, scheduler

Predicate = Callable[[str], bool]


class _Condition:
    """One attribute constraint, compiled.

    Shapes: `pseudo` HOSTNAME, REGION or ZONE, else `name` counts; `text` decides on text, `missing` on an attribute that isn't there.
    """

    __slots__ = ("missing", "name", "pseudo", "text")

    def __init__(self, name: str | None, pseudo: str | None, text: Predicate, *, missing: bool) -> None:
        self.name = name
        self.pseudo = pseudo
        self.text = text
        self.missing = missing

    def holds(self, attributes: Sequence[mesos.Attribute], pseudo: dict[str, str | None], *, about_text: bool) -> bool:
        if self.pseudo is not None:
            value = pseudo[self.pseudo]
            return self.missing if value is None else self.text(value)
        for attribute in attributes:
            if attribute.name == self.name:
                if attribute.text is None:
                    return about_text or not self.missing
                return self.text(attribute.text.value)
        return self.missing


class RoleCondition:
    """The constraints of one role, compiled."""

    __slots__ = ("_groups",)

    def __init__(self, groups: Sequence[Sequence[scheduler.AttributeConstraint]], program_size_max: int) -> None:
        self._groups = [[_compiled(constraint, program_size_max) for constraint in group] for group in groups]

    def admits(
        self, attributes: Sequence[mesos.Attribute], hostname: str, region: str | None, zone: str | None
    ) -> bool:
        """Return whether an agent with these properties may be offered."""
        pseudo = {"HOSTNAME": hostname, "REGION": region, "ZONE": zone}
        return any(
            all(condition.holds(attributes, pseudo, about_text=about_text) for condition, about_text in group)
            for group in self._groups
        )


def _compiled(constraint: scheduler.AttributeConstraint, size_max: int) -> tuple[_Condition, bool]:
    """Return a condition, and whether it is about text.

    Errors: PatternError, and ValueError for a selector or predicate that says nothing.
    """
    selector = constraint.selector
    name = selector.attribute_name
    pseudo = None if selector.pseudoattribute_type is None else str(selector.pseudoattribute_type)
    if (name is None) == (pseudo is None):
        raise ValueError(
            "Exactly one of 'AttributeConstraint::Selector::name' or"
            " 'AttributeConstraint::Selector::pseudoattribute_type' must be set"
        )
    if pseudo == "UNKNOWN":
        raise ValueError("Unknown pseudoattribute type")
    about_text, missing, decide = _decision(constraint.predicate, size_max)
    return _Condition(name, pseudo, decide, missing=missing), about_text


def _decision(predicate: scheduler.AttributeConstraint_Predicate, size_max: int) -> tuple[bool, bool, Predicate]:
    """Return whether a predicate is about text, what it says of a missing attribute, and what of a text."""
    decisions: list[tuple[bool, bool, Predicate]] = []
    if predicate.exists is not None:
        decisions.append((False, False, lambda _: True))
    if predicate.not_exists is not None:
        decisions.append((False, True, lambda _: False))
    if predicate.text_equals is not None:
        decisions.append((True, False, predicate.text_equals.value.__eq__))
    if predicate.text_not_equals is not None:
        decisions.append((True, True, predicate.text_not_equals.value.__ne__))
    if predicate.text_matches is not None:
        decisions.append((True, False, _pattern(predicate.text_matches.regex, size_max).matches))
    if predicate.text_not_matches is not None:
        avoided = _pattern(predicate.text_not_matches.regex, size_max)
        decisions.append((True, True, lambda text: not avoided.matches(text)))
    if len(decisions) != 1:
        raise ValueError("Unknown predicate type")
    return decisions[0]


def _pattern(regex: str, size_max: int) -> Pattern:
    try:
        return Pattern(regex, size_max)
    except PatternError as error:
        raise PatternError(f"Failed to construct regex from pattern '{regex}': {error}") from None


def conditions_of(
    constraints: scheduler.OfferConstraints | None, program_size_max: int = PROGRAM_SIZE_MAX
) -> dict[str, RoleCondition]:
    """Return the compiled conditions by role; what `validate_constraints` is content with compiles."""
    if constraints is None:
        return {}
    return {
        role: RoleCondition([group.attribute_constraints for group in of_role.groups], program_size_max)
        for role, of_role in constraints.role_constraints.items()
    }


def validate_constraints(
    constraints: scheduler.OfferConstraints | None, roles: Sequence[str], program_size_max: int = PROGRAM_SIZE_MAX
) -> Rejection | None:
    """Return why a framework in `roles` can't have these constraints, None when it can.

    Errors: reason `offer_constraints_invalid`, Mesos' messages.
    """
    if constraints is None:
        return None
    for role in constraints.role_constraints:
        if role not in roles:
            return _refused(
                f"Offer constraints specify `role_constraints` for a role '{role}'not contained in the set of roles"
            )
    for role, of_role in constraints.role_constraints.items():
        fault = _fault(role, of_role, program_size_max)
        if fault is not None:
            return _refused(f"Offer constraints are not valid: {fault}")
    return None


def _fault(role: str, of_role: scheduler.OfferConstraints_RoleConstraints, program_size_max: int) -> str | None:
    if not of_role.groups:
        return f"'OfferConstraints::role_constraints' has an empty 'RoleConstraints::groups' for role {role}"
    for group in of_role.groups:
        if not group.attribute_constraints:
            return (
                f"'OfferConstraints::RoleConstraints::groups' for role {role}contains an empty RoleConstraints::Group"
            )
        for constraint in group.attribute_constraints:
            try:
                _compiled(constraint, program_size_max)
            except ValueError as error:
                return f"A role {role} has an invalid 'AttributeConstraint': {error}"
    return None


def _refused(message: str) -> Rejection:
    return Rejection("offer_constraints_invalid", message)
