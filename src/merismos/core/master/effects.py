"""Everything a master may ask its shell to do."""

from __future__ import annotations

from merismos.core.kernel import Effect
from merismos.core.master.state import Offer
from merismos.protocol.link import Message as LinkMessage
from merismos.protocol.v1 import master as operator
from merismos.protocol.v1 import scheduler


class Respond(Effect):
    """Answer a request; `body` is plain text for errors, empty for 202."""

    request: int
    status: int
    body: str = ""


class OpenStream(Effect):
    """Answer a SUBSCRIBE with 200 and keep the stream open for events."""

    request: int
    stream: int
    stream_id: str  # empty for operators


class SendEvent(Effect):
    """Send one scheduler event."""

    stream: int
    event: scheduler.Event


class SendUpdate(Effect):
    """Send one UPDATE whose status is the agent's own JSON."""

    stream: int
    status: bytes


class SendOffers(Effect):
    """Send one OFFERS event; the shell renders it from per-agent pieces."""

    stream: int
    offers: list[Offer]


class SendHeartbeat(Effect):
    """Send a HEARTBEAT on these streams."""

    streams: list[int]


class CloseStream(Effect):
    """End a stream, after what was sent on it."""

    stream: int


class SendToAgent(Effect):
    """Send one message over a link; the shell batches by loop turn."""

    link: int
    message: LinkMessage


class CloseLink(Effect):
    """Close a link, after what was sent on it."""

    link: int


class PublishEvent(Effect):
    """Send one operator event to these operator streams."""

    streams: list[int]
    event: operator.Event


class StoreRegistry(Effect):
    """Make these changes durable, then answer with `RegistryStored(sequence)`."""

    sequence: int
    changes: list[tuple[str, str, bytes]]  # (table, key, JSON; empty = delete)


class Exit(Effect):
    """Stop the process with this code, for its supervisor to restart."""

    code: int
    reason: str
