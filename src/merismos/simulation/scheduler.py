"""Frameworks that are played: what they do with offers, updates and lost connections, by chance.

Rules: a framework goes on through any number of schedulers. Its calls reach the master in order, apart from those that are sent
twice. Once it is `calm` it does what a good scheduler does: it stays subscribed, acknowledges everything and declines every offer.
"""

from __future__ import annotations

import base64
from collections import deque
from typing import TYPE_CHECKING, Any

import msgspec

from merismos.model.task_states import TERMINAL
from merismos.simulation.network import Pipe
from merismos.simulation.streams import OfferView, Stream
from merismos.simulation.tasks import Json, launch_of, value

if TYPE_CHECKING:
    from merismos.protocol.v1 import mesos
    from merismos.protocol.v1.scheduler import Event as SchedulerEvent
    from merismos.simulation.masters import MasterHost
    from merismos.simulation.world import World

ROLES = ("a", "b", "b/c", "*")
OVER = TERMINAL | {"TASK_UNREACHABLE", "TASK_UNKNOWN"}
_OF_LAUNCHES = frozenset({"REASON_INVALID_OFFERS", "REASON_TASK_INVALID"})
UNAVAILABLE = 503
PATIENCE_S = 30.0
_encode = msgspec.json.encode


class TaskView:
    """A task as its framework knows it; `interrupted`: an update of it may have been missed; `other`: one of the same id elsewhere, which may be the one that counts."""

    __slots__ = ("agent_id", "executor_id", "id", "interrupted", "other", "state", "unacknowledged")

    def __init__(self, task_id: str, agent_id: str) -> None:
        self.id = task_id
        self.agent_id = agent_id
        self.executor_id = ""  # of a custom one
        self.state = "TASK_STAGING"
        self.interrupted = False
        self.other: TaskView | None = None
        self.unacknowledged: list[mesos.TaskStatus] = []

    def may_be_unknown(self) -> bool:
        """Say whether there may be a leader that doesn't know of this task, though it runs."""
        return self.state == "TASK_UNREACHABLE" or (self.interrupted and self.state not in TERMINAL)


