"""The driver: order, re-entrance, the timer, and what a bug does."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable, Sequence

import uvloop

from merismos.core.kernel import Effect, Event, TimerFired
from merismos.shell.driver import Driver
from merismos.shell.turn import Turn
from merismos.shell.wheel import Wheel


async def until(true: Callable[[], bool]) -> None:
    async with asyncio.timeout(5):
        while not true():
            await asyncio.sleep(0)


class Said(Event):
    word: str


class Say(Effect):
    word: str


class Echo:
    """Says twice what it hears; `deadlines` are handed out one by one."""

    def __init__(self) -> None:
        self.heard: list[str] = []
        self.deadline: float | None = None
        self.fired_at: list[float] = []

    def handle(self, event: Event, now: float) -> Sequence[Effect]:
        if isinstance(event, TimerFired):
            self.fired_at.append(now)
            self.deadline = None
            return []
        assert isinstance(event, Said)
        assert event.word != "bug"
        self.heard.append(event.word)
        return [Say(event.word + "1"), Say(event.word + "2")]

    def next_deadline(self) -> float | None:
        return self.deadline


def test_an_event_that_an_effect_brings_about_waits_for_the_effects_before_it() -> None:
    async def scenario() -> None:
        loop = asyncio.get_running_loop()
        machine, said = Echo(), []

        def say(effect: Say) -> None:
            said.append(effect.word)
            if effect.word == "a1":
                driver.post(Said("b"))
                driver.post(Said("c"))

        driver = Driver(machine, {Say: say}, loop, Turn(loop), on_fault=lambda *_: None)
        driver.post(Said("a"))
        assert machine.heard == ["a", "b", "c"]
        assert said == ["a1", "a2", "b1", "b2", "c1", "c2"]

    asyncio.run(scenario())


def test_the_timer_fires_once_at_the_deadline_and_never_before() -> None:
    async def scenario() -> None:
        loop = asyncio.get_running_loop()
        machine = Echo()
        driver = Driver(machine, {Say: lambda _: None}, loop, Turn(loop), on_fault=lambda *_: None)
        at = machine.deadline = loop.time() + 0.02
        driver.post(Said("a"))
        await until(lambda: bool(machine.fired_at))
        assert machine.fired_at[0] >= at
        driver.post(Said("b"))
        assert len(machine.fired_at) == 1

    asyncio.run(scenario())


def test_a_timer_does_not_spin_while_less_than_a_millisecond_is_left() -> None:
    class Once(Echo):
        def __init__(self) -> None:
            super().__init__()
            self.fired = asyncio.Event()

        def handle(self, event: Event, now: float) -> Sequence[Effect]:
            if isinstance(event, TimerFired):
                self.fired.set()
            return super().handle(event, now)

    async def scenario() -> int:
        loop = asyncio.get_running_loop()
        machine, looks = Once(), []

        def clock() -> float:
            looks.append(1)
            return time.monotonic()

        driver = Driver(machine, {Say: lambda _: None}, loop, Turn(loop), on_fault=lambda *_: None, clock=clock)
        for _ in range(20):
            machine.fired.clear()
            machine.deadline = time.monotonic() + 0.0014
            driver.post(Said("a"))
            await asyncio.wait_for(machine.fired.wait(), 5)
        return len(looks)

    assert uvloop.run(scenario()) < 20 * 12


def test_an_earlier_deadline_replaces_a_later_one() -> None:
    async def scenario() -> None:
        loop = asyncio.get_running_loop()
        machine = Echo()
        driver = Driver(machine, {Say: lambda _: None}, loop, Turn(loop), on_fault=lambda *_: None)
        machine.deadline = loop.time() + 1000
        driver.post(Said("a"))
        await asyncio.sleep(0)
        machine.deadline = loop.time() + 0.01
        driver.post(Said("b"))
        await until(lambda: bool(machine.fired_at))

    asyncio.run(scenario())


def test_a_failed_assertion_is_told_with_its_event_and_ends_the_machine() -> None:
    async def scenario() -> None:
        loop = asyncio.get_running_loop()
        machine, faults = Echo(), []
        driver = Driver(machine, {Say: lambda _: None}, loop, Turn(loop), on_fault=lambda *fault: faults.append(fault))
        driver.post(Said("bug"))
        driver.post(Said("after"))
        ((event, error),) = faults
        assert event == Said("bug")
        assert isinstance(error, AssertionError)
        assert machine.heard == []

    asyncio.run(scenario())


def test_work_asked_for_while_a_turn_ends_runs_in_the_next_turn() -> None:
    async def scenario() -> None:
        turn, done = Turn(asyncio.get_running_loop()), []

        def first() -> None:
            done.append("first")
            turn.at_end(lambda: done.append("third"))

        turn.at_end(first)
        turn.at_end(lambda: done.append("second"))
        assert done == []
        await asyncio.sleep(0)
        assert done == ["first", "second"]
        await asyncio.sleep(0)
        assert done == ["first", "second", "third"]

    asyncio.run(scenario())


def test_a_limit_that_was_dropped_or_moved_is_not_late() -> None:
    async def scenario() -> None:
        now, late = [0.0], []
        wheel = Wheel(asyncio.get_running_loop(), tick_s=0.001, clock=lambda: now[0])
        for name, limit_s in (("short", 1.0), ("dropped", 1.0), ("moved", 1.0), ("long", 100.0)):
            wheel.set(name, limit_s, lambda name=name: late.append(name))
        wheel.drop("dropped")
        wheel.set("moved", 50.0, lambda: late.append("moved"))
        now[0] = 2.0
        await until(lambda: len(wheel) <= 2)
        assert late == ["short"]
        now[0] = 60.0
        await until(lambda: len(wheel) <= 1)
        assert late == ["short", "moved"]
        wheel.close()

    asyncio.run(scenario())


def test_work_behind_one_that_fails_still_runs() -> None:
    async def scenario() -> None:
        loop, done, failures = asyncio.get_running_loop(), [], []
        loop.set_exception_handler(lambda _, context: failures.append(context["exception"]))
        turn = Turn(loop)

        def fail() -> None:
            raise RuntimeError("the handler is closed")

        turn.at_end(fail)
        turn.at_end(lambda: done.append("behind"))
        await until(lambda: done == ["behind"])
        assert [str(failure) for failure in failures] == ["the handler is closed"]

    asyncio.run(scenario())
