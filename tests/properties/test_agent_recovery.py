"""Whichever effect an agent performed last, the next agent goes on from there: no task is lost, none runs twice.

The core runs against a model of the disk, of what holds the containers, and of a master. A script of chances is lived through once to
count its effects; then again for each of them, with a crash right after it. Every third script's crash is a power cut: what was not
durable is gone, and every container with it.
"""

from __future__ import annotations

import json
import random
from collections.abc import Callable
from typing import Any

import pytest

from merismos.core.agent import effects, events
from merismos.core.agent.machine import AgentMachine
from merismos.core.agent.state import AgentSettings, Link
from merismos.core.kernel import Effect, Event, TimerFired
from merismos.model.task_states import TERMINAL
from merismos.ports.checkpoints import Entries, apply
from merismos.protocol import link
from merismos.protocol.v1 import mesos
from unit.agent.rig import FRAMEWORK, framework_info, task

SCRIPTS = 80
STEPS = 80
TASKS_MAX = 4
PEACE_STEPS_MAX = 600
SIGKILL = 9
ORDER = {"TASK_STARTING": 1, "TASK_RUNNING": 2, "TASK_KILLING": 3}


class Crash(Exception):
    """The agent's process is gone."""


class World:
    def __init__(self, seed: int, crash_after: int | None) -> None:
        self.dice = random.Random(seed)
        self.power_cut = seed % 3 == 0
        self.crash_after = crash_after
        self.crashed = False
        self.performed = 0
        self.now = 100.0
        self.disk: Entries = {}
        self.durable: Entries = {}
        self.holder = "holder-1"
        self.held: dict[str, events.HeldContainer] = {}
        self.spawned: dict[str, int] = {}
        self.task_of: dict[str, str] = {}
        self.sent: list[str] = []
        self.dropped: set[str] = set()
        self.heard: dict[str, dict[bytes, str]] = {}
        self.unacknowledged: list[link.UpdateStatus] = []
        self.boot()

    # ------------------------------------------------------------ the agent's process
    def boot(self) -> None:
        settings = AgentSettings(
            info=mesos.AgentInfo(hostname="h", port=5051), ip="10.0.0.1", port=5051, pid="p", version="1", work_dir="/w"
        )
        self.machine = AgentMachine(settings)
        self.written: list[int] = []
        self.of_containers: list[Event] = []
        self.fetching: list[str] = []
        self.link = 0
        self.introduced = False
        self.take(events.Started(self.dice.getrandbits(64), 0.0, checkpoints=tuple(self.disk.items())))
        self.take(events.ContainersRecovered(self.holder, tuple(self.held.values())))
        self.take(events.MasterDetected("m:1"))

    def restart(self) -> None:
        self.crashed = True
        if self.power_cut:
            self.disk = {key: list(records) for key, records in self.durable.items()}
            self.held.clear()
            self.holder = "holder-2"
        self.unacknowledged.clear()
        self.boot()

    def take(self, event: Event) -> None:
        for effect in self.machine.handle(event, self.now):
            self.perform(effect)
            self.performed += 1
            if self.performed == self.crash_after:
                raise Crash

    def perform(self, effect: Effect) -> None:
        match effect:
            case effects.Checkpoint():
                apply(self.disk, effect.changes)
                if effect.durable:
                    self.durable = {key: list(records) for key, records in self.disk.items()}
                self.written.append(effect.sequence)
            case effects.LaunchContainer():
                self.spawn(effect)
            case effects.SignalContainer():
                self.signal(effect)
            case effects.CollectContainer():
                self.held.pop(effect.container_id, None)
            case effects.FetchUris():
                self.fetching.append(effect.container_id)
            case effects.AbortFetch():
                # what was fetched meanwhile is aborted too late
                self.fetching = [one for one in self.fetching if one != effect.container_id]
            case effects.OpenLink():
                self.link = effect.link
                self.introduced = False
            case effects.SendMessage():
                self.hear(effect.message)

    # ------------------------------------------------------------ containers
    def spawn(self, effect: effects.LaunchContainer) -> None:
        container_id = effect.container_id
        task_id = effect.directory.split("/")[7]
        assert container_id not in self.spawned, f"the container of {task_id} is started twice"
        assert task_id not in self.task_of.values(), f"{task_id} runs twice"
        self.spawned[container_id] = len(self.spawned) + 1
        self.task_of[container_id] = task_id
        self.held[container_id] = events.HeldContainer(container_id, self.spawned[container_id])
        self.of_containers.append(events.ContainerLaunched(container_id, self.spawned[container_id]))

    def signal(self, effect: effects.SignalContainer) -> None:
        container = self.held.get(effect.container_id)
        if container is not None and container.status is None:
            container.signal = effect.signal
            if effect.signal == SIGKILL or self.dice.random() < 0.5:
                self.end(container, effect.signal)

    def end(self, container: events.HeldContainer, status: int) -> None:
        container.status = status
        self.of_containers.append(events.ContainerExited(container.container_id, status))

    def running(self) -> list[events.HeldContainer]:
        return [one for one in self.held.values() if one.status is None]

    # ------------------------------------------------------------ the master
    def hear(self, message: link.Message) -> None:
        self.introduced = self.introduced or isinstance(message, (link.RegisterAgent, link.ReregisterAgent))
        if isinstance(message, link.UpdateStatus):
            story = self.heard.setdefault(message.task_id, {})
            assert not TERMINAL.intersection(story.values()) or message.uuid in story, "terminal is final"
            story[message.uuid] = message.state
            self.unacknowledged.append(message)
        elif isinstance(message, link.RegisterAgent):
            for task_id in self.sent:  # the agent of before is replaced, with all that it had
                if not self.is_over(task_id):
                    self.drop(task_id)
        elif isinstance(message, link.ReregisterAgent):
            assert message.agent_id == "S0"
            known = {json.loads(record.task)["name"] for record in message.tasks}
            for task_id in self.sent:
                if task_id not in known and not self.is_over(task_id):
                    self.drop(task_id)

    def drop(self, task_id: str) -> None:
        self.dropped.add(task_id)
        if not self.power_cut:
            assert task_id not in self.heard, f"{task_id} was told of, and is lost"
            assert task_id not in self.task_of.values(), f"{task_id} ran, and is lost"

    def is_over(self, task_id: str) -> bool:
        return task_id in self.dropped or bool(TERMINAL.intersection(self.heard.get(task_id, {}).values()))

    @property
    def is_registered(self) -> bool:
        return self.machine.state.registration.status is Link.REGISTERED

    def receive(self, message: link.AnyMessage) -> None:
        self.take(events.LinkReceived(self.link, message))

    # ------------------------------------------------------------ what may happen
    def connect(self) -> None:
        status = self.machine.state.registration.status
        if status is Link.OPENING:
            self.take(events.LinkOpened(self.link, 1, "m"))
        elif status is Link.REGISTERING and self.introduced:
            self.receive(link.AgentRegistered("S0"))
        elif status is Link.NONE:
            self.pass_time(5.0)

    def lose_link(self) -> None:
        if self.is_registered:
            self.unacknowledged.clear()
            self.take(events.LinkClosed(self.link, "cut"))

    def run_task(self) -> None:
        if not self.is_registered or len(self.sent) >= TASKS_MAX:
            return
        task_id = f"t-{len(self.sent)}"
        self.sent.append(task_id)
        command: dict[str, Any] = {"value": "true"}
        kind = self.dice.randrange(5)
        if kind == 0:
            command["uris"] = [{"value": "http://x/a"}]
        elif kind == 1:
            command = {"shell": True}
        raw = task(task_id, command, kill_policy={"grace_period": {"nanoseconds": 3_000_000_000}})
        self.receive(link.RunTasks(FRAMEWORK, framework_info("TASK_KILLING_STATE"), "eng", [raw], [task_id]))

    def kill_task(self) -> None:
        live = [one for one in self.sent if not self.is_over(one)]
        if live and self.is_registered:
            self.receive(link.KillTask(FRAMEWORK, self.dice.choice(live)))

    def acknowledge(self) -> None:
        if self.unacknowledged and self.is_registered:
            update = self.unacknowledged.pop(0)
            self.receive(link.AcknowledgeStatus(update.framework_id, update.task_id, update.uuid))

    def tell_written(self) -> None:
        if self.written:
            self.take(events.Checkpointed(self.written.pop(0)))

    def tell_container(self) -> None:
        if self.of_containers:
            self.take(self.of_containers.pop(0))

    def tell_fetched(self) -> None:
        if self.fetching:
            container_id = self.fetching.pop(0)
            well = self.dice.random() < 0.8
            self.take(events.UrisFetched(container_id) if well else events.FetchFailed(container_id, "404"))

    def exit_one(self) -> None:
        if running := self.running():
            self.end(self.dice.choice(running), self.dice.choice([0, 0, 1 << 8]))

    def pass_time(self, duration_s: float = 1.0) -> None:
        self.now += duration_s
        at = self.machine.next_deadline()
        if at is not None and at <= self.now:
            self.take(TimerFired())

    # ------------------------------------------------------------ the whole story
    def live(self) -> None:
        chances: list[Callable[[], None]] = [
            self.connect, self.connect, self.run_task, self.run_task, self.run_task, self.acknowledge, self.acknowledge,
            self.tell_written, self.tell_written, self.tell_written, self.tell_container, self.tell_container,
            self.tell_fetched, self.exit_one, self.kill_task, self.lose_link, self.pass_time,
        ]  # fmt: skip
        for _ in range(STEPS):
            self.try_to(self.dice.choice(chances))
        self.make_peace()

    def try_to(self, happen: Callable[[], None]) -> None:
        try:
            happen()
        except Crash:
            self.restart()

    def make_peace(self) -> None:
        """Nothing goes wrong any more, and every task is ended: in time all is told and nothing is left."""
        for _ in range(PEACE_STEPS_MAX):
            if self.is_quiet():
                break
            for happen in (self.connect, self.tell_written, self.tell_container, self.tell_fetched, self.acknowledge):
                self.try_to(happen)
            self.try_to(self.kill_task)
            self.try_to(self.pass_time)
        self.check()

    def is_quiet(self) -> bool:
        busy = self.written or self.of_containers or self.fetching or self.held or self.unacknowledged
        return (
            self.is_registered and not busy and not self.machine.state.tasks() and len(self.machine.state.updates) == 0
        )

    def check(self) -> None:
        assert all(self.is_over(task_id) for task_id in self.sent), "a task's end was never told"
        assert self.is_quiet(), "something is left"
        assert list(self.disk) == ["agent"], "something is kept of what is over"
        for task_id, story in self.heard.items():
            told = list(story.values())
            assert len([state for state in told if state in TERMINAL]) <= 1, f"{task_id}: {told}"
            numbers = [ORDER[state] for state in told if state in ORDER]
            assert numbers == sorted(set(numbers)), f"{task_id}: {told}"


@pytest.mark.parametrize("seed", range(SCRIPTS))
def test_a_crash_after_any_effect_loses_no_task_and_runs_none_twice(seed: int) -> None:
    calm = World(seed, None)
    calm.live()
    for crash_after in range(1, calm.performed + 1):
        world = World.__new__(World)
        try:
            world.__init__(seed, crash_after)  # type: ignore[misc]
        except Crash:
            world.restart()
        world.live()
        assert world.crashed, "the story went another way before its crash"


def test_the_scripts_hold_something() -> None:
    worlds = [World(seed, None) for seed in range(SCRIPTS)]
    for world in worlds:
        world.live()
    told = [state for world in worlds for story in world.heard.values() for state in story.values()]
    assert {"TASK_FINISHED", "TASK_FAILED", "TASK_KILLED", "TASK_KILLING", "TASK_ERROR"} <= set(told)
    assert sum(world.performed for world in worlds) > 20 * SCRIPTS
