"""Keeps a scheduler subscribed: finds the leader, follows redirects, watches heartbeats, comes back after a lost connection.

Rules: a call goes out on the subscription that is up, or fails; nothing is queued for a later one, since offers and updates of an
earlier subscription mean nothing on the next. A stream that is silent for `MISSED_HEARTBEATS` intervals is dead.
"""

from __future__ import annotations

import asyncio
import base64
import random
from collections.abc import Awaitable, Callable
from typing import Final

from merismos.protocol import json, recordio
from merismos.protocol.errors import DecodeError
from merismos.protocol.v1 import mesos, scheduler
from merismos.sdk import address as addresses
from merismos.sdk.address import Address
from merismos.sdk.connection import Connection, Stream
from merismos.sdk.http import JSON, Answer, BrokenAnswerError
from merismos.sdk.leader import Leaders

MISSED_HEARTBEATS: Final = 3
_TARGET: Final = "/api/v1/scheduler"
_STREAM_ID: Final = "mesos-stream-id"
_BACKOFF_S_FIRST: Final = 0.1
_HEARTBEAT_S_DEFAULT: Final = 15.0
_HOPS_MAX: Final = 5
_HTTP_OK: Final = 200
_HTTP_ACCEPTED: Final = 202
_HTTP_REDIRECT: Final = 307
_REFUSALS: Final = frozenset({400, 401, 403, 404, 405, 406, 415, 501})
_LOST = (OSError, BrokenAnswerError, DecodeError)

OnEvent = Callable[[scheduler.Event], Awaitable[None]]
OnLost = Callable[[str], Awaitable[None]]


class RefusedError(Exception):
    """The master won't have this call, and asking again won't help."""

    def __init__(self, status: int, text: str) -> None:
        super().__init__(f"the master answered {status}: {text or 'nothing more'}")
        self.status = status


class NotSubscribedError(Exception):
    """There is no subscription to send the call on."""


