"""Quantities: how much of each name, without asking whose; the notation `cpus:0.01;mem:32` and its alternatives.

Units: thousandths, in plain dictionaries, as `Resources.quantities` gives them.
"""

from __future__ import annotations

from merismos.model.rejection import Rejection
from merismos.model.value_notation import noted_milli, parse_value, split_pair


def parse_quantities(text: str) -> dict[str, int] | Rejection:
    """Return the quantities that `text` notes; zeros are dropped, a repeated name adds up.

    Errors: Rejection `quantities_invalid` that quotes the part in question.
    """
    quantities: dict[str, int] = {}
    for token in text.split(";"):
        if not token.strip():
            continue
        pair = split_pair(token)
        if pair is None or not pair[0].strip():
            return Rejection("quantities_invalid", f"Failed to parse '{token}': missing or extra ':'")
        try:
            noted = parse_value(pair[1])
            value = noted_milli(noted) if isinstance(noted, float) else noted
        except ValueError as error:
            return Rejection("quantities_invalid", f"Failed to parse '{pair[1]}' to quantity: {error}")
        if not isinstance(value, int):
            return Rejection(
                "quantities_invalid", f"Failed to parse '{pair[1]}' to quantity: only scalar values are allowed"
            )
        if value:
            name = pair[0].strip()
            quantities[name] = quantities.get(name, 0) + value
    return quantities


def parse_alternatives(text: str) -> list[dict[str, int]] | Rejection:
    """Return the alternatives of `--min_allocatable_resources`: `cpus:0.01|mem:32` is at least so much CPU or so much memory.

    Errors: as `parse_quantities`.
    """
    alternatives: list[dict[str, int]] = []
    for part in text.split("|"):
        quantities = parse_quantities(part)
        if isinstance(quantities, Rejection):
            return quantities
        if quantities:
            alternatives.append(quantities)
    return alternatives
