"""The Docker Engine API over a Unix socket.

Rules: every call has a time limit (those that make, start and remove containers a longer one), and so has every wait for the next piece of a stream that must not stall; behind the breaker
nobody waits at all. What the Engine refuses is an `EngineError` with its own words; that it doesn't answer, or answers with what
isn't its API, is `EngineDown`.
Source: the Docker Engine API, version 1.24 and later.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable, Mapping
from contextlib import asynccontextmanager
from typing import Any, TypeVar, cast
from urllib.parse import quote

import aiohttp
import msgspec

from merismos.containers.docker.breaker import Breaker

_T = TypeVar("_T")
SLOW_FACTOR = 6.0
ANSWER_BYTES_MAX = 64 * 1024 * 1024
_BAD = 400


class EngineDown(Exception):
    """Nobody answers at the socket, or not in time; the text says which."""


class EngineError(Exception):
    """The Engine refuses a call; the text is its own."""

    def __init__(self, status: int, text: str) -> None:
        super().__init__(text)
        self.status = status


class Engine:
    """One Engine, and whether it answers."""

    def __init__(self, socket: str, timeout_s: float, tell: Callable[[str | None], None]) -> None:
        self.socket = socket
        self.timeout_s = timeout_s
        self.breaker = Breaker(tell)
        self.timeouts = 0
        self._session: aiohttp.ClientSession | None = None

    async def ask(
        self,
        method: str,
        path: str,
        query: Mapping[str, str] | None = None,
        body: object = None,
        *,
        kind: object = None,
        is_probe: bool = False,
        is_slow: bool = False,
    ) -> Any:  # noqa: ANN401 - what `kind` says
        """Return the answer of one call as a `kind`, None where none is given; a slow one has six times the time.

        Errors: EngineError, EngineDown.
        """
        raw = await self.read(method, path, query, body, is_probe=is_probe, is_slow=is_slow)
        if kind is None:
            self.breaker.on_answer()
            return None
        return self.decoded(raw, cast("type[object]", kind))

    def decoded(self, raw: bytes, kind: type[_T]) -> _T:
        """Return an answer as a `kind`.

        Errors: EngineDown.
        """
        try:
            answered = msgspec.json.decode(raw, type=kind)
        except (msgspec.DecodeError, UnicodeDecodeError) as error:
            raise self._fail(f"an answer is something else than its API says: {error}") from None
        self.breaker.on_answer()
        return answered

    async def read(
        self,
        method: str,
        path: str,
        query: Mapping[str, str] | None = None,
        body: object = None,
        *,
        is_probe: bool = False,
        is_slow: bool = False,
    ) -> bytes:
        """Return the answer of one call as it is.

        Errors: EngineError, EngineDown.
        """
        if self.breaker.why is not None and not is_probe:
            raise EngineDown(self.breaker.why)
        limit_s = self.timeout_s * (SLOW_FACTOR if is_slow else 1.0)
        try:
            async with asyncio.timeout(limit_s):
                async with self._open().request(method, _url(path), params=query, json=body) as answer:
                    raw = await answer.content.read(ANSWER_BYTES_MAX)
                    while len(raw) < ANSWER_BYTES_MAX and (more := await answer.content.read(ANSWER_BYTES_MAX)):
                        raw += more
                    status = answer.status
        except TimeoutError:
            self.timeouts += 1
            raise self._fail(f"no answer within {limit_s:g} s to {method} {path}") from None
        except (aiohttp.ClientError, OSError, ValueError) as error:
            raise self._fail(f"{method} {path}: {error}") from error
        if status >= _BAD:
            self.breaker.on_answer()
            raise EngineError(status, _reason(raw) or f"{method} {path} is answered with status {status}")
        return raw

    @asynccontextmanager
    async def stream(
        self,
        method: str,
        path: str,
        query: Mapping[str, str] | None = None,
        body: object = None,
        headers: Mapping[str, str] | None = None,
        stall_s: float | None = None,
    ) -> AsyncIterator[AsyncIterator[bytes]]:
        """Yield the pieces of a long answer as they come; with `stall_s` none may be longer in coming.

        Errors: EngineError, EngineDown; the pieces raise EngineDown.
        """
        if self.breaker.why is not None:
            raise EngineDown(self.breaker.why)
        try:
            async with asyncio.timeout(stall_s or self.timeout_s):
                answer = await self._open().request(method, _url(path), params=query, json=body, headers=headers)
        except TimeoutError:
            self.timeouts += 1
            raise self._fail(f"no answer within {stall_s or self.timeout_s:g} s to {method} {path}") from None
        except (aiohttp.ClientError, OSError, ValueError) as error:
            raise self._fail(f"{method} {path}: {error}") from error
        try:
            self.breaker.on_answer()
            if answer.status >= _BAD:
                async with asyncio.timeout(self.timeout_s):
                    text = _reason(await answer.content.read(ANSWER_BYTES_MAX))
                raise EngineError(answer.status, text or f"{method} {path}: status {answer.status}")
            yield _pieces(answer, path, stall_s)
        except (aiohttp.ClientError, OSError) as error:
            raise EngineDown(f"{method} {path}: {error}") from error
        finally:
            answer.close()

    async def close(self) -> None:
        """Close every connection."""
        if self._session is not None:
            await self._session.close()
            self._session = None

    def _open(self) -> aiohttp.ClientSession:
        if self._session is None:
            connector = aiohttp.UnixConnector(self.socket, limit=0)
            timeout = aiohttp.ClientTimeout(total=None)
            self._session = aiohttp.ClientSession(connector=connector, timeout=timeout)
        return self._session

    def _fail(self, why: str) -> EngineDown:
        self.breaker.on_failure(why)
        return EngineDown(why)


async def _pieces(answer: aiohttp.ClientResponse, path: str, stall_s: float | None) -> AsyncIterator[bytes]:
    while True:
        try:
            async with asyncio.timeout(stall_s):
                piece = await answer.content.readany()
        except TimeoutError:
            raise EngineDown(f"{path}: nothing came for {stall_s:g} s") from None
        if not piece:
            return
        yield piece


def _url(path: str) -> str:
    return f"http://docker{path}"


def named(container: str) -> str:
    """Return the path of a container by its name or id."""
    return f"/containers/{quote(container, safe='')}"


def _reason(raw: bytes) -> str:
    try:
        return str(msgspec.json.decode(raw)["message"])
    except (msgspec.DecodeError, UnicodeDecodeError, KeyError, TypeError):
        return raw[:200].decode(errors="replace").strip()
