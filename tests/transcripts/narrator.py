"""Tells what passes in a simulated world, a line each, for people to read.

Rules: a line is told when something arrives, with the names of both sides and the few fields that matter. Ids are short: M1 stands for
the id of the first master that led, #1 for the first update's uuid. Pings, heartbeats and what only a machine cares for are left out.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

import msgspec

from merismos.core.agent import events as at_agent
from merismos.core.master import events as at_master
from merismos.protocol import link

if TYPE_CHECKING:
    from merismos.core.kernel import Event
    from merismos.simulation.world import World

LINE_MAX = 140
_MASTER_ID = re.compile(r"[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}")
_NEWS = {0: "exits with 0", 9: "is killed (SIGKILL)", 15: "ends by SIGTERM"}


class Narrator:
    """Listens to a world, and keeps the story's lines."""

    def __init__(self, world: World) -> None:
        self.lines: list[str] = []
        self._world = world
        self._began_at = world.agenda.now
        self._masters: dict[str, str] = {}
        self._uuids: dict[bytes, str] = {}
        self._epochs: dict[int, int] = {}
        self._links: dict[int, str] = {}
        self._opened: dict[tuple[str, int], None] = {}
        self._registry = dict(world.coordination.registry)
        for master in world.masters:
            self._name_master(master.id)
        world.listen(self._heard)

    def remark(self, text: str) -> None:
        """Put in a line of the script: what happens from outside."""
        self.lines.append(f"{'':>10}  -- {text}")

    def tell(self, who: str, whom: str, what: str) -> None:
        """Tell that something came from `who` to `whom`, or happened to `whom` where `who` is empty."""
        way = f"{who} -> {whom}" if who else whom
        line = f"{self._world.agenda.now - self._began_at:>10.3f}  {way:<22}  {what}"
        line = _MASTER_ID.sub(lambda match: self._name_master(match[0]), line).rstrip()
        self.lines.append(line if len(line) <= LINE_MAX else line[: LINE_MAX - 1] + "…")

    def update(self, uuid: bytes | None) -> str:
        """Return the short name of an update; none has one that its master made."""
        if not uuid:
            return "(the master's own)"
        return self._uuids.setdefault(uuid, f"#{len(self._uuids) + 1}")

    def _changes(self) -> str:
        """What the registry has that it hadn't when this was last asked."""
        before, now = self._registry, dict(self._world.coordination.registry)
        self._registry = now
        changes = [f"{key} out of {table}" for table, key in before if (table, key) not in now]
        changes += [f"{key} into {table}" for table, key in now if (table, key) not in before]
        return ", ".join(changes) or "as it was"

    def _epoch(self, epoch: int) -> int:
        return self._epochs.setdefault(epoch, len(self._epochs) + 1)

    def _name_master(self, master_id: str) -> str:
        return self._masters.setdefault(master_id, f"M{len(self._masters)}")

    # ------------------------------------------------------------ what machines hear
    def _heard(self, who: str, what: Event | None, payload: bytes) -> None:
        if what is None:
            self.tell("", who, payload.decode())
        elif who.startswith("master"):
            self._master_heard(who, what)
        else:
            self._agent_heard(who, what)

    def _master_heard(self, who: str, what: Event) -> None:
        match what:
            case at_master.Started():
                kept = [key for table, key, _ in what.registry if table == "agents"]
                known = f"the registry knows {', '.join(kept)}" if kept else "the registry knows no agent"
                self.tell("zookeeper", who, f"leads as {what.master_id}, epoch {self._epoch(what.epoch)}; {known}")
            case at_master.RegistryStored():
                self.tell("zookeeper", who, f"the registry is written: {self._changes()}")
            case at_master.CoordinationSuspended():
                self.tell("zookeeper", who, f"is suspended: {what.reason}")
            case at_master.LeadershipLost():
                self.tell("zookeeper", who, f"leads no more: {what.reason}")
            case at_master.LinkOpened():
                self._host_at(what.link)
            case at_master.LinkClosed():
                self.tell("", who, f"sees that the link is down ({self._host_at(what.link)})")
            case at_master.StreamClosed():
                self.tell("", who, "sees that a scheduler's stream is down")
            case at_master.LinkReceived():
                text = self._message(what.message)
                if text:
                    self.tell(self._host_at(what.link), who, text)
            case _:
                pass

    def _host_at(self, token: int) -> str:
        """The agent at the far end of a link; a link that is down is no more in the world."""
        wire = self._world.wires.get(token)
        if wire is not None:
            self._links[token] = wire.host.name
        return self._links[token]

    def _agent_heard(self, who: str, what: Event) -> None:
        match what:
            case at_agent.Started():
                kept = sum(1 for key, _ in what.checkpoints if key != "agent")
                self.tell("", who, f"starts; its disk has {len(what.checkpoints)} entries" if kept else "starts")
            case at_agent.MasterDetected():
                self.tell("zookeeper", who, f"{self._name_at(what.address)} leads")
            case at_agent.LinkOpened():
                self._opened[who, what.link] = None
                self.tell("", who, f"has a link to {what.master_id}, epoch {self._epoch(what.epoch)}")
            case at_agent.LinkClosed():
                was_there = (who, what.link) in self._opened
                self.tell("", who, "has lost its link" if was_there else "can't get a link")
            case at_agent.ContainersRecovered():
                if what.containers:
                    ended = sum(1 for one in what.containers if one.status is not None)
                    self.tell("", who, f"finds containers: {len(what.containers)}, of which ended: {ended}")
            case at_agent.ContainerLaunched():
                self.tell("", who, f"pid {what.pid} runs")
            case at_agent.ContainerExited():
                self.tell("", who, f"a container {_NEWS.get(what.status, what.status)}")
            case at_agent.LinkReceived():
                text = self._message(what.message)
                if text:
                    self.tell(self._master_at(who, what.link), who, text)
            case _:
                pass

    def _name_at(self, address: str | None) -> str:
        return "nobody" if address is None else self._world.master_at(address).name

    def _master_at(self, who: str, number: int) -> str:
        host = next(host for host in self._world.hosts if host.name == who)
        return host.wires[number].master.name

    # ------------------------------------------------------------ the link's messages
    def _message(self, message: link.Message) -> str:
        """Return what a message says, empty for one that is left out."""
        kind = type(message).__name__
        match message:
            case link.ReregisterAgent():
                tasks = [f"{_task_id_of(one.task)} {one.state}" for one in message.tasks]
                return f"{kind} {message.agent_id} with {_listed(tasks)}"
            case link.UpdateStatus():
                latest = "" if message.latest_state == message.state else f", by now {message.latest_state}"
                return f"{kind} {message.task_id} {message.state} {self.update(message.uuid)}{latest}"
            case link.AcknowledgeStatus():
                return f"{kind} {message.task_id} {self.update(message.uuid)}"
            case link.RunTasks():
                return f"{kind} {_listed(message.task_ids)} of {message.framework_id}"
            case link.KillTask():
                return f"{kind} {message.task_id}"
            case link.AgentRegistered():
                return f"{kind} {message.agent_id}"
            case link.RefuseAgent() | link.ShutdownAgent():
                return f"{kind}: {message.reason}"
            case link.ShutdownFramework():
                return f"{kind} {message.framework_id}"
            case link.UpdateFramework():
                return f"{kind} {msgspec.json.decode(message.framework)['id']['value']}"
            case link.Ping() | link.Pong():
                return ""
            case _:
                return kind


def _task_id_of(task: bytes) -> str:
    task_id: str = msgspec.json.decode(task)["task_id"]["value"]
    return task_id


def _listed(parts: list[str]) -> str:
    return ", ".join(parts) or "no task"
