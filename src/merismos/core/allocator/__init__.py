"""Who is offered what: a hierarchical allocator by dominant resource fairness (L1)."""

from merismos.core.allocator.allocator import Allocator
from merismos.core.allocator.constraints import validate_constraints
from merismos.core.allocator.explanation import Explanation, NearestFit, Obstacle, Shortage
from merismos.core.allocator.settings import AllocatorSettings, Grant, RoleView

__all__ = [
    "Allocator",
    "AllocatorSettings",
    "Explanation",
    "Grant",
    "NearestFit",
    "Obstacle",
    "RoleView",
    "Shortage",
    "validate_constraints",
]
