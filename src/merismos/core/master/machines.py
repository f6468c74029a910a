"""Machines that are to be maintained: their records, and which agents run on them.

Rules: a machine is named by hostname, by IP address or by both, as an operator wrote it; hostnames are compared without regard to
case. It covers every agent that agrees with all that it names. A machine that is UP has no record.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import msgspec

from merismos.core.master.turns import Turns
from merismos.protocol.v1 import maintenance, mesos

if TYPE_CHECKING:
    from collections.abc import Iterator

    from merismos.core.master.state import Agent, Master

Key = tuple[str, str]
Mode = mesos.MachineInfo_Mode
MACHINES = "machines"
TABLE = "maintenance"
SCHEDULE = "schedule"
_MACHINE_DECODER = msgspec.json.Decoder(mesos.MachineInfo, strict=False)
_SCHEDULE_DECODER = msgspec.json.Decoder(maintenance.Schedule, strict=False)


class Maintenance:
    """What operators have planned.

    Shapes: `machines` holds each machine of `schedule`, in its order; `before` those that were in it under this leader; `agents` the agents whose machine has an unavailability, by id.
    """

    __slots__ = ("agents", "before", "machines", "schedule", "turns")

    def __init__(self) -> None:
        self.machines: dict[Key, mesos.MachineInfo] = {}
        self.schedule = maintenance.Schedule()
        self.before: dict[Key, None] = {}
        self.turns = Turns()
        self.agents: dict[str, Agent] = {}


def key_of(machine: mesos.MachineID) -> Key:
    """Return what a machine is looked up by."""
    return (machine.hostname or "").lower(), machine.ip or ""


def name_of(key: Key) -> str:
    """Return a machine's key in the registry."""
    return msgspec.json.encode(key).decode()


def recover(known: Maintenance, table: str, value: bytes) -> None:
    """Take over what the registry holds of a machine, or the schedule.

    Errors: msgspec.DecodeError.
    """
    if table == MACHINES:
        machine = _MACHINE_DECODER.decode(value)
        known.machines[key_of(machine.id)] = machine
    else:
        known.schedule = _SCHEDULE_DECODER.decode(value)


def put_in_order(known: Maintenance) -> None:
    """Order the machines as the schedule does, whatever the order of the registry."""
    planned = [key_of(one) for window in known.schedule.windows for one in window.machine_ids]
    known.machines = {
        key: known.machines[key] for key in dict.fromkeys([*planned, *known.machines]) if key in known.machines
    }


def covering(master: Master, hostname: str, ip: str) -> list[mesos.MachineInfo]:
    """Return the machines that an agent of this hostname and address runs on, the most precisely named first."""
    known = master.maintenance.machines
    if not known:
        return []
    hostname = hostname.lower()
    return [known[key] for key in ((hostname, ip), (hostname, ""), ("", ip)) if key in known]


def is_up(master: Master, key: Key) -> bool:
    """Say whether a machine that isn't scheduled is one that is known all the same: it was scheduled, or has an agent."""
    return key in master.maintenance.before or any(
        (agent.hostname.lower(), agent.ip) == key for agent in master.agents.values()
    )


def is_down(master: Master, hostname: str, ip: str) -> bool:
    """Say whether an agent of this hostname and address has to stay away."""
    return any(machine.mode is Mode.DOWN for machine in covering(master, hostname, ip))


def unavailability_of(master: Master, agent: Agent) -> mesos.Unavailability | None:
    """Return when an agent's machine will be away, None where nothing is planned."""
    for machine in covering(master, agent.hostname, agent.ip):
        return machine.unavailability
    return None


def agents_by_machine(master: Master) -> Iterator[tuple[Key, Agent]]:
    """Yield each registered agent under each machine that it runs on."""
    for agent in master.agents.values():
        for machine in covering(master, agent.hostname, agent.ip):
            yield key_of(machine.id), agent
