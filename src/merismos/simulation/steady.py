"""A framework that launches at a steady rate, for measurements: real offers, real calls, nothing by chance.

Rules: each virtual second it takes as many agents as it has to, with `tasks_each` tasks for each, and accepts all offers of such an
agent together, the agents in turn; what they have left goes back. Every update is acknowledged at once.
"""

from __future__ import annotations

import base64
from typing import TYPE_CHECKING, Any

import msgspec

from merismos.simulation.streams import OfferView, Stream
from merismos.simulation.tasks import Json, scalar, value

if TYPE_CHECKING:
    from merismos.protocol.v1 import mesos
    from merismos.simulation.world import World

_encode = msgspec.json.encode


class SteadyFramework:
    """Launches `launches_s` times a virtual second until `launches_max`; counts what it hears of."""

    def __init__(
        self, world: World, *, launches_s: int = 1, tasks_each: int = 1, launches_max: int | None = None
    ) -> None:
        self.world = world
        self.id = ""
        self.name = "steady"
        self.launched = 0
        self.states: dict[str, int] = {}
        self._launches_s = launches_s
        self._tasks_each = tasks_each
        self._left = launches_max
        self._held: dict[str, dict[str, None]] = {}  # by agent: offers
        self._agents: dict[str, str] = {}  # by offer
        self._resources = [scalar("cpus", 0.01), scalar("mem", 1)]
        self._stream = Stream(world, world.leader, self._received)
        info: Json = {"user": "root", "name": self.name, "roles": ["*"], "failover_timeout": 1e6}
        info["capabilities"] = [{"type": "MULTI_ROLE"}]
        world.leader.subscribe(_encode({"type": "SUBSCRIBE", "subscribe": {"framework_info": info}}), self._stream)
        world.agenda.after(0.5, self._launch)

    def _received(self, stream: Stream, kind: str, payload: Any) -> None:  # noqa: ANN401, ARG002 - one type a kind
        match kind:
            case "SUBSCRIBED":
                self.id = payload.subscribed.framework_id.value
                self.world.checkers.on_scheduler_known(self.id)
            case "OFFERS":
                self._hold(payload)
            case "RESCIND":
                self._let_go(payload.rescind.offer_id.value)
            case "UPDATE":
                self._acknowledge(payload)
            case _:
                pass

    def _acknowledge(self, status: mesos.TaskStatus) -> None:
        state = str(status.state)
        self.states[state] = self.states.get(state, 0) + 1
        self.world.checkers.on_update_seen(self.id, status)
        if not status.uuid:
            return  # refused: the offer was rescinded meanwhile
        assert status.agent_id is not None
        uuid = base64.b64encode(status.uuid).decode()
        ids = {"agent_id": value(status.agent_id.value), "task_id": value(status.task_id.value)}
        self._call("ACKNOWLEDGE", {"acknowledge": {**ids, "uuid": uuid}})

    def _hold(self, views: list[OfferView]) -> None:
        for view in views:
            self._agents[view.id] = view.agent_id
            self._held.setdefault(view.agent_id, {})[view.id] = None

    def _let_go(self, offer_id: str) -> None:
        agent_id = self._agents.pop(offer_id, None)
        if agent_id is not None:
            del self._held[agent_id][offer_id]
            if not self._held[agent_id]:
                del self._held[agent_id]

    def _launch(self) -> None:
        for _ in range(self._launches_s):
            if self._held and self._left != 0:
                agent_id = next(iter(self._held))
                offer_ids = self._held.pop(agent_id)
                for offer_id in offer_ids:
                    del self._agents[offer_id]
                self._accept(agent_id, list(offer_ids))
                self._left = None if self._left is None else self._left - 1
        self.world.agenda.after(1.0, self._launch)

    def _accept(self, agent_id: str, offer_ids: list[str]) -> None:
        tasks: list[Json] = []
        for _ in range(self._tasks_each):
            self.launched += 1
            task_id = f"t{self.launched}"
            task: Json = {"name": task_id, "task_id": value(task_id), "agent_id": value(agent_id)}
            task["resources"] = self._resources
            task["command"] = {"shell": True, "value": "true"}
            tasks.append(task)
        launch = {"type": "LAUNCH", "launch": {"task_infos": tasks}}
        accept: Json = {"offer_ids": [value(one) for one in offer_ids], "operations": [launch]}
        accept["filters"] = {"refuse_seconds": 0.0}
        self._call("ACCEPT", {"accept": accept})

    def _call(self, kind: str, fields: Json) -> None:
        self.world.leader.call(
            _encode({"type": kind, "framework_id": value(self.id), **fields}), self._stream.stream_id
        )
