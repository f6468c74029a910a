"""What an allocator is told once, and what it tells at every cycle."""

from __future__ import annotations

from typing import Final, Literal

import msgspec

from merismos.model.resources import Resources

Sorter = Literal["drf", "random"]
MIN_ALLOCATABLE_DEFAULT: Final[tuple[tuple[tuple[str, int], ...], ...]] = ((("cpus", 10),), (("mem", 32_000),))


class AllocatorSettings(msgspec.Struct, kw_only=True):
    """The flags that decide about allocation.

    Shapes: `min_allocatable` alternatives, an offer reaches all of one of them; empty asks for nothing. `whitelist` hostnames, None
    for every agent. `offers_held_max` 0: half of the agents. `region` where the master is; None turns the region gate off.
    Units: quantities in thousandths.
    """

    allocation_interval_s: float = 1.0
    debounce_s: float = 0.002
    min_allocatable: list[dict[str, int]] = msgspec.field(
        default_factory=lambda: [dict(one) for one in MIN_ALLOCATABLE_DEFAULT]
    )
    fair_sharing_excluded: list[str] = []
    role_sorter: Sorter = "drf"
    framework_sorter: Sorter = "drf"
    filter_gpu_resources: bool = True
    whitelist: list[str] | None = None
    offers_held_max: int = 0
    region: str | None = None


class Grant(msgspec.Struct, gc=False):
    """Resources of one agent for one framework in one role; charged to it already."""

    framework_id: str
    role: str
    agent_id: str
    resources: Resources


class RoleView(msgspec.Struct, frozen=True, gc=False):
    """What one role has, with all that is below it.

    Shapes: `share` is the dominant share divided by the weight; `filters` the (agent, framework) pairs with a filter in this role.
    Units: quantities in thousandths.
    """

    role: str
    weight: float
    share: float
    allocated_milli: dict[str, int]
    frameworks: list[str]
    filters: int
