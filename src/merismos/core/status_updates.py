"""Status update streams: what an agent still owes its schedulers, in order, until they say that they have it.

One stream a task. Rules: one update of a stream is in flight; the next goes out once it is acknowledged; an update that isn't
is sent again after 10 s, then 20 s, doubling to 10 min; the same update is never sent under two uuids; after a terminal
update nothing is added. Nothing is sent while the link is down; once it is up again each stream's first update goes out anew.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Iterator
from typing import cast

from msgspec import structs

from merismos.core.kernel import Deadlines
from merismos.protocol.link import UpdateStatus

RETRY_S_MIN = 10.0
RETRY_S_MAX = 600.0

StreamKey = tuple[str, str]


class _Stream:
    """The unacknowledged updates of one task; the first is in flight."""

    __slots__ = ("latest_state", "retry_s", "updates")

    def __init__(self) -> None:
        self.updates: deque[UpdateStatus] = deque()
        self.latest_state = ""
        self.retry_s = RETRY_S_MIN


class StatusUpdates:
    """All streams of an agent.

    Shapes: a stream's key is (framework id, task id); a stream exists while it holds an unacknowledged update.
    Units: seconds.
    """

    __slots__ = ("_connected", "_deadlines", "_streams")

    def __init__(self) -> None:
        self._streams: dict[StreamKey, _Stream] = {}
        self._deadlines = Deadlines()
        self._connected = False

    def __len__(self) -> int:
        """Return how many tasks have an unacknowledged update."""
        return len(self._streams)

    def __contains__(self, key: StreamKey) -> bool:
        """Say whether a task has an unacknowledged update."""
        return key in self._streams

    def append(self, update: UpdateStatus, now: float) -> UpdateStatus | None:
        """Add an update to its stream; return it if it is to be sent now."""
        key = (update.framework_id, update.task_id)
        stream = self._streams.get(key)
        if stream is None:
            stream = self._streams[key] = _Stream()
        stream.updates.append(update)
        stream.latest_state = update.state
        if len(stream.updates) > 1:
            return None
        return self._send(key, stream, now)

    def acknowledge(
        self, framework_id: str, task_id: str, uuid: bytes, now: float
    ) -> tuple[UpdateStatus, UpdateStatus | None] | None:
        """Take the update in flight off its stream; return it and the one to send now.

        Errors: None where `uuid` isn't that of the update in flight: a duplicate, or somebody else's.
        """
        key = (framework_id, task_id)
        stream = self._streams.get(key)
        if stream is None or stream.updates[0].uuid != uuid:
            return None
        acknowledged = stream.updates.popleft()
        stream.retry_s = RETRY_S_MIN
        if stream.updates:
            return acknowledged, self._send(key, stream, now)
        del self._streams[key]
        self._deadlines.cancel(key)
        return acknowledged, None

    def connect(self, now: float) -> list[UpdateStatus]:
        """The link is up: return the first update of every stream, to be sent in this order."""
        self._connected = True
        first = []
        for key, stream in self._streams.items():
            stream.retry_s = RETRY_S_MIN
            update = self._send(key, stream, now)
            if update is not None:
                first.append(update)
        return first

    def resend(self, framework_id: str, now: float) -> list[UpdateStatus]:
        """A framework's scheduler is there anew: return the first update of each of its streams, to be sent again."""
        again = []
        for key, stream in self._streams.items():
            if key[0] == framework_id:
                stream.retry_s = RETRY_S_MIN
                update = self._send(key, stream, now)
                if update is not None:
                    again.append(update)
        return again

    def disconnect(self) -> None:
        """The link is down: send nothing until it is up again."""
        self._connected = False
        for key in self._streams:
            self._deadlines.cancel(key)

    def resend_due(self, now: float) -> list[UpdateStatus]:
        """Return the updates whose acknowledgement is overdue, to be sent again."""
        due = []
        for due_key in self._deadlines.pop_due(now):
            key = cast("StreamKey", due_key)
            stream = self._streams[key]
            stream.retry_s = min(stream.retry_s * 2, RETRY_S_MAX)
            update = self._send(key, stream, now)
            if update is not None:
                due.append(update)
        return due

    def next_deadline(self) -> float | None:
        """Return when the next update is to be sent again."""
        return self._deadlines.next()

    def restore(self, update: UpdateStatus) -> None:
        """Put an update of an earlier agent on its stream; nothing is sent before the link is up."""
        stream = self._streams.setdefault((update.framework_id, update.task_id), _Stream())
        stream.updates.append(update)
        stream.latest_state = update.state

    def take_off(self, framework_id: str, task_id: str, uuid: bytes) -> None:
        """Take an update of an earlier agent off its stream: it was acknowledged then.

        Errors: LookupError where it isn't the first there.
        """
        key = (framework_id, task_id)
        stream = self._streams[key]
        if stream.updates[0].uuid != uuid:
            raise LookupError("an acknowledgement without its update")
        stream.updates.popleft()
        if not stream.updates:
            del self._streams[key]

    def clear(self) -> None:
        """Owe nothing any more."""
        self._streams.clear()
        self._deadlines = Deadlines()

    def keys_of(self, framework_id: str) -> list[StreamKey]:
        """Return the streams of a framework."""
        return [key for key in self._streams if key[0] == framework_id]

    def drop_framework(self, framework_id: str) -> None:
        """Forget what is owed to a framework that is gone."""
        for key in self.keys_of(framework_id):
            del self._streams[key]
            self._deadlines.cancel(key)

    def latest(self, framework_id: str, task_id: str) -> UpdateStatus | None:
        """Return the newest unacknowledged update of a task."""
        stream = self._streams.get((framework_id, task_id))
        return None if stream is None else stream.updates[-1]

    def unacknowledged(self) -> Iterator[UpdateStatus]:
        """Yield every unacknowledged update, each stream's in order."""
        for stream in self._streams.values():
            yield from stream.updates

    def _send(self, key: StreamKey, stream: _Stream, now: float) -> UpdateStatus | None:
        if not self._connected:
            return None
        self._deadlines.set(key, now + stream.retry_s)
        update = stream.updates[0]
        if update.latest_state != stream.latest_state:
            # what was sent before stays as it was: a recorded transcript holds it
            update = stream.updates[0] = structs.replace(update, latest_state=stream.latest_state)
        return update
