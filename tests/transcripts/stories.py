"""Stories worth reading, played on the simulated world by real masters and agents. `make stories` writes them anew.

Rules: a script says what happens from outside and when; everything else follows. The weather is calm: a message takes half a
millisecond. A story is compared whole with its file, so a change of the protocol shows itself as a change of a story.
"""

from __future__ import annotations

import sys
from collections.abc import Callable
from pathlib import Path
from typing import NamedTuple

from merismos.simulation.masters import MasterHost
from merismos.simulation.world import Settings, World
from transcripts.narrator import Narrator
from transcripts.played import PlayedScheduler

FOLDER = Path(__file__).parent / "stories"
AGAIN = "make stories"
NEVER_S = 1e9


class Stage:
    """A calm world with a narrator, and what scripts do with it."""

    def __init__(self, hosts: int, life_s: float = NEVER_S) -> None:
        self.world = World(1, Settings(hosts=hosts, schedulers=0, life_s=life_s, calm=True, sweep_every=1))
        self.narrator = Narrator(self.world)
        self.pass_s(2.0)

    @property
    def leader(self) -> MasterHost:
        return self.world.leader

    def pass_s(self, duration_s: float) -> None:
        self.world.advance(duration_s)

    def until(self, what: Callable[[], object]) -> None:
        """Let time pass until something is so."""
        ends_at = self.world.agenda.now + 600.0
        while not what():
            assert self.world.agenda.now < ends_at, "what the script waits for doesn't come about"
            self.pass_s(0.001)

    def say(self, text: str) -> None:
        self.narrator.remark(text)

    def agent_id(self, number: int) -> str:
        return self.world.hosts[number].machine.state.registration.agent_id

    def scheduler(self, name: str, *, partition_aware: bool = True) -> PlayedScheduler:
        return PlayedScheduler(self.world, self.narrator, name, partition_aware=partition_aware)

    def begin(self, *schedulers: PlayedScheduler, tasks: dict[int, list[str]]) -> None:
        """Subscribe schedulers one after the other; let each launch tasks on the agents of these numbers."""
        for scheduler in schedulers:
            scheduler.subscribe()
            self.pass_s(1.5)
            for number, task_ids in tasks.items():
                names = [f"{scheduler.name}.{one}" for one in task_ids] if len(schedulers) > 1 else task_ids
                scheduler.launch(self.agent_id(number), *names)
            scheduler.decline()
            self.pass_s(3.0)

    def lead_anew(self, before: MasterHost) -> None:
        """Wait for another leader."""
        self.until(lambda: self.world.elected is not None and self.world.elected is not before)


def failover_during_reregistration() -> list[str]:
    """A leader dies, and the next one too, while its agents are on their way back."""
    stage = Stage(2)
    scheduler = stage.scheduler("sched")
    stage.begin(scheduler, tasks={0: ["t1"], 1: ["t2"]})
    first = stage.leader
    stage.say("the leader is killed")
    first.crash(60.0, "killed")
    stage.lead_anew(first)
    second = stage.leader
    framework_id = scheduler.framework_id
    scheduler.subscribe(framework_id)
    stage.until(lambda: len(second.machine.master.agents) if second.machine else 0)
    stage.say("one agent is back, the other one isn't yet: the second leader is killed")
    second.crash(60.0, "killed")
    stage.lead_anew(second)
    scheduler.subscribe(framework_id)
    stage.pass_s(5.0)
    stage.say("the scheduler asks what became of its tasks")
    scheduler.reconcile({})
    stage.pass_s(2.0)
    scheduler.kill("t1")
    stage.pass_s(2.0)
    return stage.narrator.lines


def partition_and_heal() -> list[str]:
    """An agent with a task of each kind of framework can't be reached for a while."""
    stage = Stage(1)
    aware = stage.scheduler("aware")
    legacy = stage.scheduler("legacy", partition_aware=False)
    stage.begin(aware, legacy, tasks={0: ["t"]})
    stage.say("the network between the agent and its master breaks for 120 s")
    stage.world.part(stage.world.hosts[0], stage.leader, 120.0)
    stage.pass_s(100.0)
    stage.say("meanwhile both ask")
    aware.reconcile({"aware.t": stage.agent_id(0)})
    legacy.reconcile({"legacy.t": stage.agent_id(0)})
    stage.pass_s(20.0)
    stage.say("the network is whole again")
    stage.until(stage.world.hosts[0].is_registered)
    stage.pass_s(2.0)
    aware.reconcile({"aware.t": stage.agent_id(0)})
    legacy.reconcile({"legacy.t": stage.agent_id(0)})
    stage.pass_s(2.0)
    return stage.narrator.lines