class Session:
    """A subscription to whichever master leads; `master` is one that knows, several, or a detector's address.

    Units: `backoff_s_max` bounds the wait between two attempts to subscribe; `timeout_s` an attempt, and every call.
    """

    def __init__(
        self,
        master: Address | list[Address] | str,
        subscribe: scheduler.Call_Subscribe,
        *,
        secret: str | None = None,
        timeout_s: float = 10.0,
        backoff_s_max: float = 15.0,
    ) -> None:
        self.master: Address | None = master if isinstance(master, Address) else None
        self.framework_id = ""
        self.subscribed = asyncio.Event()
        self._where = master
        self._subscribe = subscribe
        self._timeout_s = timeout_s
        self._backoff_s_max = backoff_s_max
        self._backoff_s = _BACKOFF_S_FIRST
        self._hops = 0
        self._stream_id = ""
        self._calls: Connection | None = None
        self._headers = {"Content-Type": JSON, "Accept": JSON}
        principal = subscribe.framework_info.principal
        if principal and secret is not None:
            self._headers["Authorization"] = "Basic " + base64.b64encode(f"{principal}:{secret}".encode()).decode()

    async def run(self, on_event: OnEvent, on_lost: OnLost) -> None:
        """Stay subscribed until cancelled; `on_lost` hears why, each time the subscription or an attempt ends.

        Errors: RefusedError when the master refuses the subscription; AddressError; what `on_event` raises.
        """
        leaders = Leaders(self._where)
        try:
            await self._stay(leaders, on_event, on_lost)
        finally:
            await leaders.close()

    async def _stay(self, leaders: Leaders, on_event: OnEvent, on_lost: OnLost) -> None:
        elsewhere: Address | None = None
        while True:
            self.master = elsewhere or await leaders.find()
            connection = Connection(self.master, timeout_s=self._timeout_s)
            leaders.on_change = connection.abandon
            elsewhere = None
            try:
                reason = await self._follow(connection, on_event)
            except _LOST as error:
                reason = str(error) or type(error).__name__
            finally:
                connection.abandon()
                self._unsubscribe()
            if not reason:
                elsewhere = self.master
            else:
                await on_lost(f"{self.master}: {reason}")
                self._hops = 0
                another_leads = await leaders.pause(self._backoff_s * random.uniform(0.5, 1.0))  # noqa: S311 - jitter is no secret
                self._backoff_s = _BACKOFF_S_FIRST if another_leads else min(self._backoff_s * 2, self._backoff_s_max)

    async def call(self, call: scheduler.Call) -> None:
        """Send a call on the subscription that is up.

        Errors: NotSubscribedError when there is none, or it is lost meanwhile; RefusedError.
        """
        connection = self._calls
        if connection is None:
            raise NotSubscribedError(f"not subscribed at {self.master} now; wait for the next subscription")
        call.framework_id = mesos.FrameworkID(value=self.framework_id)
        headers = self._headers | {"Mesos-Stream-Id": self._stream_id}
        try:
            answer = await connection.ask("POST", _TARGET, body=json.encode(call), headers=headers)
        except (OSError, BrokenAnswerError) as error:
            raise NotSubscribedError(f"the connection to {self.master} broke: {error}") from error
        if answer.status in {_HTTP_OK, _HTTP_ACCEPTED}:
            return
        if connection is not self._calls or answer.status not in _REFUSALS:
            raise NotSubscribedError(f"{self.master} answered {answer.status}: {answer.text()}")
        raise RefusedError(answer.status, answer.text())

    async def _follow(self, connection: Connection, on_event: OnEvent) -> str:
        """Subscribe and hand on events to the end of the stream; return why it ended, nothing for a redirect."""
        subscribe = self._subscribe
        call = scheduler.Call(
            type=scheduler.Call_Type.SUBSCRIBE, subscribe=subscribe, framework_id=subscribe.framework_info.id
        )
        stream = await connection.open_stream(_TARGET, body=json.encode(call), headers=self._headers)
        if stream.status != _HTTP_OK:
            return self._unwanted(Answer(stream.status, stream.headers, await stream.body()))
        self._stream_id = stream.headers.get(_STREAM_ID, "")
        await self._read(stream, on_event)
        return "the master closed the event stream"

    async def _read(self, stream: Stream, on_event: OnEvent) -> None:
        records = recordio.Decoder()
        stream.silence_s_max = _HEARTBEAT_S_DEFAULT * MISSED_HEARTBEATS
        async for piece in stream.pieces():
            for record in records.feed(piece):
                event = json.decode(scheduler.Event, record)
                if event.subscribed is not None:
                    self._subscribed(event.subscribed)
                    interval_s = event.subscribed.heartbeat_interval_seconds or _HEARTBEAT_S_DEFAULT
                    stream.silence_s_max = interval_s * MISSED_HEARTBEATS
                await on_event(event)

    def _subscribed(self, event: scheduler.Event_Subscribed) -> None:
        self.framework_id = event.framework_id.value
        self._subscribe.framework_info.id = event.framework_id
        self._backoff_s = _BACKOFF_S_FIRST
        assert self.master is not None, "it answered"
        self._calls = Connection(self.master, timeout_s=self._timeout_s)
        self.subscribed.set()

    def _unsubscribe(self) -> None:
        self.subscribed.clear()
        if self._calls is not None:
            self._calls.abandon()
            self._calls = None

    def _unwanted(self, answer: Answer) -> str:
        location = answer.headers.get("location", "")
        if answer.status == _HTTP_REDIRECT and location:
            leader = addresses.parse(location)
            self._hops += 1
            if self._hops <= _HOPS_MAX:
                self.master = leader
                return ""
            return f"after {_HOPS_MAX} redirects it still points elsewhere, to {leader}"
        if answer.status in _REFUSALS:
            raise RefusedError(answer.status, answer.text())
        return f"it answered {answer.status}: {answer.text() or 'no leader yet'}"
