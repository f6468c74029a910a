"""What an agent makes of checkpoints whose last records a power cut took."""

from __future__ import annotations

from merismos.core.agent import events
from merismos.ports.checkpoints import Change, Entries, apply
from merismos.protocol import link
from unit.agent.executor_rig import ExecutorRig, job
from unit.agent.rig import FRAMEWORK, WALL_OFFSET_S, Rig, task


def changes_of(rig: Rig) -> list[Change]:
    return [change for checkpoint in rig.checkpoints for change in checkpoint.changes]


def recovered(changes: list[Change]) -> Rig:
    """The next agent, with what is left of these changes."""
    rig = Rig()
    entries: Entries = {}
    apply(entries, changes)
    rig.handle(events.Started(2, WALL_OFFSET_S, (), tuple(entries.items()), (), ""))
    rig.handle(events.ContainersRecovered("another"))
    return rig


def finished() -> Rig:
    rig = Rig.registered()
    rig.handle(events.ContainersRecovered("holder"))
    rig.run(task("t"))
    rig.launched("t")
    rig.exited("t", 0)
    rig.acknowledge_all()
    return rig


def test_an_agent_starts_whatever_was_written_last() -> None:
    changes = changes_of(finished())
    for count in range(len(changes) + 1):
        rig = recovered(changes[:count])
        assert rig.state.exiting is None, f"after {count} of {len(changes)} changes: {rig.state.exiting}"


def test_a_task_whose_last_update_was_acknowledged_is_over_though_its_end_was_not_written() -> None:
    changes = changes_of(finished())
    last = max(number for number, (key, record) in enumerate(changes) if key.startswith("task/") and record is None)
    rig = recovered(changes[:last])
    assert [one.task_id for one in rig.state.tasks()] == []


def test_no_task_of_an_executor_outlives_it_wherever_the_write_of_its_end_is_torn() -> None:
    rig = ExecutorRig.with_executor(job("t-1"), job("t-2"))
    for number, task_id in enumerate(("t-1", "t-2")):
        rig.update(task_id, "TASK_RUNNING", number + 1)
    rig.acknowledge_all()
    begun = len(changes_of(rig))
    rig.handle(events.ContainerExited(rig.executor().container_id, 0))
    changes = changes_of(rig)
    assert len(changes) > begun
    for count in range(begun, len(changes) + 1):
        again = recovered(changes[:count])
        running = [one.task_id for one in again.state.tasks() if one.state == "TASK_RUNNING"]
        assert running == [], f"after {count} of {len(changes)} changes"


def test_a_task_whose_executor_can_not_be_read_any_more_is_told_as_failed() -> None:
    rig = ExecutorRig.with_executor(job("t-1"))
    rig.update("t-1", "TASK_RUNNING", 1)
    rig.acknowledge_all()
    again = recovered([change for change in changes_of(rig) if not change[0].startswith("executor/")])
    ((_, state),) = [(one.task_id, one.state) for one in again.state.tasks()]
    assert state == "TASK_FAILED"


def test_an_agent_starts_wherever_the_write_of_the_end_of_a_framework_with_an_executor_is_torn() -> None:
    rig = ExecutorRig.with_executor(job("t-1"))
    rig.update("t-1", "TASK_RUNNING", 1)
    rig.acknowledge_all()
    container_id = rig.executor().container_id
    rig.receive(link.ShutdownFramework(FRAMEWORK))
    rig.handle(events.ContainerExited(container_id, 0))
    changes = changes_of(rig)
    for count in range(len(changes) + 1):
        again = recovered(changes[:count])
        assert again.state.exiting is None, f"after {count} of {len(changes)} changes: {again.state.exiting}"
