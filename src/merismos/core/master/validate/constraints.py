"""What offer constraints must be: for the framework's own roles, each with groups, selectors and one predicate."""

from __future__ import annotations

import re
from collections.abc import Sequence

from merismos.model.rejection import Rejection
from merismos.protocol.v1 import scheduler


def validate_constraints(roles: Sequence[str], constraints: scheduler.OfferConstraints | None) -> Rejection | None:
    """Return why a framework in `roles` can't have `constraints`, None when it can."""
    if constraints is None:
        return None
    for role, of_role in constraints.role_constraints.items():
        if role not in roles:
            # The missing blank here and below is Mesos' own.
            message = f"specify `role_constraints` for a role '{role}'not contained in the set of roles"
            return Rejection("offer_constraints_invalid", f"Offer constraints {message}")
        fault = _fault_of_role(role, of_role)
        if fault is not None:
            return Rejection("offer_constraints_invalid", f"Offer constraints are not valid: {fault}")
    return None


def _fault_of_role(role: str, of_role: scheduler.OfferConstraints_RoleConstraints) -> str | None:
    if not of_role.groups:
        return f"'OfferConstraints::role_constraints' has an empty 'RoleConstraints::groups' for role {role}"
    for group in of_role.groups:
        if not group.attribute_constraints:
            return (
                f"'OfferConstraints::RoleConstraints::groups' for role {role}contains an empty RoleConstraints::Group"
            )
        for constraint in group.attribute_constraints:
            fault = _fault_of_selector(constraint.selector) or _fault_of_predicate(constraint.predicate)
            if fault is not None:
                return f"A role {role} has an invalid 'AttributeConstraint': {fault}"
    return None


def _fault_of_selector(selector: scheduler.AttributeConstraint_Selector) -> str | None:
    if (selector.attribute_name is None) == (selector.pseudoattribute_type is None):
        return "Exactly one of 'Selector.attribute_name' and 'Selector.pseudoattribute_type' must be set"
    if selector.pseudoattribute_type is scheduler.AttributeConstraint_Selector_PseudoattributeType.UNKNOWN:
        return "Unknown pseudoattribute type"
    return None


def _fault_of_predicate(predicate: scheduler.AttributeConstraint_Predicate) -> str | None:
    patterns = [match.regex for match in (predicate.text_matches, predicate.text_not_matches) if match is not None]
    others = (predicate.exists, predicate.not_exists, predicate.text_equals, predicate.text_not_equals)
    if len(patterns) + sum(other is not None for other in others) != 1:
        return "A constraint must have exactly one known predicate"
    for pattern in patterns:
        try:
            re.compile(pattern)
        except re.error as error:
            place = pattern[error.pos or 0 :]
            reason = f"missing ]: {place}" if "character set" in error.msg else f"{error.msg}: {place}"
            return f"Failed to construct regex from pattern '{pattern}': {reason}"
    return None
