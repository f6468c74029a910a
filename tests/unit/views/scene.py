"""One small cluster with something of everything in it: agents up and lost, tasks in each kind of state, offers, executors."""

from __future__ import annotations

import base64
from collections.abc import Iterator, Mapping
from typing import Any

import msgspec

from merismos.core.master.state import Config
from merismos.core.master.views import operator, v0
from merismos.core.master.views.rendering import Renderings
from merismos.protocol import json, link
from merismos.protocol.v1 import master as wire
from unit.master.rig import ALL, Json, Peer, Rig, Scheduler, framework_info, launch, resources, scalar, task, value

AGENT_CAPABILITIES = ["MULTI_ROLE", "HIERARCHICAL_ROLE", "RESERVATION_REFINEMENT", "AGENT_DRAINING"]
FLAGS = {"port": "5050", "cluster": "golden"}
PORTS = {"name": "ports", "type": "RANGES", "ranges": {"range": [{"begin": 31000, "end": 31999}]}}
LABELS = {"labels": [{"key": "k", "value": "v"}]}
EXECUTOR = {
    "type": "CUSTOM",
    "executor_id": {"value": "ex"},
    "command": {"value": "./executor"},
    "resources": [scalar("cpus", 0.1), scalar("mem", 32.0), scalar("disk", 32.0)],
}


def agent_json(hostname: str, *, cpus: float = 4.0) -> bytes:
    info = {
        "hostname": hostname,
        "port": 5051,
        "resources": [scalar("cpus", cpus), scalar("mem", 2048.0), scalar("disk", 4096.0), PORTS],
        "attributes": [
            {"name": "rack", "type": "TEXT", "text": {"value": "r1"}},
            {"name": "zone", "type": "TEXT", "text": {"value": "z1"}},
        ],
    }
    return msgspec.json.encode(info)


def connect_agent(rig: Rig, hostname: str, number: int) -> Peer:
    peer = rig.connect()
    pid = f"slave(1)@127.0.0.1:{5050 + number}"
    peer.send(link.RegisterAgent(agent_json(hostname), "1.12.0", pid, AGENT_CAPABILITIES))
    return peer


def return_agent(rig: Rig, agent_id: str, hostname: str, number: int, **more: Any) -> Peer:  # noqa: ANN401 - JSON
    peer = rig.connect()
    pid = f"slave(1)@127.0.0.1:{5050 + number}"
    peer.send(link.ReregisterAgent(agent_id, agent_json(hostname), "1.12.0", pid, AGENT_CAPABILITIES, **more))
    return peer


class Scene:
    """The cluster: `live` with tasks in all states and an executor, `ended` that is over, `legacy` of the old kind."""

    def __init__(self, *, watched: bool = False) -> None:
        config = Config()
        config.cluster = "golden"
        self.rig = Rig(config)
        self.reads = v0.Reads(self.rig.master, FLAGS, Renderings())
        self.events: list[Json] = self.rig.watch() if watched else []
        self.uuid = 0
        self.agent = connect_agent(self.rig, "first", 1)
        self._lived_and_ended()
        self._lost_agent()
        self._live_work()

    def _lived_and_ended(self) -> None:
        self.ended = self.rig.subscribe(framework_info("ended", principal="golden-principal"))
        self.run("done-before", self.ended)
        self.finish("done-before", self.ended)
        self.run("cut-off", self.ended)
        self.ended.call("TEARDOWN")

    def _lost_agent(self) -> None:
        lost = connect_agent(self.rig, "lost", 2)
        self.lost_id = lost.id
        self.agent.close()
        self.rig.advance(1.0)
        self.live = self.rig.subscribe(
            framework_info(
                "live",
                principal="golden-principal",
                webui_url="http://localhost:1/",
                labels=LABELS,
            )
        )
        self.run("gone-quiet", self.live, lost)
        lost.close()
        self.agent = return_agent(self.rig, f"{self.rig.master.id}-S0", "first", 1)
        self.legacy = self.rig.subscribe(framework_info("legacy", capabilities=(), role="old", failover_timeout=0.0))
        self.legacy.call("SUPPRESS")  # so that all offers go to one framework
        self.legacy.call("DECLINE", decline={"offer_ids": [offer["id"] for offer in self.legacy.offers()]})
        for _ in range(200):  # answered pings keep the first agent while the other's time runs out
            self.rig.advance(1.0)
            for ping in self.agent.of(link.Ping):
                self.agent.send(link.Pong(ping.sequence))
        assert self.lost_id in self.rig.master.unreachable_agents

    def _live_work(self) -> None:
        self.launch(self.live, "live-1", labels=LABELS)
        self.step("live-1", self.live, "TASK_STARTING")
        self.step("live-1", self.live, "TASK_RUNNING")
        self.launch(self.live, "in-ex", executor=EXECUTOR, command=None)
        self.step("in-ex", self.live, "TASK_RUNNING")
        self.run("live-done", self.live)
        self.finish("live-done", self.live)
        self.rig.advance(10.0)
        assert self.live.offers()

    def run(self, task_id: str, framework: Scheduler, agent: Peer | None = None) -> None:
        self.launch(framework, task_id)
        self.step(task_id, framework, "TASK_STARTING", agent)
        self.step(task_id, framework, "TASK_RUNNING", agent)

    def finish(self, task_id: str, framework: Scheduler) -> None:
        self.step(task_id, framework, "TASK_FINISHED")

    def launch(self, framework: Scheduler, task_id: str, **more: Any) -> None:  # noqa: ANN401 - JSON
        self.rig.advance(2.0)
        offer = framework.offers()[0]
        framework.accept([offer], launch(task(task_id, offer, **more)))

    def step(self, task_id: str, framework: Scheduler, state: str, agent: Peer | None = None, **more: Any) -> None:  # noqa: ANN401 - JSON
        """Let an agent report a state and the scheduler acknowledge it."""
        self.uuid += 1
        status = {
            "container_status": {
                "container_id": value("c-" + task_id),
                "network_infos": [{"ip_addresses": [{"protocol": "IPv4", "ip_address": "127.0.0.1"}]}],
                "executor_pid": 13110,
            },
            "timestamp": self.rig.wall(),
            **more,
        }
        (agent or self.agent).update(framework.id, task_id, state, uuid=self.uuid.to_bytes(16, "big"), **status)
        framework.acknowledge(framework.statuses()[-1])

    def call(self, kind: str) -> Json:
        """Answer a read of the operator API."""
        return read_operator(self.reads, kind, self.rig.now)

    def get(self, path: str, query: Mapping[str, str] | None = None) -> Any:  # noqa: ANN401 - JSON
        """Answer a read of the v0 API."""
        return joined(v0.ROUTES[path](self.reads, query or {}, self.rig.now))


def read_operator(reads: v0.Reads, kind: str, now: float) -> Json:
    answer = operator.answer(reads, wire.Call(type=wire.Call_Type(kind)), now)
    assert answer is not None, kind
    parsed: Json = joined(answer)
    return parsed


def joined(slices: Iterator[bytes]) -> Any:  # noqa: ANN401 - JSON
    return json.parse(b"".join(slices))


def uuid_of(number: int) -> str:
    return base64.b64encode(number.to_bytes(16, "big")).decode()


__all__ = ["ALL", "FLAGS", "Scene", "joined", "read_operator", "resources", "uuid_of"]
