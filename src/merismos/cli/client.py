"""Asks a master or an agent over HTTP, synchronously, with nothing but a socket.

Rules: a command imports no asyncio for a question or two. A standby master's redirect is followed. Whatever goes wrong is a
CommandError that says what to do.
"""

from __future__ import annotations

import json
import socket
from typing import Any, Final

from merismos.cli.errors import CommandError
from merismos.sdk import local_cluster
from merismos.sdk.address import Address, AddressError, parse
from merismos.sdk.http import JSON, Answer, AnswerReader, BrokenAnswerError, render_request

TIMEOUT_S: Final = 10.0
_READ_BYTES: Final = 256 * 1024
_HOPS_MAX: Final = 5
_OK: Final = 200
_REDIRECT: Final = 307
_NOT_FOUND: Final = 404
_UNAVAILABLE: Final = 503


class Unreachable(CommandError):
    """Nobody answers there."""


class Client:
    """A connection to one master or agent, kept for several questions."""

    def __init__(self, address: Address, *, kind: str = "master", timeout_s: float = TIMEOUT_S) -> None:
        self.address = address
        self._kind = kind
        self._timeout_s = timeout_s
        self._socket: socket.socket | None = None

    def ask(self, method: str, target: str, *, body: bytes = b"", content_type: str = JSON) -> Answer:
        """Return the answer to a request, wherever the leader is.

        Errors: CommandError.
        """
        for _ in range(_HOPS_MAX):
            answer = self._ask_once(method, target, body, content_type)
            if answer.status != _REDIRECT or not answer.headers.get("location"):
                return answer
            self.close()
            self.address = parse(answer.headers["location"])
        raise CommandError(
            f"the masters point at each other, the last time to {self.address}",
            "Wait for an election to end, and try again.",
        )

    def get(self, target: str) -> Any:  # noqa: ANN401 - the JSON of an answer
        """Return the JSON at a path.

        Errors: CommandError.
        """
        return self._decoded(target, self.ask("GET", target))

    def call(self, kind: str, **fields: object) -> Any:  # noqa: ANN401 - the JSON of an answer
        """Return what the operator API answers to a call: the part of the response that bears its name.

        Errors: CommandError.
        """
        body = json.dumps({"type": kind, **fields}).encode()
        answer = self._decoded(kind, self.ask("POST", "/api/v1", body=body))
        return answer.get(kind.lower(), {})

    def close(self) -> None:
        """Close the connection."""
        if self._socket is not None:
            self._socket.close()
            self._socket = None

    def _decoded(self, what: str, answer: Answer) -> Any:  # noqa: ANN401 - JSON
        if answer.status == _UNAVAILABLE:
            raise CommandError(
                f"{self._kind} {self.address} can't answer yet: {answer.text() or 'no leader'}",
                "Try again in a moment.",
            )
        if answer.status != _OK:
            raise CommandError(
                f"{self._kind} {self.address} answered {answer.status} to {what}: {answer.text() or 'nothing more'}",
                f"Is {self.address} a Merismos or Mesos {self._kind}?" if answer.status == _NOT_FOUND else "",
            )
        try:
            return json.loads(answer.body)
        except ValueError as error:
            raise CommandError(f"{self._kind} {self.address} answered {what} with what is no JSON: {error}") from error

    def _ask_once(self, method: str, target: str, body: bytes, content_type: str) -> Answer:
        headers = {"Accept": JSON} | ({"Content-Type": content_type} if body else {})
        request = render_request(method, str(self.address), target, body=body, headers=headers)
        reused = self._socket is not None
        try:
            try:
                return self._exchange(request)
            except (ConnectionError, BrokenAnswerError):
                if not reused:
                    raise
                self.close()
                return self._exchange(request)
        except (OSError, BrokenAnswerError) as error:
            self.close()
            raise self._unreachable(error) from error

    def _exchange(self, request: bytes) -> Answer:
        if self._socket is None:
            self._socket = socket.create_connection(self.address, timeout=self._timeout_s)
            self._socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self._socket.sendall(request)
        reader = AnswerReader()
        pieces: list[bytes] = []
        while not reader.complete:
            data = self._socket.recv(_READ_BYTES)
            if data:
                pieces += reader.feed(data)
            else:
                reader.end()
        if not reader.reusable:
            self.close()
        return Answer(reader.status, reader.headers, b"".join(pieces))

    def _unreachable(self, error: Exception) -> CommandError:
        if isinstance(error, TimeoutError):
            why = f"no answer within {self._timeout_s:g} s"
        else:
            why = getattr(error, "strerror", None) or str(error)
        if self._kind == "master":
            todo = (
                "Start a cluster here with: merismos up    or name its master: --master HOST:PORT (or MERISMOS_MASTER)"
            )
        else:
            todo = "The agent may be gone, or can't be reached from this machine."
        return Unreachable(f"no {self._kind} answers at {self.address}: {why}", todo)


def _leading(where: list[Address] | str) -> Address:
    import asyncio  # noqa: PLC0415 - a master's own address needs none

    from merismos.sdk.leader import NoLeader, find_once  # noqa: PLC0415 - likewise

    try:
        return asyncio.run(find_once(where, TIMEOUT_S))
    except NoLeader as error:
        raise Unreachable(
            str(error), "Look whether masters run there, and ZooKeeper with the right path: --master zk://..."
        ) from error


def find_master(given: str | None) -> Client:
    """Return a client of the master that is meant.

    Errors: CommandError for what is no address.
    """
    try:
        found = local_cluster.find_master(given)
        return Client(found if isinstance(found, Address) else _leading(found))
    except AddressError as error:
        where = "--master" if given else local_cluster.ADDRESS_VARIABLE
        raise CommandError(f"{where}: {error}") from error
