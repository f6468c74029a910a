"""Frameworks, and the bits that stand for them: every (framework, role) is one bit of every mask.

Rules:
- A bit means one thing as long as any agent's filters may name it. A slot that goes, or whose filters are cleared, retires its bit;
  retired bits are used again only after they were swept out of every agent at once. So REVIVE costs nothing per agent.
- What an offer depends on besides fairness is a mask here: who lacks a capability, who asks for another smallest offer.
"""

from __future__ import annotations

from collections.abc import Container, Mapping
from typing import TYPE_CHECKING, Final

from merismos.core.allocator.tree import Minimum, Slot

if TYPE_CHECKING:
    from merismos.core.allocator.constraints import RoleCondition

GATES: Final = ("GPU_RESOURCES", "REGION_AWARE", "REVOCABLE_RESOURCES", "SHARED_RESOURCES", "RESERVATION_REFINEMENT")
RETIRED_MAX: Final = 64


class Framework:
    """What the allocator knows of a framework.

    Shapes: `mask` the bits of its subscribed slots; `held` its unanswered offers.
    """

    __slots__ = ("active", "capabilities", "conditions", "held", "id", "mask", "minimums", "slots")

    def __init__(self, framework_id: str) -> None:
        self.id = framework_id
        self.active = False
        self.capabilities: Container[str] = ()
        self.conditions: dict[str, RoleCondition] = {}
        self.minimums: Mapping[str, Minimum] = {}
        self.slots: dict[str, Slot] = {}
        self.mask = 0
        self.held = 0


class SlotTable:
    """Gives out bits and keeps the masks of what slots lack and want.

    Shapes: `lacking` by capability; `minima` by the alternatives of the smallest offer; `constrained` every slot with offer
    constraints.
    """

    def __init__(self) -> None:
        self._by_bit: list[Slot | None] = []
        self._free: list[int] = []
        self._live = 0
        self.retired = 0
        self.retired_max = RETIRED_MAX  # or as many as are in use, where those are more
        self.lacking: dict[str, int] = dict.fromkeys(GATES, 0)
        self.minima: dict[Minimum, int] = {}
        self.own_minimum = 0
        self.constrained: dict[Slot, RoleCondition] = {}

    def slot_of(self, bit: int) -> Slot:
        """Return the slot that a bit stands for."""
        slot = self._by_bit[bit.bit_length() - 1]
        assert slot is not None
        return slot

    def assign(self, slot: Slot) -> None:
        """Give a slot a bit that no filter names."""
        if self._free:
            index = self._free.pop()
            self._by_bit[index] = slot
        else:
            index = len(self._by_bit)
            self._by_bit.append(slot)
        self._live += 1
        slot.bit = 1 << index
        slot.filtered_ever = False
        self.describe(slot)

    def retire(self, slot: Slot) -> None:
        """Take a slot's bit away; it waits for `recycle`."""
        self.undescribe(slot)
        bit, slot.bit = slot.bit, 0
        self._by_bit[bit.bit_length() - 1] = None
        self._live -= 1
        self.retired |= bit

    def describe(self, slot: Slot) -> None:
        """Enter a slot's bit into the masks that its framework's properties call for."""
        bit, framework = slot.bit, slot.framework
        framework.mask |= bit
        for capability in GATES:
            if capability not in framework.capabilities:
                self.lacking[capability] |= bit
        slot.minimum = framework.minimums.get(slot.role)
        if slot.minimum is not None:
            self.minima[slot.minimum] = self.minima.get(slot.minimum, 0) | bit
            self.own_minimum |= bit
        condition = framework.conditions.get(slot.role)
        if condition is not None:
            self.constrained[slot] = condition

    def undescribe(self, slot: Slot) -> None:
        """Take a slot's bit out of every mask but those of agents."""
        bit = slot.bit
        slot.framework.mask &= ~bit
        for capability in GATES:
            self.lacking[capability] &= ~bit
        if slot.minimum is not None:
            rest = self.minima[slot.minimum] & ~bit
            if rest:
                self.minima[slot.minimum] = rest
            else:
                del self.minima[slot.minimum]
            self.own_minimum &= ~bit
        self.constrained.pop(slot, None)

    def should_recycle(self) -> bool:
        """Whether so many bits wait that sweeping them out of every agent pays."""
        return self.retired.bit_count() >= max(self.retired_max, self._live)

    def recycle(self) -> int:
        """Return the retired bits for the caller to sweep; they may be given out again at once."""
        swept, self.retired = self.retired, 0
        rest = swept
        while rest:
            bit = rest & -rest
            self._free.append(bit.bit_length() - 1)
            rest ^= bit
        self._free.sort(reverse=True)
        return swept
