"""Copies what a task writes into its sandbox to a sink, while it runs and to the end.

Rules: nothing is lost: after the task is over the file is read until it has no more. The agent itself is asked, so that many who
follow don't burden the master; the master instead where the agent can't be reached. Who can't be reached is asked again, in turns,
and after the task's end for `GIVE_UP_S` more.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable
from typing import TYPE_CHECKING, Final, NamedTuple

from merismos.cli import sandbox
from merismos.cli.errors import CommandError
from merismos.sdk.connection import Connection
from merismos.sdk.http import JSON, BrokenAnswerError

if TYPE_CHECKING:
    from merismos.sdk.address import Address

GIVE_UP_S: Final = 5.0
CONNECT_S_MAX: Final = 3.0
DIRECT: Final = "/api/v1"
_POLL_S_MIN: Final = 0.02
_POLL_S_MAX: Final = 0.25
_POLL_GROWTH: Final = 1.5


class Source(NamedTuple):
    """Who answers an agent's operator API, and where."""

    address: Address
    target: str


class Follower:
    """Follows one file of one sandbox; `sources` tells anew at each change who may be asked, the preferred one first.

    Errors: CommandError out of `run` when the end of the file can't be had.
    """

    def __init__(self, sources: Callable[[], list[Source]], path: str, sink: Callable[[bytes], None]) -> None:
        self._sources = sources
        self._turn = 0
        self._source = sources()[0]
        self._connection = Connection(self._source.address, connect_s=CONNECT_S_MAX)
        self._tail = sandbox.Tail(path)
        self._sink = sink
        self._over = asyncio.Event()

    def end(self) -> None:
        """Say that the task is over: what is in the file now is all there will be."""
        self._over.set()

    async def run(self) -> None:
        """Copy, until the task is over and the file is read."""
        pause_s = _POLL_S_MIN
        ended_at = None
        try:
            while True:
                over = self._over.is_set()
                try:
                    copied = await self._copy()
                except (OSError, BrokenAnswerError) as error:
                    copied, over = False, False
                    ended_at = self._patience(ended_at, error)
                    await self._ask_another()
                if copied:
                    pause_s = _POLL_S_MIN
                    continue
                if over:
                    return
                await self._pause(pause_s)
                pause_s = min(pause_s * _POLL_GROWTH, _POLL_S_MAX)
        finally:
            await self._connection.close()

    async def _copy(self) -> bool:
        headers = {"Content-Type": JSON, "Accept": JSON}
        call = sandbox.read_call(self._tail.path, self._tail.offset)
        answer = await self._connection.ask("POST", self._source.target, body=call, headers=headers)
        if self._source.target != DIRECT and not sandbox.is_relayed(answer.status, answer.headers):
            raise ConnectionError(f"the master answered {answer.status} {answer.text()}")
        piece = sandbox.piece_of(answer.status, answer.body)
        if piece.data:
            self._sink(piece.data)
        return self._tail.take(piece)

    async def _ask_another(self) -> None:
        """Turn to the next source."""
        await self._connection.close()
        sources = self._sources()
        self._turn += 1
        self._source = sources[self._turn % len(sources)]
        self._connection = Connection(self._source.address, connect_s=CONNECT_S_MAX)

    def _patience(self, ended_at: float | None, error: Exception) -> float | None:
        """Return since when the task is over and the agent silent; raise when that is too long."""
        if not self._over.is_set():
            return None
        now = time.monotonic()
        if ended_at is not None and now - ended_at > GIVE_UP_S:
            raise CommandError(
                f"the task is over, but its agent {self._sources()[0].address} can't be asked for the rest of its output: {error}"
            ) from error
        return now if ended_at is None else ended_at

    async def _pause(self, pause_s: float) -> None:
        if self._over.is_set():
            await asyncio.sleep(pause_s)
            return
        try:
            async with asyncio.timeout(pause_s):
                await self._over.wait()
        except TimeoutError:
            return
