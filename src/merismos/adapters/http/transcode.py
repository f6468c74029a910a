"""Big JSON messages to protobuf, in a process of their own: it takes some 100 ms a megabyte, for which the loop would stand still.

`python -m merismos.adapters.http.transcode NAME` reads the JSON of the operator API's message NAME and writes its protobuf form.
"""

from __future__ import annotations

import asyncio
import subprocess
import sys

from merismos.protocol import json, protobuf
from merismos.protocol.v1 import master as operator
from merismos.protocol.v1.message import Message

INLINE_BYTES_MAX = 64 * 1024
LIMIT_S = 120.0
MESSAGES: dict[str, type[Message]] = {"Event": operator.Event, "Response": operator.Response}


def to_protobuf(message: type[Message], data: bytes) -> bytes:
    """Return the protobuf form of a message's JSON."""
    return protobuf.encode(json.decode(message, data))


async def transcode(name: str, data: bytes) -> bytes:
    """Return the protobuf form of the JSON of an operator message, made elsewhere where it is big."""
    if len(data) <= INLINE_BYTES_MAX:
        return to_protobuf(MESSAGES[name], data)
    return await asyncio.to_thread(_elsewhere, name, data)


def _elsewhere(name: str, data: bytes) -> bytes:
    command = [sys.executable, "-m", "merismos.adapters.http.transcode", name]
    return subprocess.run(command, input=data, stdout=subprocess.PIPE, check=True, timeout=LIMIT_S).stdout  # noqa: S603 - our own module


if __name__ == "__main__":
    sys.stdout.buffer.write(to_protobuf(MESSAGES[sys.argv[1]], sys.stdin.buffer.read()))