def scheduler_takeover() -> list[str]:
    """A second scheduler of a framework subscribes while the first is still there."""
    stage = Stage(1)
    old = stage.scheduler("old")
    old.acknowledges = False
    stage.begin(old, tasks={0: ["t1"]})
    new = stage.scheduler("new")
    stage.say("another scheduler of the same framework subscribes")
    new.subscribe(old.framework_id)
    stage.pass_s(1.0)
    stage.say("the old one, which doesn't know its place, tries to kill the task")
    old.kill("t1")
    stage.pass_s(1.0)
    stage.say("the new one may")
    new.kill("t1")
    stage.pass_s(3.0)
    return stage.narrator.lines


def agent_restart_with_unacknowledged_updates() -> list[str]:
    """An agent is killed while it owes updates, and a task ends while no agent is there."""
    stage = Stage(1, life_s=10.0)
    scheduler = stage.scheduler("sched")
    scheduler.acknowledges = False
    stage.begin(scheduler, tasks={0: ["t1"]})
    stage.say("the agent is killed for 12 s")
    stage.world.hosts[0].end(12.0)
    stage.pass_s(14.0)
    stage.until(stage.world.hosts[0].is_registered)
    stage.pass_s(12.0)
    stage.say("the scheduler acknowledges at last, and goes on to do so")
    scheduler.acknowledges = True
    scheduler.acknowledge(scheduler.updates[-1])
    stage.pass_s(25.0)
    return stage.narrator.lines


def a_stopped_leader_wakes() -> list[str]:
    """A leader is stopped, another takes its place, and then the first one wakes with calls in its sockets."""
    stage = Stage(1)
    before = stage.scheduler("sched")
    stage.begin(before, tasks={0: ["t1"]})
    first = stage.leader
    stage.say("the process of the leader is stopped for 20 s, and a call comes meanwhile")
    first.stop(20.0)
    before.kill("t1")
    stage.lead_anew(first)
    after = stage.scheduler("sched")
    after.subscribe(before.framework_id)
    stage.pass_s(first.stopped_until - stage.world.agenda.now - 0.001)
    stage.say("the first leader wakes")
    stage.pass_s(3.0)
    stage.say("and the task still runs")
    after.reconcile({"t1": stage.agent_id(0)})
    stage.pass_s(2.0)
    return stage.narrator.lines


class Story(NamedTuple):
    """What is played, its title, and what to look for."""

    play: Callable[[], list[str]]
    title: str
    look_for: str


STORIES = {
    story.play.__name__: story
    for story in (
        Story(
            failover_during_reregistration,
            "Failover during re-registration",
            "Two leaders die, the second while one of two agents is back. Look at the tasks: nobody ends them, no update of them\n"
            "is lost, both agents keep their ids, and the third leader knows from the agents alone what runs.",
        ),
        Story(
            partition_and_heal,
            "Partition and heal",
            "An agent is away for longer than five pings. Look at the two words for it: TASK_UNREACHABLE for the framework with\n"
            "PARTITION_AWARE, TASK_LOST for the one without. The tasks run on, and both hear so when the agent is back.",
        ),
        Story(
            scheduler_takeover,
            "Scheduler takeover",
            "A second scheduler takes a framework over. Look at the first: it gets ERROR, its stream ends, its calls are refused.\n"
            "The second gets the update that the first never acknowledged, #1, under the same uuid.",
        ),
        Story(
            agent_restart_with_unacknowledged_updates,
            "Agent restart with unacknowledged updates",
            "An agent is killed while it owes #1, and its task ends while no agent is there. Look at the order: #1 comes again,\n"
            "under its uuid, until it is acknowledged; only then #2, and then the end, #3. All of them come, none comes early.",
        ),
        Story(
            a_stopped_leader_wakes,
            "A stopped leader wakes",
            "A leader sleeps through its own replacement. Look at 26.500, when it wakes with a KILL unread: it looks at its clock\n"
            "first, knows that its lease is over, answers 503 and ends. The agent never hears of the KILL.",
        ),
    )
}
LEGEND = (
    "Virtual seconds, who -> whom, what. M0 is the first leader's id, #1 the first update's uuid; a line that begins with --\n"
    "is what happens from outside. Pings and heartbeats are left out."
)


def text_of(name: str) -> str:
    """Play a story and return its text."""
    story = STORIES[name]
    return "\n".join([story.title, "=" * len(story.title), story.look_for, "", LEGEND, "", *story.play()]) + "\n"


def path_of(name: str) -> Path:
    """Return where a story is kept."""
    return FOLDER / f"{name}.txt"


def main() -> None:
    """Write every story anew."""
    FOLDER.mkdir(exist_ok=True)
    for name in STORIES:
        path_of(name).write_text(text_of(name), encoding="utf-8")
        sys.stdout.write(f"{path_of(name).name}\n")


if __name__ == "__main__":
    main()
