"""Durable writes: two events each, and a continuation in between.

Rules: nothing depends on an entry before its write came back; writes come back in the order in which they were asked for.
Tables: `agents` (admitted, by id: AgentInfo), `unreachable` and `gone` (by agent id: wall time in seconds),
`frameworks` (removed, by id: wall time), `weights` (by role), `quota` (by role: QuotaConfig), `machines` (by hostname and address:
MachineInfo), `maintenance` (its one `schedule`), `drains` (by agent id: Drain). Entries of tables that aren't read here stay in the store as they are.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import msgspec

from merismos.core.master import drains, machines
from merismos.core.master.effects import Exit, StoreRegistry
from merismos.core.master.validate.quota import decode_quota
from merismos.protocol.v1 import mesos

if TYPE_CHECKING:
    from merismos.core.master.events import RegistryLost, RegistryStored
    from merismos.core.master.state import Continuation, Master

EXIT_REGISTRY_LOST = 75

_AGENT_DECODER = msgspec.json.Decoder(mesos.AgentInfo, strict=False)
_NUMBER_DECODER = msgspec.json.Decoder(float, strict=False)

Changes = list[tuple[str, str, bytes]]


def number(value: float) -> bytes:
    """Return the JSON of a number, as the tables of times and weights keep it."""
    return msgspec.json.encode(value)


def store(master: Master, changes: Changes, then: Continuation | None = None) -> int:
    """Ask for `changes` to be made durable, then call `then`; return the write's number."""
    master.registry_sequence += 1
    sequence = master.registry_sequence
    if then is not None:
        master.writes[sequence] = then
    master.effects.append(StoreRegistry(sequence, changes))
    return sequence


def on_registry_stored(master: Master, event: RegistryStored, now: float) -> None:
    """A write is durable: what waited for it goes on."""
    then = master.writes.pop(event.sequence, None)
    if then is not None:
        then(master, now)


def on_registry_lost(master: Master, event: RegistryLost, now: float) -> None:  # noqa: ARG001 - every handler takes it
    """A leader that can't write stops deciding; its supervisor starts it again."""
    reason = f"the registry can't be written ({event.reason}); start the master again once its storage works"
    master.effects.append(Exit(EXIT_REGISTRY_LOST, reason))


def expect_garbage(master: Master, now: float) -> None:
    """Something that grows old was remembered: look at it when the next interval is over."""
    if ("gc", "") not in master.deadlines:
        master.deadlines.set(("gc", ""), now + master.config.registry_gc_interval_s)


def recover(master: Master, entries: list[tuple[str, str, bytes]]) -> None:
    """Take over what the registry holds, at the start of a leadership.

    Errors: an entry that doesn't decode is left alone: it is no reason to lose the others, nor to forget an agent.
    """
    for table, key, value in entries:
        try:
            if table == "agents":
                master.recovered_agents[key] = _AGENT_DECODER.decode(value)
            elif table == "unreachable":
                master.unreachable_agents[key] = _NUMBER_DECODER.decode(value)
            elif table == "gone":
                master.gone_agents[key] = _NUMBER_DECODER.decode(value)
            elif table == "frameworks":
                master.removed_frameworks[key] = _NUMBER_DECODER.decode(value)
            elif table == "weights":
                master.weights[key] = _NUMBER_DECODER.decode(value)
            elif table == "quota":
                master.quotas[key] = decode_quota(value)
            elif table in {machines.MACHINES, machines.TABLE}:
                machines.recover(master.maintenance, table, value)
            elif table == drains.TABLE:
                master.drains[key] = drains.decode(value)
        except msgspec.DecodeError:
            master.metrics["registrar/entries_invalid"] = master.metrics.get("registrar/entries_invalid", 0) + 1
    machines.put_in_order(master.maintenance)
    for role, weight in master.weights.items():
        master.allocator.set_weight(role, weight)
