"""Which agents a command may run on, as written on the command line.

Shapes: `rack=r1`, `rack!=r1`, `rack~REGEX`, `rack!~REGEX`, `rack` (the attribute is there), `!rack`; `hostname` is the host's name.
Rules: the master applies them, and so does the command, should the master be one that doesn't know them. A regular expression
must match the whole value.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, NamedTuple

from merismos.cli.errors import USAGE, CommandError
from merismos.protocol.v1 import scheduler

if TYPE_CHECKING:
    from merismos.sdk.offer import Offer

_RULE = re.compile(r"(?P<not>!?)(?P<name>[^=!~\s]+)(?:(?P<operator>==|=|!=|~|!~)(?P<value>.*))?")
_HOSTNAME = "hostname"
_Predicate = scheduler.AttributeConstraint_Predicate


class Constraint(NamedTuple):
    """One rule: `operator` is empty for mere presence."""

    name: str
    operator: str
    value: str
    negated: bool

    def holds(self, value: str | None) -> bool:
        """Say whether an agent serves whose attribute is `value`, None where it has none."""
        if not self.operator:
            return (value is not None) != self.negated
        if value is None:
            return self.negated
        same = re.fullmatch(self.value, value) is not None if self.operator == "~" else value == self.value
        return same != self.negated


def parse(rule: str) -> Constraint:
    """Return the constraint that `rule` writes.

    Errors: CommandError.
    """
    found = _RULE.fullmatch(rule)
    operator = (found["operator"] or "") if found else ""
    if found is None or (found["not"] and operator):
        raise CommandError(
            f"--constraint {rule!r} is no rule",
            "Write for example rack=r1, rack!=r1, rack~r[12], rack or !rack",
            code=USAGE,
        )
    kind = operator.removeprefix("!").replace("==", "=")
    constraint = Constraint(found["name"], kind, found["value"] or "", bool(found["not"]) or operator.startswith("!"))
    if kind == "~":
        try:
            re.compile(constraint.value)
        except re.error as error:
            raise CommandError(
                f"--constraint {rule!r}: {constraint.value!r} is no regular expression: {error}", code=USAGE
            ) from error
    return constraint


def offer_constraints(constraints: list[Constraint], role: str) -> scheduler.OfferConstraints | None:
    """Return what the master is told."""
    if not constraints:
        return None
    group = scheduler.OfferConstraints_RoleConstraints_Group(
        attribute_constraints=[
            scheduler.AttributeConstraint(selector=_selector(one), predicate=_predicate(one)) for one in constraints
        ]
    )
    return scheduler.OfferConstraints(
        role_constraints={role: scheduler.OfferConstraints_RoleConstraints(groups=[group])}
    )


def accepts(constraints: list[Constraint], offer: Offer) -> bool:
    """Say whether an offer's agent serves."""
    attributes = offer.attributes | {_HOSTNAME: offer.hostname}
    return all(one.holds(attributes.get(one.name)) for one in constraints)


def _selector(constraint: Constraint) -> scheduler.AttributeConstraint_Selector:
    if constraint.name == _HOSTNAME:
        pseudo = scheduler.AttributeConstraint_Selector_PseudoattributeType.HOSTNAME
        return scheduler.AttributeConstraint_Selector(pseudoattribute_type=pseudo)
    return scheduler.AttributeConstraint_Selector(attribute_name=constraint.name)


def _predicate(constraint: Constraint) -> _Predicate:
    value = constraint.value
    match constraint.operator, constraint.negated:
        case "=", False:
            return _Predicate(text_equals=scheduler.AttributeConstraint_Predicate_TextEquals(value=value))
        case "=", True:
            return _Predicate(text_not_equals=scheduler.AttributeConstraint_Predicate_TextNotEquals(value=value))
        case "~", False:
            return _Predicate(text_matches=scheduler.AttributeConstraint_Predicate_TextMatches(regex=value))
        case "~", True:
            return _Predicate(text_not_matches=scheduler.AttributeConstraint_Predicate_TextNotMatches(regex=value))
        case _, True:
            return _Predicate(not_exists=scheduler.AttributeConstraint_Predicate_NotExists())
    return _Predicate(exists=scheduler.AttributeConstraint_Predicate_Exists())
