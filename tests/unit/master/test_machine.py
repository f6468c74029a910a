from __future__ import annotations

from merismos.core.kernel import TimerFired
from merismos.core.master import events as happened
from merismos.core.master import machine
from merismos.core.master.fixed_delay import FixedDelay
from merismos.core.master.state import Config
from merismos.core.master.statuses import STATES
from merismos.core.master.tasks import MOVES
from merismos.model.task_states import TERMINAL
from unit.master.rig import Rig, running


def test_every_event_has_a_handler() -> None:
    kinds = {kind for kind in vars(happened).values() if isinstance(kind, type) and issubclass(kind, happened.Event)}
    assert kinds - {happened.Event} | {TimerFired} == set(machine.HANDLERS)


def test_an_idle_master_wants_no_timer() -> None:
    assert Rig().machine.next_deadline() is None


def test_time_alone_does_nothing_to_a_cluster_at_rest() -> None:
    rig = Rig()
    framework, _ = running(rig)
    framework.call("SUPPRESS")
    rig.advance(1000)
    assert list(framework.record.tasks) == ["t-1"]
    assert {event["type"] for event in framework.events[-10:]} == {"HEARTBEAT"}


def test_the_same_events_give_the_same_effects() -> None:
    def transcript() -> list[str]:
        rig = Rig()
        framework, agent = running(rig)
        rig.advance(100)
        agent.update(framework.id, "t-1", "TASK_FAILED")
        rig.advance(10)
        return [str(event) for event in framework.events] + [str(message) for message in agent.messages]

    assert transcript() == transcript()


def test_the_clock_of_statuses_follows_the_wall() -> None:
    rig = Rig()
    framework, _ = running(rig)
    rig.handle(happened.WallClockSet(5.0))
    framework.call("RECONCILE", reconcile={"tasks": []})
    assert framework.statuses()[-1]["timestamp"] == rig.now + 5.0


def test_states_move_only_to_known_states_and_never_out_of_a_terminal_one() -> None:
    assert not TERMINAL & set(MOVES)
    assert all(set(targets) <= set(STATES) for targets in MOVES.values())


def test_an_agent_with_less_than_the_least_is_not_offered() -> None:
    config = Config()
    config.min_allocatable = [{"cpus": 2000}, {"mem": 4_096_000}]
    rig = Rig(config)
    rig.agent("cpus:1;mem:2048")
    framework = rig.subscribe()
    rig.advance(5)
    assert framework.offers() == []


def test_fixed_delays_come_due_in_the_order_of_their_last_putting_in() -> None:
    delays: FixedDelay[str] = FixedDelay(10.0)
    delays.put("a", 0.0)
    delays.put("b", 1.0)
    delays.put("a", 2.0)
    delays.put("c", 3.0)
    delays.cancel("c")
    delays.cancel("unknown")
    assert delays.next() == 11.0
    assert delays.pop_due(10.9) == []
    assert delays.pop_due(12.0) == ["b", "a"]
    assert delays.next() is None
