"""Whatever happens in whatever order, an agent tells the truth about its tasks, and in the end everything is told."""

from __future__ import annotations

import json

from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, precondition, rule

from merismos.core.agent import effects, events
from merismos.core.agent.state import Link, Phase
from merismos.model.task_states import TERMINAL
from merismos.protocol import link
from unit.agent.rig import FRAMEWORK, Rig, framework_info, task

ORDER = {"TASK_STARTING": 1, "TASK_RUNNING": 2, "TASK_KILLING": 3}
picks = st.integers(0, 1000)


class AnyOrder(RuleBasedStateMachine):
    def __init__(self) -> None:
        super().__init__()
        self.rig = Rig.registered(registration_backoff_s=1.0)
        self.number = 0
        self.launching: list[str] = []
        self.running: list[str] = []
        self.fetching: list[str] = []
        self.in_flight: dict[str, bytes] = {}
        self.told: dict[str, list[str]] = {}
        self.heard: set[bytes] = set()

    def _work(self) -> None:
        """Play the containers' and the master's part for what was asked."""
        for effect in self.rig.take():
            if isinstance(effect, effects.FetchUris):
                self.fetching.append(effect.container_id)
            elif isinstance(effect, effects.AbortFetch):
                self.fetching.remove(effect.container_id)
            elif isinstance(effect, effects.LaunchContainer):
                self.launching.append(effect.container_id)
            elif isinstance(effect, effects.SendMessage) and isinstance(effect.message, link.UpdateStatus):
                self._hear(effect.message)

    def _hear(self, update: link.UpdateStatus) -> None:
        assert json.loads(update.status)["state"] == update.state
        had = self.in_flight.get(update.task_id)
        assert had in {None, update.uuid}, "a second update went out before the first was acknowledged"
        if update.uuid not in self.heard:
            self.heard.add(update.uuid)
            told = self.told.setdefault(update.task_id, [])
            if update.state == "TASK_DROPPED":
                assert not told or set(told) <= {"TASK_DROPPED", "TASK_ERROR"}, "only a task that never was is unknown"
            else:
                assert not TERMINAL.intersection(told), "terminal is final"
            assert update.state in TERMINAL or ORDER[update.state] > max((ORDER[one] for one in told), default=0)
            told.append(update.state)
        self.in_flight[update.task_id] = update.uuid

    @property
    def up(self) -> bool:
        return self.rig.state.registration.status is Link.REGISTERED

    @precondition(lambda self: self.up)
    @rule(uris=st.booleans(), bad=st.booleans())
    def run_task(self, *, uris: bool, bad: bool) -> None:
        self.number += 1
        command: dict[str, object] = {"shell": True} if bad else {"value": "true"}
        if uris:
            command["uris"] = [{"value": "http://x/a"}]
        framework = framework_info("TASK_KILLING_STATE") if self.number % 2 else framework_info()
        self.rig.run(task(f"t-{self.number}", command), framework=framework)
        self._work()

    @precondition(lambda self: self.up)
    @rule(pick=picks)
    def kill(self, pick: int) -> None:
        self.rig.receive(link.KillTask(FRAMEWORK, f"t-{pick % (self.number + 1)}"))
        self._work()

    @precondition(lambda self: self.up)
    @rule(pick=picks)
    def acknowledge(self, pick: int) -> None:
        if self.in_flight:
            task_id = list(self.in_flight)[pick % len(self.in_flight)]
            uuid = self.in_flight.pop(task_id)
            self.rig.receive(link.AcknowledgeStatus(FRAMEWORK, task_id, uuid))
            self._work()

    @rule(pick=picks, well=st.booleans())
    def fetched(self, pick: int, *, well: bool) -> None:
        if self.fetching:
            container = self.fetching.pop(pick % len(self.fetching))
            self.rig.handle(events.UrisFetched(container) if well else events.FetchFailed(container, "404"))
            self._work()

    @rule(pick=picks, well=st.integers(0, 3))
    def launched(self, pick: int, well: int) -> None:
        if self.launching:
            container = self.launching.pop(pick % len(self.launching))
            if well:
                self.running.append(container)
                self.rig.handle(events.ContainerLaunched(container, 5))
            else:
                self.rig.handle(events.ContainerLaunchFailed(container, "no", exec_failed=bool(pick % 2)))
            self._work()

    @rule(pick=picks, status=st.sampled_from([0, 256, 9, 15]))
    def exited(self, pick: int, status: int) -> None:
        if self.running:
            container = self.running.pop(pick % len(self.running))
            self.rig.handle(events.ContainerExited(container, status))
            self._work()

    @rule()
    def supervisor_died(self) -> None:
        self.launching.clear()
        self.running.clear()
        self.rig.handle(events.ContainersLost("died"))
        self._work()

    @precondition(lambda self: self.up)
    @rule()
    def link_lost(self) -> None:
        self.in_flight.clear()
        self.rig.handle(events.LinkClosed(self.rig.state.registration.link, "cut"))
        self._work()

    @precondition(lambda self: not self.up)
    @rule()
    def link_back(self) -> None:
        while not self.rig.of(effects.OpenLink):
            self.rig.advance(10.0)
        self.rig.open_link()
        (back,) = self.rig.sent(link.ReregisterAgent)
        expected = [one.task_id for one in self.rig.state.tasks()] + [key[1] for key in self.rig.state.refused]
        assert [json.loads(record.task)["name"] for record in back.tasks] == expected
        self.rig.receive(link.AgentRegistered("S0"))
        self._work()

    @rule(duration_s=st.floats(0.1, 40.0))
    def wait(self, duration_s: float) -> None:
        if self.up:
            self.rig.receive(link.Ping(1))
            self.rig.advance(duration_s)
            self._work()

    @invariant()
    def a_container_is_known_exactly_while_its_task_is_not_over(self) -> None:
        state = self.rig.state
        alive = [one.container_id for one in state.tasks() if one.phase is not Phase.ENDED]
        assert sorted(alive) == sorted(state.containers)
        assert sorted(state.containers) == sorted([*self.fetching, *self.launching, *self.running])

    @invariant()
    def a_task_that_is_over_waits_only_for_its_acknowledgement(self) -> None:
        for one in self.rig.state.tasks():
            if one.phase is Phase.ENDED:
                assert (FRAMEWORK, one.task_id) in self.rig.state.updates

    def teardown(self) -> None:
        """Once all is well again, every task's end is told and acknowledged, and nothing is left."""
        if not self.up:
            self.link_back()
        while self.fetching:
            self.fetched(0, well=True)
        while self.launching:
            self.launched(0, well=1)
        while self.running:
            self.exited(0, status=0)
        while self.in_flight:
            self.acknowledge(0)
        assert not self.rig.state.tasks()
        assert not self.rig.state.refused
        assert len(self.rig.state.updates) == 0
        assert all(TERMINAL.intersection(told) for told in self.told.values())


TestAnyOrder = AnyOrder.TestCase
TestAnyOrder.settings = settings(max_examples=40, stateful_step_count=30, deadline=None)
