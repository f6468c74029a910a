"""Maintenance: machines are scheduled (DRAINING), taken down (DOWN) and brought up again (UP).

Rules:
- One change at a time, durable before it counts; the next is judged by what the one before has made of the machines.
- Whoever uses an agent of a scheduled machine sees the unavailability on its offers and gets inverse offers. Nothing else happens
  by itself, not even when the window begins: operators take machines down.
- The agents of a machine that is taken down are ended with their tasks, for good: should one come back under its old id, whenever,
  it is told to end what it still runs. A new agent there is asked to wait; one that this leader has yet to hear of is taken back
  only to tell the schedulers of its tasks.
"""

from __future__ import annotations

import functools
from typing import TYPE_CHECKING

import msgspec

from merismos.core.master import agents, inverse_offers, machines, offers, publish, registrar
from merismos.core.master.effects import Respond
from merismos.core.master.machines import MACHINES, SCHEDULE, TABLE, Mode, key_of, name_of
from merismos.core.master.validate.maintenance import validate_down, validate_schedule, validate_up
from merismos.protocol import json
from merismos.protocol.v1 import maintenance, mesos

if TYPE_CHECKING:
    from collections.abc import Sequence

    from merismos.core.master.state import Agent, Master
    from merismos.protocol.v1.master import Call

    Machines = dict[machines.Key, mesos.MachineInfo]

_DOWN = "Operator initiated 'Machine DOWN'"


def on_update_schedule(master: Master, call: Call, request: int, now: float) -> None:
    """Replace the schedule."""
    assert call.update_maintenance_schedule is not None
    change = functools.partial(_update, call.update_maintenance_schedule.schedule, request)
    master.maintenance.turns.take(change, master, now)


def on_start(master: Master, call: Call, request: int, now: float) -> None:
    """Take machines down."""
    assert call.start_maintenance is not None
    change = functools.partial(_take_down, call.start_maintenance.machines, request)
    master.maintenance.turns.take(change, master, now)


def on_stop(master: Master, call: Call, request: int, now: float) -> None:
    """Bring machines up."""
    assert call.stop_maintenance is not None
    change = functools.partial(_bring_up, call.stop_maintenance.machines, request)
    master.maintenance.turns.take(change, master, now)


def _update(schedule: maintenance.Schedule, request: int, master: Master, now: float) -> None:  # noqa: ARG001 - a change's shape
    known = master.maintenance.machines
    rejection = validate_schedule(schedule, known)
    if rejection is not None:
        master.effects.append(Respond(request, 400, rejection.message))
        return
    planned: Machines = {}
    for window in schedule.windows:
        for machine_id in window.machine_ids:
            key = key_of(machine_id)
            mode = known[key].mode if key in known else Mode.DRAINING
            planned[key] = mesos.MachineInfo(id=machine_id, mode=mode, unavailability=window.unavailability)
    _store(master, planned, schedule, request)


def _take_down(ids: Sequence[mesos.MachineID], request: int, master: Master, now: float) -> None:  # noqa: ARG001 - a change's shape
    known = master.maintenance.machines
    rejection = validate_down(ids, known, functools.partial(machines.is_up, master))
    if rejection is not None:
        master.effects.append(Respond(request, 400, rejection.message))
        return
    down = dict.fromkeys(key_of(one) for one in ids)
    planned = {
        key: msgspec.structs.replace(machine, mode=Mode.DOWN) if key in down else machine
        for key, machine in known.items()
    }
    _store(master, planned, master.maintenance.schedule, request)


def _bring_up(ids: Sequence[mesos.MachineID], request: int, master: Master, now: float) -> None:  # noqa: ARG001 - a change's shape
    known = master.maintenance.machines
    rejection = validate_up(ids, known, functools.partial(machines.is_up, master))
    if rejection is not None:
        master.effects.append(Respond(request, 400, rejection.message))
        return
    up = dict.fromkeys(key_of(one) for one in ids)
    windows = []
    for window in master.maintenance.schedule.windows:
        left = [one for one in window.machine_ids if key_of(one) not in up]
        if left:
            windows.append(maintenance.Window(machine_ids=left, unavailability=window.unavailability))
    planned = {key: machine for key, machine in known.items() if key not in up}
    _store(master, planned, maintenance.Schedule(windows=windows), request)


def _store(master: Master, planned: Machines, schedule: maintenance.Schedule, request: int) -> None:
    """Make machines and schedule durable, then let them count."""
    known = master.maintenance.machines
    changes = [(MACHINES, name_of(key), b"") for key in known if key not in planned]
    changes += [
        (MACHINES, name_of(key), json.encode(machine)) for key, machine in planned.items() if known.get(key) != machine
    ]
    changes.append((TABLE, SCHEDULE, json.encode(schedule) if schedule.windows else b""))
    master.maintenance.turns.begin()
    registrar.store(master, changes, functools.partial(_on_stored, planned, schedule, request))


def _on_stored(planned: Machines, schedule: maintenance.Schedule, request: int, master: Master, now: float) -> None:
    master.maintenance.before.update(dict.fromkeys(key for key in master.maintenance.machines if key not in planned))
    master.maintenance.machines = planned
    master.maintenance.schedule = schedule
    for agent in list(master.agents.values()):
        settle(master, agent, now)
    master.effects.append(Respond(request, 200))
    master.maintenance.turns.end(master, now)


def settle(master: Master, agent: Agent, now: float) -> None:
    """Treat an agent as what is planned for its machine wants it: nothing changes, it will be away, or it has to go."""
    if machines.is_down(master, agent.hostname, agent.ip):
        master.allocator.deactivate_agent(agent.id)
        offers.rescind_all_of(master, agent, now, "the agent's machine is taken down for maintenance")
        _remove(master, agent, now)
    elif inverse_offers.follow(master, agent, now):
        offers.rescind_all_of(master, agent, now, "the maintenance of the agent's machine was planned anew")


def _remove(master: Master, agent: Agent, now: float) -> None:
    """End an agent, once it is written that it never comes back."""
    if agent.id in master.leaving:
        return
    agents.store_gone(master, agent.id, now, functools.partial(_on_removed, agent))


def _on_removed(agent: Agent, wall_at: float, master: Master, now: float) -> None:
    message = f"Agent {agent.hostname} removed: {_DOWN}"
    ending = agents.Ending(_DOWN, "TASK_GONE", "REASON_AGENT_REMOVED", message)
    agents.mark_gone(master, agent.id, wall_at, now, ending)
    publish.agent_removed(master, agent)
