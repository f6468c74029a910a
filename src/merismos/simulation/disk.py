"""A host's disk, with the checkpoints that its agent writes.

Rules: writes are done in order, each after a while. An agent that is killed loses what was not written yet, from some write on. A
power cut loses what was not made durable, from some change on: what is torn is not read back. A lost disk loses all. While writes
fail they are tried again every second, and nothing is given up, as `adapters/storage/checkpoint_log.py` has it.
"""

from __future__ import annotations

from collections import deque
from typing import TYPE_CHECKING

from merismos.ports.checkpoints import Change, Entries, apply

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from merismos.simulation.network import Agenda, Dice, Weather

RETRY_S = 1.0


class Write:
    """One write; `clears` lets go of all that was written before."""

    __slots__ = ("changes", "clears", "done", "durable")

    def __init__(
        self, changes: Sequence[Change], *, durable: bool, done: Callable[[], None] | None, clears: bool = False
    ) -> None:
        self.changes = changes
        self.durable = durable
        self.done = done
        self.clears = clears


class Disk:
    """The checkpoints of one host, whichever agent writes them."""

    def __init__(self, agenda: Agenda, weather: Weather, dice: Dice) -> None:
        self._agenda = agenda
        self._weather = weather
        self._dice = dice
        self._log: list[Change] = []
        self._durable = 0
        self._waiting: deque[Write] = deque()
        self._busy = False
        self._owner = ""
        self._fails_until = 0.0

    def fail(self, duration_s: float) -> None:
        """Let every write fail for a while."""
        self._fails_until = self._agenda.now + duration_s

    def write(self, changes: Sequence[Change], *, durable: bool, done: Callable[[], None]) -> None:
        """Write changes, then call `done`."""
        self._put(Write(changes, durable=durable, done=done))

    def open(self, agent_id: str) -> None:
        """Let go of what another agent wrote."""
        if agent_id != self._owner:
            self._owner = agent_id
            self._put(Write((), durable=True, done=None, clears=True))

    def entries(self) -> Entries:
        """Return what is there."""
        entries: Entries = {}
        apply(entries, self._log)
        return entries

    def end_writer(self) -> None:
        """The agent ends: some of what it was writing is written, the rest never."""
        if self._agenda.now >= self._fails_until:
            for _ in range(self._dice.below(len(self._waiting) + 1)):
                self._keep(self._waiting.popleft())
        self._waiting.clear()

    def cut_power(self) -> None:
        """Lose what isn't durable, from some change on."""
        self.end_writer()
        loose = len(self._log) - self._durable
        del self._log[self._durable + self._dice.below(loose + 1) :]
        self._durable = len(self._log)

    def lose(self) -> None:
        """Lose everything: the disk is another, or the agent let go of what it wrote."""
        self._waiting.clear()
        self._log.clear()
        self._durable = 0
        self._owner = ""

    def _put(self, write: Write) -> None:
        self._waiting.append(write)
        if not self._busy:
            self._begin()

    def _begin(self) -> None:
        self._busy = True
        self._agenda.after(self._weather.write_s(), self._written)

    def _written(self) -> None:
        if self._agenda.now < self._fails_until and self._waiting:
            self._agenda.after(RETRY_S, self._written)
            return
        self._busy = False
        if self._waiting:
            write = self._waiting.popleft()
            self._keep(write)
            if self._waiting:
                self._begin()
            if write.done is not None:
                write.done()

    def _keep(self, write: Write) -> None:
        if write.clears:
            self._log.clear()
        self._log.extend(write.changes)
        self._durable = len(self._log) if write.durable or write.clears else self._durable
