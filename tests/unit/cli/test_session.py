"""How a session finds its agent: through a master that relays, else with the agent itself."""

from __future__ import annotations

import asyncio
import json

import pytest

from merismos.cli.errors import CommandError
from merismos.cli.session import Place, Session
from merismos.protocol import recordio
from merismos.sdk.address import Address

OUTPUT = recordio.encode(json.dumps({"type": "DATA", "data": {"type": "STDOUT", "data": "aGkK"}}).encode())
WAITED = json.dumps({"type": "WAIT_NESTED_CONTAINER", "wait_nested_container": {"exit_status": 768}}).encode()
RELAYED = b"Via: 1.1 merismos-master\r\n"


def answer(status: int, body: bytes, headers: bytes = b"") -> bytes:
    return b"HTTP/1.1 %d X\r\n%bContent-Length: %d\r\nConnection: close\r\n\r\n%b" % (status, headers, len(body), body)


def run(master: list[bytes], agent: list[bytes]) -> int:
    """Run a session where a master and an agent give these answers, one after the other."""

    async def scenario() -> int:
        addresses = []
        servers = []
        for answers in (master, agent):

            async def serve(
                reader: asyncio.StreamReader, writer: asyncio.StreamWriter, answers: list[bytes] = answers
            ) -> None:
                await reader.readuntil(b"\r\n\r\n")
                writer.write(answers.pop(0))
                await writer.drain()
                writer.close()

            server = await asyncio.start_server(serve, "127.0.0.1", 0)
            servers.append(server)
            addresses.append(Address("127.0.0.1", server.sockets[0].getsockname()[1]))
        places = [Place(addresses[0], "/agent/S0/api/v1"), Place(addresses[1], "/api/v1")]
        try:
            return await Session(places, "task.own", ["true"], None, has_input=False).run()
        finally:
            for server in servers:
                server.close()

    return asyncio.run(scenario())


def test_a_master_that_relays_is_asked(capsys: pytest.CaptureFixture[str]) -> None:
    assert run([answer(200, OUTPUT, RELAYED), answer(200, WAITED, RELAYED)], []) == 3
    assert capsys.readouterr().out == "hi\n"


def test_the_agent_is_asked_where_a_master_does_not_know_how_to_relay(capsys: pytest.CaptureFixture[str]) -> None:
    assert run([answer(404, b"404 Not Found.")], [answer(200, OUTPUT), answer(200, WAITED)]) == 3
    assert capsys.readouterr().out == "hi\n"


def test_what_the_agent_refuses_is_told_and_not_asked_for_again() -> None:
    with pytest.raises(CommandError, match="the agent answered 400: Parent container task does not exist"):
        run([answer(400, b"Parent container task does not exist", RELAYED)], [])


def test_the_agent_is_asked_where_the_master_can_not_reach_it(capsys: pytest.CaptureFixture[str]) -> None:
    unreached = answer(502, b"agent S0 can't be reached from this master", RELAYED)
    assert run([unreached], [answer(200, OUTPUT), answer(200, WAITED)]) == 3
    assert capsys.readouterr().out == "hi\n"