class Scheduler:
    """One framework after another, under one name."""

    def __init__(self, world: World, number: int) -> None:
        self.world = world
        self.name = f"framework{number}"
        self.calm = False
        self.launched = 0
        self._calls: Pipe[tuple[bytes, Stream, bool]] = Pipe(world.agenda, world.weather, self._called)
        self._begin()

    def _begin(self) -> None:
        dice = self.world.dice
        self.id = ""
        self.stream: Stream | None = None
        self.subscribed = False
        self.tasks: dict[str, TaskView] = {}
        self.held: dict[str, OfferView] = {}
        self.spent: deque[str] = deque(maxlen=20)
        capabilities = ["RESERVATION_REFINEMENT"] if dice.chance(50) else []
        capabilities += ["PARTITION_AWARE"] if dice.chance(60) else []
        capabilities += ["TASK_KILLING_STATE"] if dice.chance(50) else []
        self.info: Json = {
            "user": "root",
            "name": self.name,
            "checkpoint": True,
            "failover_timeout": dice.pick((0.0, 3.0, 100.0, 1e6, 1e6)),
        }
        if dice.chance(75):
            capabilities.append("MULTI_ROLE")
            self.info["roles"] = sorted({dice.pick(ROLES), dice.pick(ROLES)})
        else:
            self.info["role"] = dice.pick(ROLES)
        self.info["capabilities"] = [{"type": one} for one in capabilities]

    @property
    def roles(self) -> list[str]:
        """The roles that it asked for."""
        roles: list[str] = self.info.get("roles") or [self.info["role"]]
        return roles

    # ------------------------------------------------------------ the connection
    def subscribe(self) -> None:
        """Subscribe a new scheduler, whatever became of the last one."""
        self.interrupt()
        self.subscribed = False
        self.held.clear()
        leader = self.world.coordination.leader()
        if leader is None or self.world.coordination.is_down():
            self._try_later()
            return
        if self.stream is not None:
            self.stream.client_open = False
            self.stream.lose()
        self.stream = Stream(self.world, self.world.master_at(leader.address), self._received)
        body: Json = {"type": "SUBSCRIBE", "subscribe": {"framework_info": dict(self.info)}}
        if self.id:
            body["framework_id"] = value(self.id)
            body["subscribe"]["framework_info"]["id"] = value(self.id)
        if self.world.dice.chance(10) and not self.calm:
            body["subscribe"]["suppressed_roles"] = [self.world.dice.pick(self.roles)]
        self._calls.send((_encode(body), self.stream, True))
        stream = self.stream
        self.world.agenda.after(PATIENCE_S, lambda: self._give_up(stream))

    def _give_up(self, stream: Stream) -> None:
        """Subscribe anew where nobody answered: the master may have ended with the call unread."""
        if self.stream is stream and not self.subscribed:
            self.subscribe()

    def _try_later(self) -> None:
        stream = self.stream
        delay_s = 0.2 if self.calm else self.world.dice.uniform(0.1, 5.0)
        self.world.agenda.after(delay_s, lambda: self.subscribe() if self.stream is stream else None)

    def detect(self) -> None:
        """Follow the leadership to another master."""
        leader = self.world.coordination.leader()
        if leader is not None and self.stream is not None and self.stream.master.address != leader.address:
            self.subscribe()

    def lose(self) -> None:
        """Lose the connection."""
        if self.stream is not None:
            self.stream.lose()
            self.interrupt()

    def interrupt(self) -> None:
        """Take note that updates may be missed."""
        for task in self.tasks.values():
            task.interrupted = True

    def interrupt_if_away(self) -> None:
        """Take note that updates may be missed, if nobody is there to get them."""
        if not self.subscribed:
            self.interrupt()

    def clog(self, master: MasterHost, duration_s: float) -> None:
        """Hold back what comes from a master for a while, and what is said to it, or lose that."""
        if self.stream is not None and self.stream.master is master:
            self.stream.pipe.clog(duration_s)
            if self.world.dice.chance(50):
                self._calls.clog(duration_s)

    def call(self, kind: str, **fields: Any) -> None:  # noqa: ANN401 - JSON
        """Make a call on the stream in use, sometimes twice."""
        if self.stream is None or not self.subscribed:
            return
        body = _encode({"type": kind, "framework_id": value(self.id), **fields})
        item = (body, self.stream, False)
        self._calls.send(item)
        if not self.calm and self.world.dice.chance(4):
            self.world.agenda.after(self.world.dice.uniform(0.0, 3.0), lambda: self._calls.send(item))

    def _called(self, item: tuple[bytes, Stream, bool]) -> None:
        body, stream, subscribes = item
        master = stream.master
        is_parted = self.world.partitions.until(self.name, master.name) > self.world.agenda.now
        is_there = master.is_leading() and master.run == stream.master_run and not is_parted
        if not subscribes and is_there:
            master.call(body, stream.stream_id, self._answered)
        elif not subscribes:
            self.interrupt()
        elif stream.client_open and not stream.pipe.is_cut:
            if is_there:
                master.subscribe(body, stream)
            elif stream is self.stream:
                self._try_later()

    def _answered(self, status: int, text: str) -> None:
        del text
        if status == UNAVAILABLE:
            self.interrupt()

    # ------------------------------------------------------------ events
    def _received(self, stream: Stream, kind: str, payload: Any) -> None:  # noqa: ANN401 - one type a kind
        if stream is not self.stream:
            return
        match kind:
            case "SUBSCRIBED":
                self._on_subscribed(payload)
            case "OFFERS":
                for view in payload:
                    self.held[view.id] = view
                self.world.agenda.after(self.world.dice.uniform(0.001, 1.0), lambda: self._consider(stream))
            case "INVERSE_OFFERS":
                self._answer_inverse([value(one.id.value) for one in payload.inverse_offers.inverse_offers])
            case "RESCIND":
                self.held.pop(payload.rescind.offer_id.value, None)
            case "UPDATE":
                self._on_update(stream, payload)
            case "ERROR":
                if "removed" in payload.error.message:
                    self._begin()
                    self.world.agenda.after(0.5, self._begin_again)
            case "CLOSED":
                self.subscribed = False
                self.interrupt()
                delay_s = 0.01 if self.calm else self.world.dice.uniform(0.01, 20.0)
                self.world.agenda.after(delay_s, lambda: self._again(stream))
            case _:
                pass

    def _again(self, stream: Stream) -> None:
        if self.stream is stream or self.stream is None:
            self.subscribe()

    def _on_subscribed(self, event: SchedulerEvent) -> None:
        assert event.subscribed is not None
        self.id = event.subscribed.framework_id.value
        self.subscribed = True
        self.world.checkers.on_scheduler_known(self.id)

    def _on_update(self, stream: Stream, status: mesos.TaskStatus) -> None:
        self.world.checkers.on_update_seen(self.id, status)
        task = self.tasks.get(status.task_id.value)
        agent_id = "" if status.agent_id is None else status.agent_id.value
        task = self._meant(task, agent_id, status)
        is_its = task is not None and (task.agent_id == agent_id or not agent_id)
        # What a second, refused launch under its id is told is no news of a task that runs.
        if task is not None and is_its and (task.state == "TASK_STAGING" or status.reason not in _OF_LAUNCHES):
            task.state = str(status.state)
        if not status.uuid:
            return
        dice = self.world.dice
        if self.calm:
            self.acknowledge(status)
        elif dice.chance(90):
            delay_s = dice.uniform(0.0, 0.2) if dice.chance(80) else dice.uniform(0.2, 40.0)
            self.world.agenda.after(delay_s, lambda: self.acknowledge(status) if stream is self.stream else None)

    def _meant(self, task: TaskView | None, agent_id: str, status: mesos.TaskStatus) -> TaskView | None:
        """Return the task that a status is about: after an id was used again, the master decides which of the two it means."""
        if task is None or task.other is None:
            return task
        other = task.other
        was_refused = task.state == "TASK_STAGING" and status.reason in _OF_LAUNCHES
        if was_refused or agent_id == other.agent_id:
            task.other, other.other, other.interrupted = None, task, True
            task = self.tasks[task.id] = other
        return task

    def acknowledge(self, status: mesos.TaskStatus) -> None:
        """Acknowledge an update."""
        assert status.agent_id is not None
        assert status.uuid is not None
        self.call(
            "ACKNOWLEDGE",
            acknowledge={
                "agent_id": value(status.agent_id.value),
                "task_id": value(status.task_id.value),
                "uuid": base64.b64encode(status.uuid).decode(),
            },
        )

    # ------------------------------------------------------------ offers
    def _consider(self, stream: Stream) -> None:
        if stream is not self.stream or not self.held or not self.subscribed:
            return
        dice = self.world.dice
        if self.calm:
            self._decline(list(self.held), 1e6)
            return
        draw = dice.below(100)
        if draw < 20:  # noqa: PLR2004 - percents
            self._decline(list(self.held), dice.pick((0.0, 0.5, 5.0, 60.0)))
        elif draw < 80:  # noqa: PLR2004 - odds of a hundred or a thousand
            for offers in self._bundles():
                self._accept(offers)

    def _bundles(self) -> list[list[OfferView]]:
        """Return the held offers, those of one agent and role sometimes together, what doesn't belong together rarely."""
        dice = self.world.dice
        views = list(self.held.values())
        if dice.chance(3):
            return [views]
        bundles: dict[tuple[str, str], list[OfferView]] = {}
        for view in views:
            bundles.setdefault((view.agent_id, view.role), []).append(view)
        if dice.chance(70):
            return list(bundles.values())
        return [[view] for view in views]

    def _decline(self, offer_ids: list[str], refuse_s: float) -> None:
        for offer_id in offer_ids:
            self.held.pop(offer_id, None)
            self.spent.append(offer_id)
        self.call(
            "DECLINE",
            decline={"offer_ids": [value(one) for one in offer_ids], "filters": {"refuse_seconds": refuse_s}},
        )

    def _accept(self, offers: list[OfferView]) -> None:
        dice = self.world.dice
        operations = launch_of(self, offers, dice)
        offer_ids = [offer.id for offer in offers]
        if self.spent and dice.chance(4):
            offer_ids.append(dice.pick(self.spent))
        for offer in offers:
            self.held.pop(offer.id, None)
            self.spent.append(offer.id)
        self.call(
            "ACCEPT",
            accept={
                "offer_ids": [value(one) for one in offer_ids],
                "operations": operations,
                "filters": {"refuse_seconds": dice.pick((0.0, 0.0, 1.0, 5.0))},
            },
        )

    def _answer_inverse(self, ids: list[Json]) -> None:
        dice = self.world.dice
        kind = dice.pick(("ACCEPT_INVERSE_OFFERS", "DECLINE_INVERSE_OFFERS"))
        if self.calm or dice.chance(80):
            answer = {"inverse_offer_ids": ids, "filters": {"refuse_seconds": dice.pick((0.0, 1.0, 5.0))}}
            self.call(kind, **{kind.lower(): answer})

    # ------------------------------------------------------------ what it does of its own accord
    def act(self) -> None:
        """Do something that nobody asked for."""
        dice = self.world.dice
        match dice.pick(("kill", "kill", "kill", "reconcile", "suppress", "revive", "revive", "change", "tell", "odd")):
            case "kill":
                self._kill_one()
            case "reconcile":
                self.reconcile(dice.pick(([], list(self.tasks.values())[-8:])))
            case "suppress":
                self.call("SUPPRESS", suppress={"roles": dice.pick(([], [dice.pick(self.roles)], ["nobody"]))})
            case "revive":
                self.call("REVIVE", revive={"roles": dice.pick(([], [], [dice.pick(self.roles)]))})
            case "change":
                self._change()
            case "tell":
                self._tell()
            case _:
                self._be_odd()

    def _kill_one(self) -> None:
        dice = self.world.dice
        if not self.tasks:
            return
        recent = list(self.tasks.values())[-12:]
        task = dice.pick(recent)
        kill: Json = {"task_id": value(task.id)}
        if dice.chance(50):
            kill["agent_id"] = value(task.agent_id)
        if dice.chance(30):
            kill["kill_policy"] = {"grace_period": {"nanoseconds": dice.below(3_000_000_000)}}
        self.call("KILL", kill=kill)

    def kill_all(self) -> None:
        """Kill every task that is not known to be over."""
        for task in self.tasks.values():
            if task.state not in OVER:
                self.kill(task.id, task.agent_id)

    def kill(self, task_id: str, agent_id: str) -> None:
        """Kill one task."""
        self.call("KILL", kill={"task_id": value(task_id), "agent_id": value(agent_id)})

    def reconcile(self, tasks: list[TaskView]) -> None:
        """Ask what became of tasks; an empty list asks for all."""
        asked = [{"task_id": value(task.id), "agent_id": value(task.agent_id)} for task in tasks]
        self.call("RECONCILE", reconcile={"tasks": asked})

    def _change(self) -> None:
        """Leave a role, or come into one."""
        dice = self.world.dice
        if "roles" not in self.info or not self.id or not self.subscribed:
            return
        self.info["roles"] = sorted({dice.pick(ROLES), dice.pick(ROLES)})
        update: Json = {"framework_info": {**self.info, "id": value(self.id)}}
        if dice.chance(30):
            update["suppressed_roles"] = [dice.pick(self.roles)]
        self.call("UPDATE_FRAMEWORK", update_framework=update)

    def _tell(self) -> None:
        """Send bytes to an executor, or end it."""
        dice = self.world.dice
        known = [task for task in self.tasks.values() if task.executor_id and task.state not in OVER]
        if not known:
            return
        task = dice.pick(known)
        ids: Json = {"agent_id": value(task.agent_id), "executor_id": value(task.executor_id)}
        if dice.chance(80):
            self.call("MESSAGE", message={**ids, "data": ""})
        else:
            self.call("SHUTDOWN", shutdown=ids)

    def _be_odd(self) -> None:
        dice = self.world.dice
        task_id = dice.pick(list(self.tasks) or ["unknown"])
        agent_id = self.tasks[task_id].agent_id if task_id in self.tasks else "nowhere"
        executor_id = value(task_id)
        match dice.below(5):
            case 0:
                self.call("MESSAGE", message={"agent_id": value(agent_id), "executor_id": executor_id, "data": ""})
            case 1:
                self.call("SHUTDOWN", shutdown={"agent_id": value(agent_id), "executor_id": executor_id})
            case 2:
                self.call("KILL", kill={"task_id": value("never-launched"), "agent_id": value(agent_id)})
            case 3:
                uuid = base64.b64encode(bytes(16)).decode()
                odd = {"agent_id": value(agent_id), "task_id": value(task_id), "uuid": uuid}
                self.call("ACKNOWLEDGE", acknowledge=odd)
            case _:
                self.call("DECLINE", decline={"offer_ids": [value(one) for one in self.spent]})

    def tear_down(self) -> None:
        """End the framework, and begin another."""
        if not self.subscribed:
            return
        self.call("TEARDOWN")
        self.stream = None
        self._begin()
        self.world.agenda.after(self.world.dice.uniform(0.1, 10.0), self._begin_again)

    def _begin_again(self) -> None:
        if self.stream is None:
            self.subscribe()
