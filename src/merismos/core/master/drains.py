"""Which agents operators have deactivated or drain, as the registry keeps it.

Rules: who has a record is offered nothing of. A record outlives the agent's links, the leader, and unreachability; it goes with the
agent for good, or by REACTIVATE_AGENT.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import msgspec

from merismos.protocol.v1 import mesos

if TYPE_CHECKING:
    from collections.abc import Iterable

    from merismos.core.master.state import Master

TABLE = "drains"


class Drain(msgspec.Struct, gc=False, omit_defaults=True):
    """A deactivated agent; with `info`, one whose tasks are ended, since `started`."""

    info: mesos.DrainInfo | None = None
    started: mesos.TimeInfo | None = None

    def is_draining(self) -> bool:
        """Say whether there is something left to end."""
        return self.info is not None and self.info.state is mesos.DrainState.DRAINING


_DECODER = msgspec.json.Decoder(Drain, strict=False)
_encode = msgspec.json.encode


def decode(value: bytes) -> Drain:
    """Return what the registry holds.

    Errors: msgspec.DecodeError.
    """
    return _DECODER.decode(value)


def writing(agent_id: str, drain: Drain | None) -> tuple[str, str, bytes]:
    """Return the registry's change to an agent's record; None deletes it."""
    return (TABLE, agent_id, b"" if drain is None else _encode(drain))


def forgetting(master: Master, agent_ids: Iterable[str]) -> list[tuple[str, str, bytes]]:
    """Return the changes that go with the end of agents, for those that have a record, or may be about to get one."""
    may = master.drain_turns.is_busy
    return [writing(agent_id, None) for agent_id in agent_ids if may or agent_id in master.drains]
