"""`POST /api/v1/scheduler`: bytes to events.

Rules: checked in Mesos' order: this master leads, the method, Content-Type, the body's syntax, the call's shape; for SUBSCRIBE
then Accept and the absence of a stream id. All that needs a framework's record (its existence, the stream id) is the core's.
"""

from __future__ import annotations

import uuid
from collections.abc import Callable
from typing import TYPE_CHECKING, Protocol

from merismos.adapters.http.answers import method_not_allowed
from merismos.adapters.http.exchange import Caller, Exchange, not_wired
from merismos.adapters.http.negotiation import NOT_ACCEPTABLE, Media, refusal_of
from merismos.core.master.events import SchedulerCalled, SchedulerSubscribed
from merismos.protocol import json, protobuf, thin
from merismos.protocol.errors import DecodeError, EncodeError
from merismos.protocol.v1 import scheduler

if TYPE_CHECKING:
    from merismos.adapters.http.gate import Gate
    from merismos.adapters.http.heads import Head
    from merismos.core.kernel import Event

STREAM_ID_GIVEN = "Subscribe calls should not include the 'Mesos-Stream-Id' header"


class LaneCaller(Caller, Protocol):
    """A caller that can also be told extra header lines."""

    def respond(self, status: int, body: str = "", headers: str = "") -> None:
        """Answer."""
        ...


class SchedulerEndpoint:
    """Turns requests into events; the core's effects answer them."""

    def __init__(self, gate: Gate, exchange: Exchange) -> None:
        self._gate = gate
        self._exchange = exchange
        self.post: Callable[[Event], None] = not_wired

    def serve(self, head: Head, body: bytes, caller: LaneCaller) -> None:
        """Serve one request of `caller`."""
        gate = self._gate
        if not (gate.leads and gate.recovered) or gate.suspended:
            caller.respond(*gate.refusal(head.path))
            return
        if head.method != "POST":
            caller.respond(405, method_not_allowed(head.method), "Allow: POST\r\n")
            return
        media = head.media
        try:
            if media is Media.JSON:
                call = thin.decode_call(body)
            elif media is Media.PROTOBUF:
                call = _thinned(protobuf.decode(scheduler.Call, body))
            else:
                caller.respond(*refusal_of(head.content_type))
                return
        except (DecodeError, EncodeError) as error:
            caller.respond(400, str(error))
            return
        if call.type == scheduler.Call_Type.SUBSCRIBE:
            self._subscribe(head, call, caller)
        else:
            self.post(SchedulerCalled(self._exchange.ask(caller), call, head.stream_id, head.principal))

    def refusal(self, path: str) -> tuple[int, str, str]:
        """Return the answer of a master that doesn't lead: status, body and extra header lines."""
        return self._gate.refusal(path)

    def _subscribe(self, head: Head, call: thin.ThinCall, caller: LaneCaller) -> None:
        if call.subscribe is None:
            caller.respond(400, "Failed to validate scheduler::Call: Expecting 'subscribe' to be present")
        elif head.accept is None:
            caller.respond(406, NOT_ACCEPTABLE)
        elif head.stream_id is not None:
            caller.respond(400, STREAM_ID_GIVEN)
        else:
            whole = scheduler.Call(type=call.type, framework_id=call.framework_id, subscribe=call.subscribe)
            request, stream = self._exchange.ask(caller), self._exchange.next_token()
            self.post(SchedulerSubscribed(request, whole, stream, str(uuid.uuid4()), head.principal))


def _thinned(call: scheduler.Call) -> thin.ThinCall:
    if call.type == scheduler.Call_Type.SUBSCRIBE:
        return thin.ThinCall(type=call.type, framework_id=call.framework_id, subscribe=call.subscribe)
    return thin.decode_call(json.encode(call))
