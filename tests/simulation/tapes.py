"""Recordings of simulated machines, as their shells would have written them."""

from __future__ import annotations

import io
from collections.abc import Callable, Sequence
from typing import Any

from merismos.core import recording
from merismos.core.agent.machine import AgentMachine
from merismos.core.kernel import Effect, Event
from merismos.core.master.machine import MasterMachine
from merismos.simulation.world import Settings, World

SMALL = Settings(hosts=3, schedulers=2)


def handled(machine: Any, event: Event, now: float) -> tuple[list[Effect], bytes]:  # noqa: ANN401 - of either role
    """What comes of an event, and its record."""
    body, is_json = recording.pack_event(event)
    effects = list(machine.handle(event, now))
    marks = recording.marks_of(effects)
    return effects, recording.encode(recording.Handled(now, type(event).__name__, body, is_json, marks))


def tapes_of(seed: int, steps: int, settings: Settings = SMALL) -> list[bytes]:
    """The recording of each machine of a world that saw trouble, healed and was drained."""
    tapes: list[io.BytesIO] = []

    def taped(make: Callable[[Any], Any], made_of: Callable[[Any, str], recording.Made]) -> Callable[[Any], Any]:
        class Taped(make):  # type: ignore[misc, valid-type]
            def __init__(self, of: Any) -> None:  # noqa: ANN401 - of either role
                super().__init__(of)
                self.plain = super()
                self.tape = io.BytesIO(recording.MAGIC + recording.encode(made_of(of, "0")))
                self.tape.seek(0, io.SEEK_END)
                tapes.append(self.tape)

            def handle(self, event: Event, now: float) -> Sequence[Effect]:
                effects, record = handled(self.plain, event, now)
                self.tape.write(record)
                return effects

        return Taped

    make_master = taped(MasterMachine, recording.made_master)
    world = World(seed, settings, make_master=make_master, make_agent=taped(AgentMachine, recording.made_agent))
    world.run(steps)
    world.heal()
    world.drain()
    return [tape.getvalue() for tape in tapes]
