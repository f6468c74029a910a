"""Time, chance and the ways that messages take.

Rules: one agenda orders all that happens; what is due at the same instant happens in the order in which it was planned. A pipe
keeps the order of what goes through it and loses the rest once it is cut; two pipes know nothing of each other.
"""

from __future__ import annotations

import heapq
from collections.abc import Callable, Sequence
from typing import Any, Generic, Protocol, TypeVar

from merismos.core.kernel import Prng

Item = TypeVar("Item")
Far_contra = TypeVar("Far_contra", contravariant=True)
Action = Callable[[], None]

_NOTHING = object()
CALM_DELAY_S = 0.0005
DRAWS = 1000
OVERTAKEN = 5
TWICE = 60


class Dice(Prng):
    """The generator of the cores, with what a script draws from it."""

    __slots__ = ()

    def below(self, bound: int) -> int:
        """Return an integer in [0, bound)."""
        return self.next_u64() % bound

    def chance(self, percent: int) -> bool:
        """Return whether something of so many percent happens."""
        return self.next_u64() % 100 < percent

    def pick(self, choices: Sequence[Item]) -> Item:
        """Return one of `choices`."""
        return choices[self.next_u64() % len(choices)]


class Agenda:
    """What is yet to happen.

    Units: `now` and delays in seconds of virtual time.
    """

    __slots__ = ("_heap", "_order", "now")

    def __init__(self, now: float) -> None:
        self.now = now
        self._heap: list[tuple[float, int, Callable[..., None], Any]] = []
        self._order = 0

    def at(self, instant: float, action: Action) -> None:
        """Plan `action`."""
        self._order += 1
        heapq.heappush(self._heap, (instant, self._order, action, _NOTHING))

    def after(self, delay_s: float, action: Action) -> None:
        """Plan `action` for `delay_s` from now."""
        self.at(self.now + delay_s, action)

    def next(self) -> float | None:
        """Return when the next thing happens."""
        return self._heap[0][0] if self._heap else None

    def deliver(self, instant: float, receive: Callable[[Item], None], item: Item) -> None:
        """Plan that `item` is received."""
        self._order += 1
        heapq.heappush(self._heap, (instant, self._order, receive, item))

    def go(self) -> None:
        """Let the next thing happen."""
        _, _, action, item = heapq.heappop(self._heap)
        if item is _NOTHING:
            action()
        else:
            action(item)


class Sleeper(Protocol):
    """Who wants to be woken; `armed_at` is when, None for never."""

    armed_at: float | None


class Parted(Protocol[Far_contra]):
    """An agent or scheduler that can be parted from a far end; `name` is its own."""

    name: str

    def clog(self, far: Far_contra, duration_s: float) -> None:
        """Hold back what goes to and from there for a while."""
        ...


Woken = TypeVar("Woken", bound=Sleeper)


class Alarms(Generic[Woken]):
    """When each machine wants its next timer.

    Shapes: a heap with lazy deletion; an entry counts while its machine's `armed_at` is the entry's.
    """

    __slots__ = ("_heap", "_order")

    def __init__(self) -> None:
        self._heap: list[tuple[float, int, Woken]] = []
        self._order = 0

    def set(self, sleeper: Woken, at: float | None) -> None:
        """Wake `sleeper` at this instant and at no other."""
        if at == sleeper.armed_at:
            return
        sleeper.armed_at = at
        if at is not None:
            self._order += 1
            heapq.heappush(self._heap, (at, self._order, sleeper))

    def next(self) -> tuple[float, int, Woken] | None:
        """Return the earliest alarm that still counts."""
        heap = self._heap
        while heap:
            if heap[0][2].armed_at == heap[0][0]:
                return heap[0]
            heapq.heappop(heap)
        return None


