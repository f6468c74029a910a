"""Status update streams against the sentence that they promise: ordered, one in flight, none lost, none twice acknowledged."""

from __future__ import annotations

from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, precondition, rule

from merismos.core.status_updates import RETRY_S_MAX, RETRY_S_MIN, StatusUpdates
from merismos.protocol.link import UpdateStatus

TASKS = ["a", "b", "c"]


class Streams(RuleBasedStateMachine):
    def __init__(self) -> None:
        super().__init__()
        self.now = 0.0
        self.streams = StatusUpdates()
        self.connected = False
        self.number = 0
        self.owed: dict[str, list[bytes]] = {name: [] for name in TASKS}
        self.in_flight: dict[str, bytes] = {}
        self.sent_at: dict[str, float] = {}
        self.wait_s: dict[str, float] = {}

    def _sent(self, update: UpdateStatus, *, again: bool) -> None:
        assert self.connected
        assert update.uuid == self.owed[update.task_id][0], "only the oldest unacknowledged update may go out"
        if again:
            assert self.in_flight[update.task_id] == update.uuid
            assert self.now >= self.sent_at[update.task_id] + self.wait_s[update.task_id] - 1e-6
            self.wait_s[update.task_id] = min(self.wait_s[update.task_id] * 2, RETRY_S_MAX)
        else:
            self.wait_s[update.task_id] = RETRY_S_MIN
        self.in_flight[update.task_id] = update.uuid
        self.sent_at[update.task_id] = self.now

    @rule(name=st.sampled_from(TASKS))
    def append(self, name: str) -> None:
        self.number += 1
        uuid = self.number.to_bytes(16, "big")
        self.owed[name].append(uuid)
        ready = self.streams.append(UpdateStatus("F", name, "S", "S", uuid, b"{}"), self.now)
        assert (ready is not None) == (self.connected and len(self.owed[name]) == 1)
        if ready is not None:
            self._sent(ready, again=False)

    @rule(name=st.sampled_from(TASKS))
    def acknowledge(self, name: str) -> None:
        if not self.owed[name]:
            assert self.streams.acknowledge("F", name, b"x" * 16, self.now) is None
            return
        uuid = self.owed[name].pop(0)
        self.in_flight.pop(name, None)
        taken = self.streams.acknowledge("F", name, uuid, self.now)
        assert taken is not None
        acknowledged, following = taken
        assert acknowledged.uuid == uuid
        assert (following is not None) == (self.connected and bool(self.owed[name]))
        if following is not None:
            self._sent(following, again=False)
        assert self.streams.acknowledge("F", name, uuid, self.now) is None, "an acknowledgement counts once"

    @rule(name=st.sampled_from(TASKS))
    def acknowledge_out_of_turn(self, name: str) -> None:
        for uuid in self.owed[name][1:]:
            assert self.streams.acknowledge("F", name, uuid, self.now) is None

    @precondition(lambda self: not self.connected)
    @rule()
    def connect(self) -> None:
        self.connected = True
        first = self.streams.connect(self.now)
        assert {update.task_id for update in first} == {name for name in TASKS if self.owed[name]}
        for update in first:
            self._sent(update, again=False)

    @precondition(lambda self: self.connected)
    @rule()
    def disconnect(self) -> None:
        self.connected = False
        self.in_flight.clear()
        self.streams.disconnect()

    @rule(duration_s=st.floats(0.1, 2000.0))
    def wait(self, duration_s: float) -> None:
        until = self.now + duration_s
        while (at := self.streams.next_deadline()) is not None and at <= until:
            self.now = max(self.now, at)
            for update in self.streams.resend_due(self.now):
                self._sent(update, again=True)
        self.now = until

    @invariant()
    def what_is_owed_is_kept(self) -> None:
        kept: dict[str, list[bytes]] = {name: [] for name in TASKS}
        for update in self.streams.unacknowledged():
            kept[update.task_id].append(update.uuid)
        assert kept == self.owed
        assert len(self.streams) == sum(bool(owed) for owed in self.owed.values())

    @invariant()
    def something_is_due_exactly_while_something_is_in_flight(self) -> None:
        assert (self.streams.next_deadline() is not None) == (self.connected and any(self.owed.values()))


TestStreams = Streams.TestCase
TestStreams.settings = settings(max_examples=60, stateful_step_count=40, deadline=None)


def test_an_update_is_sent_again_after_ten_seconds_then_twenty_up_to_ten_minutes() -> None:
    streams = StatusUpdates()
    streams.connect(0.0)
    streams.append(UpdateStatus("F", "a", "S", "S", b"u" * 16, b"{}"), 0.0)
    waits = []
    now = 0.0
    for _ in range(9):
        at = streams.next_deadline()
        assert at is not None
        waits.append(at - now)
        now = at
        assert len(streams.resend_due(now)) == 1
    assert waits == [10, 20, 40, 80, 160, 320, 600, 600, 600]


def test_a_framework_that_is_gone_is_owed_nothing() -> None:
    streams = StatusUpdates()
    streams.connect(0.0)
    for framework in ("F", "G"):
        streams.append(UpdateStatus(framework, "a", "S", "S", b"u" * 16, b"{}"), 0.0)
    streams.drop_framework("F")
    assert [update.framework_id for update in streams.unacknowledged()] == ["G"]
    assert [update.framework_id for update in streams.resend_due(10.0)] == ["G"]
