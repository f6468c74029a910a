"""Each checker finds the bug that was planted for it."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING

import msgspec
import pytest

from merismos.core.agent import effects as agent_effects
from merismos.core.agent.machine import AgentMachine
from merismos.core.master import effects, events
from merismos.core.master.machine import MasterMachine
from merismos.protocol import link
from merismos.simulation.checkers import Violation
from merismos.simulation.world import Settings, World, simulate

if TYPE_CHECKING:
    from merismos.core.kernel import Effect, Event

SEEDS = range(1, 13)


class Forgetful(MasterMachine):
    """Raises at a kill: a bug that ends the process."""

    __slots__ = ()

    def handle(self, event: Event, now: float) -> list[Effect]:
        assert not (isinstance(event, events.SchedulerCalled) and event.call.type == "KILL")
        return super().handle(event, now)


class Mute(MasterMachine):
    """Answers no call to revive."""

    __slots__ = ()

    def handle(self, event: Event, now: float) -> list[Effect]:
        done = super().handle(event, now)
        if isinstance(event, events.SchedulerCalled) and event.call.type == "REVIVE":
            return [effect for effect in done if not isinstance(effect, effects.Respond)]
        return done


class Talkative(MasterMachine):
    """Sends a heartbeat on a stream that has ended."""

    __slots__ = ()

    def handle(self, event: Event, now: float) -> list[Effect]:
        done = super().handle(event, now)
        if isinstance(event, events.StreamClosed):
            done.append(effects.SendHeartbeat([event.stream]))
        return done


class Deaf(MasterMachine):
    """Takes the doubt about its leadership for a rumour."""

    __slots__ = ()

    def handle(self, event: Event, now: float) -> list[Effect]:
        if isinstance(event, events.CoordinationSuspended | events.LeadershipLost):
            return []
        return super().handle(event, now)


class Pushy(MasterMachine):
    """Forgets that a role was suppressed."""

    __slots__ = ()

    def handle(self, event: Event, now: float) -> list[Effect]:
        done = super().handle(event, now)
        if isinstance(event, events.SchedulerCalled) and event.call.type == "SUPPRESS":
            framework = self.master.frameworks.get(
                "" if event.call.framework_id is None else event.call.framework_id.value
            )
            if framework is not None:
                for role in list(framework.roles):
                    self.master.allocator.revive(framework.id, [role])
        return done


class Lossy(MasterMachine):
    """Loses every third update on its way to the scheduler, and tells the agent that it was seen."""

    __slots__ = ()

    def handle(self, event: Event, now: float) -> list[Effect]:
        done = super().handle(event, now)
        kept: list[Effect] = []
        for effect in done:
            if isinstance(effect, effects.SendUpdate) and isinstance(event, events.LinkReceived):
                message = event.message
                if isinstance(message, link.UpdateStatus) and message.uuid[0] % 3 == 0:
                    gone = link.AcknowledgeStatus(message.framework_id, message.task_id, message.uuid)
                    kept.append(effects.SendToAgent(event.link, gone))
                    continue
            kept.append(effect)
        return kept


class Double(MasterMachine):
    """Writes every agent down as gone too."""

    __slots__ = ()

    def handle(self, event: Event, now: float) -> list[Effect]:
        done = super().handle(event, now)
        if isinstance(event, events.RegistryStored):
            for agent_id in self.master.agents:
                self.master.gone_agents[agent_id] = now
        return done


class Generous(MasterMachine):
    """Frees in its allocator what a task that is launched has."""

    __slots__ = ()

    def handle(self, event: Event, now: float) -> list[Effect]:
        done = super().handle(event, now)
        for effect in done:
            if isinstance(effect, effects.SendToAgent) and isinstance(effect.message, link.RunTasks):
                framework = self.master.frameworks[effect.message.framework_id]
                task = framework.tasks[effect.message.task_ids[-1]]
                self.master.allocator.recover(framework.id, task.role, task.agent.id, task.resources, now=now)
        return done


class Inflated(MasterMachine):
    """Takes every agent for ten times as big as it says it is."""

    __slots__ = ()

    def handle(self, event: Event, now: float) -> list[Effect]:
        if isinstance(event, events.LinkReceived) and isinstance(
            event.message, link.RegisterAgent | link.ReregisterAgent
        ):
            info = msgspec.json.decode(event.message.info)
            for resource in info["resources"]:
                if "scalar" in resource:
                    resource["scalar"]["value"] *= 10
            message = msgspec.structs.replace(event.message, info=msgspec.json.encode(info))
            event = msgspec.structs.replace(event, message=message)
        return super().handle(event, now)


class Misfiled(MasterMachine):
    """Loses a launched task from what its agent has."""

    __slots__ = ()

    def handle(self, event: Event, now: float) -> list[Effect]:
        done = super().handle(event, now)
        if any(isinstance(one, effects.SendToAgent) and isinstance(one.message, link.RunTasks) for one in done):
            for agent in self.master.agents.values():
                if agent.tasks:
                    agent.tasks.popitem()
        return done


class Boundless(MasterMachine):
    """Forgets in its allocator that there are limits."""

    __slots__ = ()

    def handle(self, event: Event, now: float) -> list[Effect]:
        done = super().handle(event, now)
        quotas = self.master.allocator._cluster.quotas
        for role in quotas.roles.values():
            role.limits = {}
        return done


class Oblivious(MasterMachine):
    """Reads no quotas from the registry when it begins to lead."""

    __slots__ = ()

    def handle(self, event: Event, now: float) -> list[Effect]:
        if isinstance(event, events.Started):
            kept = [entry for entry in event.registry if entry[0] != "quota"]
            event = msgspec.structs.replace(event, registry=kept)
        return super().handle(event, now)


class Hospitable(MasterMachine):
    """Takes in agents of machines that are down."""

    __slots__ = ()

    def handle(self, event: Event, now: float) -> list[Effect]:
        planned = self.master.maintenance
        known = planned.machines
        up = planned.machines = {key: one for key, one in known.items() if one.mode != "DOWN"}
        done = super().handle(event, now)
        if planned.machines is up:
            planned.machines = known
        return done


class Tireless(MasterMachine):
    """Offers from agents that operators have deactivated."""

    __slots__ = ()

    def handle(self, event: Event, now: float) -> list[Effect]:
        for agent_id in self.master.drains:
            self.master.allocator.activate_agent(agent_id)
        return super().handle(event, now)


class Shy(AgentMachine):
    """Never comes back to a master."""

    __slots__ = ()

    def handle(self, event: Event, now: float) -> Sequence[Effect]:
        return [
            effect
            for effect in super().handle(event, now)
            if not (isinstance(effect, agent_effects.SendMessage) and isinstance(effect.message, link.ReregisterAgent))
        ]


class Revived(AgentMachine):
    """Says of a task that runs that it is yet to be started."""

    __slots__ = ()

    def handle(self, event: Event, now: float) -> Sequence[Effect]:
        done = list(super().handle(event, now))
        for number, effect in enumerate(done):
            if isinstance(effect, agent_effects.SendMessage) and isinstance(effect.message, link.UpdateStatus):
                message = effect.message
                if message.state == "TASK_RUNNING":
                    staging = msgspec.structs.replace(
                        message,
                        state="TASK_STAGING",
                        latest_state="TASK_STAGING",
                        status=message.status.replace(b"TASK_RUNNING", b"TASK_STAGING"),
                    )
                    done[number] = msgspec.structs.replace(effect, message=staging)
        return done


class Hasty(AgentMachine):
    """Sends each update twice over, the second under a new uuid, before the first was acknowledged."""

    __slots__ = ()

    def handle(self, event: Event, now: float) -> Sequence[Effect]:
        done = list(super().handle(event, now))
        for effect in list(done):
            if isinstance(effect, agent_effects.SendMessage) and isinstance(effect.message, link.UpdateStatus):
                again = msgspec.structs.replace(effect.message, uuid=bytes(16))
                done.append(msgspec.structs.replace(effect, message=again))
        return done


def found_by(make: Callable[..., World]) -> str:
    for seed in SEEDS:
        try:
            make(seed)
        except Violation as violation:
            return violation.checker
    return "nothing"


@pytest.mark.parametrize(
    ("planted", "checkers"),
    [
        (Forgetful, {"handle"}),
        (Mute, {"answers"}),
        (Talkative, {"closed"}),
        (Deaf, {"writer"}),
        (Pushy, {"wanted"}),
        (Lossy, {"lost", "order"}),
        (Double, {"places"}),
        (Generous, {"accounting", "twice"}),
        (Inflated, {"overcommit"}),
        (Misfiled, {"indices"}),
        (Boundless, {"quota"}),
        (Oblivious, {"quota"}),
        (Hospitable, {"maintenance"}),
        (Tireless, {"drain"}),
    ],
)
def test_a_bug_planted_in_the_master_is_found_by_its_checker(planted: type[MasterMachine], checkers: set[str]) -> None:
    def run(seed: int) -> World:
        return simulate(seed, 3000, Settings(sweep_every=10), make_master=planted)

    assert found_by(run) in checkers


@pytest.mark.parametrize(("planted", "checkers"), [(Revived, {"table"}), (Hasty, {"order"}), (Shy, {"convergence"})])
def test_a_bug_planted_in_the_agent_is_found_by_its_checker(planted: type[AgentMachine], checkers: set[str]) -> None:
    def run(seed: int) -> World:
        return simulate(seed, 3000, Settings(sweep_every=20), make_agent=planted)

    assert found_by(run) in checkers
