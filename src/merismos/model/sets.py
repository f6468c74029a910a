"""Sets of names, as resources of type SET hold them; immutable, printed in the order in which they were given."""

from __future__ import annotations

from collections.abc import Iterable, Iterator


class ItemSet:
    """An immutable set of strings with set algebra; falsy when empty; equality ignores the order.

    Shapes: `+` is union, `-` difference, `<=` subset, as Mesos defines them for sets.
    """

    __slots__ = ("_items",)

    def __init__(self, items: Iterable[str] = ()) -> None:
        self._items: dict[str, None] = dict.fromkeys(items)

    def __bool__(self) -> bool:
        return bool(self._items)

    def __iter__(self) -> Iterator[str]:
        return iter(self._items)

    def __contains__(self, item: str) -> bool:
        return item in self._items

    @property
    def size(self) -> int:
        """How many items are in it."""
        return len(self._items)

    def __add__(self, other: ItemSet) -> ItemSet:
        return ItemSet((*self._items, *other._items))

    def __sub__(self, other: ItemSet) -> ItemSet:
        gone = other._items
        return ItemSet(item for item in self._items if item not in gone)

    def __le__(self, other: ItemSet) -> bool:
        return self._items.keys() <= other._items.keys()

    def __eq__(self, other: object) -> bool:
        return isinstance(other, ItemSet) and self._items.keys() == other._items.keys()

    def __hash__(self) -> int:
        return hash(frozenset(self._items))

    def __str__(self) -> str:
        return "{" + ", ".join(self._items) + "}"

    def __repr__(self) -> str:
        return f"ItemSet({list(self._items)!r})"