class Weather:
    """How long a message takes, and how long it takes to see that a connection is dead."""

    __slots__ = ("_dice", "calm")

    def __init__(self, dice: Dice) -> None:
        self._dice = dice
        self.calm = False

    def delay_s(self) -> float:
        """Return the delay of one message: mostly short, sometimes not."""
        if self.calm:
            return CALM_DELAY_S
        draw = self._dice.below(1000)
        if draw < 880:  # noqa: PLR2004 - the distribution is these numbers
            return self._dice.uniform(0.0001, 0.005)
        if draw < 995:  # noqa: PLR2004 - odds of a hundred or a thousand
            return self._dice.uniform(0.005, 0.5)
        return self._dice.uniform(0.5, 12.0)

    def notice_s(self) -> float:
        """Return after how long one side of a broken connection learns of it."""
        if self.calm:
            return CALM_DELAY_S
        return self._dice.uniform(0.0, 0.5) if self._dice.chance(75) else self._dice.uniform(0.5, 120.0)

    def write_s(self) -> float:
        """Return how long a write to a disk takes."""
        if self.calm:
            return CALM_DELAY_S
        return self._dice.uniform(0.0001, 0.003) if self._dice.chance(97) else self._dice.uniform(0.003, 2.0)

    def notice_of_watch_s(self) -> float:
        """Return after how long a watch fires."""
        if self.calm:
            return CALM_DELAY_S
        return self._dice.uniform(0.0, 0.1) if self._dice.chance(80) else self._dice.uniform(0.1, 15.0)


class Partitions:
    """Who can't reach whom, by name, and until when."""

    __slots__ = ("_until",)

    def __init__(self) -> None:
        self._until: dict[tuple[str, str], float] = {}

    def part(self, one: str, other: str, until: float) -> None:
        """Let neither reach the other before this instant."""
        self._until[one, other] = max(until, self.until(one, other))

    def until(self, one: str, other: str) -> float:
        """Return when these two can reach each other again, or an instant that is past."""
        return self._until.get((one, other), 0.0)

    def heal(self) -> None:
        """Let everybody reach everybody."""
        self._until.clear()


class Pipe(Generic[Item]):
    """One direction of a connection: everything in order, late, and nothing more once it is cut."""

    __slots__ = ("_agenda", "_deliver", "_free_at", "_weather", "is_cut")

    def __init__(self, agenda: Agenda, weather: Weather, deliver: Callable[[Item], None]) -> None:
        self._agenda = agenda
        self._weather = weather
        self._deliver = deliver
        self._free_at = 0.0
        self.is_cut = False

    def send_in_order(self, item: Item) -> None:
        """Let `item` arrive, after all that was sent before it."""
        if self.is_cut:
            return
        self._free_at = max(self._free_at, self._agenda.now + self._weather.delay_s())
        self._agenda.deliver(self._free_at, self._arrive, item)

    send = send_in_order

    def clog(self, duration_s: float) -> None:
        """Hold back what is sent from now on for a while."""
        self._free_at = max(self._free_at, self._agenda.now + duration_s)

    def cut(self) -> None:
        """Lose what is under way and whatever follows."""
        self.is_cut = True

    def _arrive(self, item: Item) -> None:
        if not self.is_cut:
            self._deliver(item)


class UnrulyPipe(Pipe[Item]):
    """A connection such as no TCP gives: some items come twice, now and then one is overtaken."""

    __slots__ = ("_dice",)

    def __init__(self, agenda: Agenda, weather: Weather, deliver: Callable[[Item], None], dice: Dice) -> None:
        super().__init__(agenda, weather, deliver)
        self._dice = dice

    def send(self, item: Item) -> None:
        """Let `item` arrive once or twice, and not always in its turn."""
        draw = DRAWS if self._weather.calm else self._dice.below(DRAWS)
        if draw < OVERTAKEN and not self.is_cut:
            self._arrive_late(item)
        else:
            self.send_in_order(item)
        if OVERTAKEN <= draw < TWICE and not self.is_cut:
            self._arrive_late(item)

    def _arrive_late(self, item: Item) -> None:
        late_s = self._dice.uniform(0.0, 0.5) if self._dice.chance(80) else self._dice.uniform(0.5, 40.0)
        self._agenda.deliver(max(self._free_at, self._agenda.now) + late_s, self._arrive, item)
