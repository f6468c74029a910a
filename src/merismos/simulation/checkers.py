"""What must hold at every step, seen from what passes between the machines.

| checker     | what it finds                                                                                       |
|-------------|-----------------------------------------------------------------------------------------------------|
| handle      | an exception or assertion out of a machine, a timer that never comes to rest                        |
| closed      | an effect on a stream or link that is closed                                                        |
| answers     | a request that is answered not at all, or twice                                                     |
| wanted      | an offer to a role that is suppressed or not the framework's, to a framework that isn't there        |
| order       | a status update before its predecessor was acknowledged, or after the last one                      |
| table       | a task that leaves the table of task states                                                         |
| quota       | an offer that takes a role past its limit: `quotas.py`                                              |

The sweeps find the rest: `sweeps.py`. Rules: a checker keeps its own account of what happened, and asks a machine's records only
for what it compares.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from merismos.core.agent import events as agent_events
from merismos.core.master import effects, events
from merismos.core.master.tasks import MOVES
from merismos.core.master.validate.framework import roles_of
from merismos.model.task_states import TERMINAL
from merismos.protocol import link
from merismos.protocol.v1 import mesos
from merismos.protocol.v1.scheduler import Call_Type
from merismos.simulation.quotas import QuotaChecker, QuotaFault

if TYPE_CHECKING:
    from collections.abc import Sequence

    from merismos.core.agent.effects import SendMessage
    from merismos.core.kernel import Effect, Event
    from merismos.core.master.state import Master
    from merismos.simulation.hosts import AgentHost
    from merismos.simulation.masters import MasterHost
    from merismos.simulation.world import World

StreamKey = tuple[int, int, str, str]  # host, its life, framework, task
TaskKey = tuple[str, str, str, str]  # framework, task, agent, process of a master
LAUNCHES = (link.RunTasks, link.RunTaskGroup)
DECISIONS = (effects.SendOffers, effects.StoreRegistry)
_FINAL = frozenset({"TASK_GONE", "TASK_GONE_BY_OPERATOR", "TASK_DROPPED"})
_FINAL_REASONS = frozenset({"REASON_AGENT_REMOVED", "REASON_AGENT_REMOVED_BY_OPERATOR"})


class Violation(Exception):
    """A checker found something; `checker` is its name."""

    def __init__(self, checker: str, message: str) -> None:
        super().__init__(f"{checker}: {message}")
        self.checker = checker


def records_of(host: MasterHost) -> Master:
    """Return the records of a master that leads, or believes so."""
    assert host.machine is not None, host.name
    return host.machine.master


class Wishes:
    """What a framework told the master that it wants to be offered."""

    def __init__(self, info: mesos.FrameworkInfo, suppressed: Sequence[str]) -> None:
        self.roles = roles_of(info)
        self.suppressed = dict.fromkeys(suppressed)


class Update:
    """One status update that an agent sent, and its place in its stream."""

    __slots__ = ("index", "key", "state", "uuid")

    def __init__(self, key: StreamKey, index: int, uuid: bytes, state: str) -> None:
        self.key = key
        self.index = index
        self.uuid = uuid
        self.state = state


class Checkers:
    """The checkers of every step, and the account that they keep."""

    def __init__(self, world: World) -> None:
        self.world = world
        self.updates: dict[bytes, Update] = {}
        self.streams: dict[StreamKey, list[Update]] = {}
        self.acknowledged: dict[bytes, None] = {}  # by a scheduler, at the master
        self.acknowledged_at_agent: dict[bytes, None] = {}
        self.seen: dict[str, dict[bytes, None]] = {}  # by framework: the uuids that reached a scheduler of it
        self.shut_down: dict[str, None] = {}  # frameworks that some master ended at some agent: no more is owed to them
        self.reused: dict[
            tuple[str, str], None
        ] = {}  # (framework, task id) that a scheduler used again, though a task of that id might come back
        self.epochs: dict[tuple[int, int], int] = {}
        self.final: dict[TaskKey, str] = {}
        self.quotas = QuotaChecker()

    # ------------------------------------------------------------ the master
    def after_master(self, master: MasterHost, event: Event, done: Sequence[Effect]) -> None:
        """Follow what a master was told, and what it launched."""
        try:
            self.quotas.after_master(master, records_of(master), event, done)
        except QuotaFault as fault:
            raise Violation("quota", str(fault)) from None
        for effect in done:
            if isinstance(effect, effects.SendToAgent):
                if isinstance(effect.message, LAUNCHES):
                    self._check_writer(master, effect)
                    self._follow_launch(master, effect.link, effect.message)
            elif isinstance(effect, DECISIONS):
                self._check_writer(master, effect)
        match event:
            case events.SchedulerSubscribed():
                self._follow_subscribe(master, event)
            case events.SchedulerCalled():
                responses = [effect for effect in done if isinstance(effect, effects.Respond)]
                if responses and responses[0].status in {200, 202}:
                    self._follow_call(master, event)
            case _:
                pass

    def _check_writer(self, master: MasterHost, effect: Effect) -> None:
        """Check that only a master that nobody can have replaced offers, launches and writes."""
        if not master.still_stands():
            raise Violation("writer", f"{master.name} of epoch {master.epoch} leads no more, yet it decides {effect}")

    def _follow_launch(self, master: MasterHost, link_id: int, message: link.RunTasks | link.RunTaskGroup) -> None:
        """Let what is launched again begin anew."""
        if isinstance(message, link.RunTasks):
            agent = records_of(master).links[link_id]
            assert agent is not None
            for task_id in message.task_ids:
                self.final.pop((message.framework_id, task_id, agent.id, f"{master.name}/{master.run}"), None)

    def _follow_subscribe(self, master: MasterHost, event: events.SchedulerSubscribed) -> None:
        framework = records_of(master).streams.get(event.stream)
        subscribe = event.call.subscribe
        if framework is not None and subscribe is not None:
            master.wishes[framework.id] = Wishes(subscribe.framework_info, subscribe.suppressed_roles)

    def _follow_call(self, master: MasterHost, event: events.SchedulerCalled) -> None:
        call = event.call
        assert call.framework_id is not None
        wishes = master.wishes[call.framework_id.value]
        match call.type:
            case Call_Type.SUPPRESS:
                named = [] if call.suppress is None else call.suppress.roles
                wishes.suppressed.update((role, None) for role in named or wishes.roles)
            case Call_Type.REVIVE:
                named = [] if call.revive is None else call.revive.roles
                for role in named or wishes.roles:
                    wishes.suppressed.pop(role, None)
            case Call_Type.UPDATE_FRAMEWORK:
                update = call.update_framework
                assert update is not None
                master.wishes[call.framework_id.value] = Wishes(update.framework_info, update.suppressed_roles)
            case Call_Type.ACKNOWLEDGE:
                assert call.acknowledge is not None
                self.acknowledged[call.acknowledge.uuid] = None
            case _:
                pass

    def on_offers_sent(self, master: MasterHost, effect: effects.SendOffers) -> None:
        """Check that a framework wants what it is offered, and is there to answer."""
        for offer in effect.offers:
            framework = offer.framework
            wishes = master.wishes.get(framework.id)
            fault = ""
            if wishes is None or framework.stream != effect.stream or not framework.active:
                fault = "the framework is not there"
            elif offer.role not in wishes.roles:
                fault = f"its roles are {wishes.roles}"
            elif offer.role in wishes.suppressed:
                fault = "it suppressed the role"
            elif offer.agent.link is None:
                fault = "the agent's link is down"
            elif not offer.resources:
                fault = "it is empty"
            if fault:
                raise Violation("wanted", f"offer {offer.id} to {framework.id} in role {offer.role}: {fault}")
        try:
            self.quotas.check_offers(master, records_of(master), effect.offers)
        except QuotaFault as fault:
            raise Violation("quota", str(fault)) from None

    def on_update_sent(self, master: MasterHost, token: int, status: mesos.TaskStatus) -> None:
        """Check an update on its way to a scheduler against its stream."""
        framework = records_of(master).streams.get(token)
        if framework is None:
            raise Violation("closed", f"{status} is sent on stream {token}, which no framework has")
        agent_id = "" if status.agent_id is None else status.agent_id.value
        key = (framework.id, status.task_id.value, agent_id, f"{master.name}/{master.run}")
        if not status.uuid:
            by_removal = str(status.reason) in _FINAL_REASONS
            by_agreement = status.state == "TASK_DROPPED" and status.reason == "REASON_RECONCILIATION"
            if str(status.state) in _FINAL and (by_removal or by_agreement):
                self.final[key] = f"{status.state} ({status.reason})"
            return
        if key in self.final:
            raise Violation("table", f"{key} was {self.final[key]}, now it is {status.state}: {status.message}")
        update = self.updates.get(status.uuid)
        if update is None or update.state != status.state:
            raise Violation("order", f"{key}: no agent sent the update {status}")
        if update.index:
            before = self.streams[update.key][update.index - 1]
            if before.uuid not in self.acknowledged:
                raise Violation("order", f"{key} is {update.state} before {before.state} was acknowledged")

    # ------------------------------------------------------------ agents
    def on_hello(self, host: AgentHost, epoch: int) -> None:
        """Take note of the newest leader that an agent has heard of."""
        key = (host.number, host.run)
        self.epochs[key] = max(self.epochs.get(key, 0), epoch)

    def before_agent(self, host: AgentHost, event: Event) -> None:
        """Follow which updates an agent knows to be acknowledged, and what it may run again."""
        if not isinstance(event, agent_events.LinkReceived):
            return
        message = event.message
        if isinstance(message, link.AcknowledgeStatus):
            self.acknowledged_at_agent[message.uuid] = None
        elif isinstance(message, link.ShutdownFramework):
            self.shut_down[message.framework_id] = None
        elif isinstance(message, link.RunTasks):
            for task_id in message.task_ids:
                stream = self.streams.get((host.number, host.life, message.framework_id, task_id))
                ended = message.framework_id in self.shut_down
                if stream and (ended or stream[-1].state in TERMINAL):
                    # the same id again: another task, whose updates begin anew
                    self.streams[host.number, host.life, message.framework_id, task_id] = []

    def on_agent_sends(self, host: AgentHost, effect: SendMessage) -> None:
        """Check that a link is open, and each stream of updates in order."""
        if effect.link not in host.wires or not host.wires[effect.link].agent_open:
            raise Violation("closed", f"{host.name} sends {effect.message} on link {effect.link}, which is closed")
        if host.wires[effect.link].hello[0] < self.epochs[host.number, host.run]:
            raise Violation("writer", f"{host.name} answers a master of an epoch that is over: {effect.message}")
        message = effect.message
        if not isinstance(message, link.UpdateStatus):
            return
        key = (host.number, host.life, message.framework_id, message.task_id)
        stream = self.streams.setdefault(key, [])
        known = self.updates.get(message.uuid)
        if known is not None:
            if stream and stream[-1] is not known:
                raise Violation("order", f"{key}: {known.state} is sent again after {stream[-1].state}")
            return
        before = stream[-1] if stream else None
        if before is not None:
            if before.uuid not in self.acknowledged_at_agent:
                raise Violation("order", f"{key}: {message.state} is sent while {before.state} is in flight")
            if before.state in TERMINAL:
                raise Violation("order", f"{key}: {message.state} is sent after {before.state}")
        if message.state not in MOVES["TASK_STAGING" if before is None else before.state]:
            raise Violation("table", f"{key} goes from {before and before.state} to {message.state}")
        update = Update(key, len(stream), message.uuid, message.state)
        stream.append(update)
        self.updates[message.uuid] = update

    # ------------------------------------------------------------ schedulers
    def on_scheduler_known(self, framework_id: str) -> None:
        """Begin the account of a framework."""
        self.seen.setdefault(framework_id, {})

    def on_update_seen(self, framework_id: str, status: mesos.TaskStatus) -> None:
        """Take note of an update that reached its scheduler."""
        if status.uuid:
            self.seen[framework_id][status.uuid] = None
