"""Operator answers in protobuf say what their JSON says, big ones too."""

from __future__ import annotations

import asyncio

import pytest

from merismos.adapters.http.transcode import INLINE_BYTES_MAX, transcode
from merismos.protocol import json, protobuf
from merismos.protocol.v1 import master as operator
from merismos.protocol.v1 import mesos


@pytest.mark.parametrize("size", [10, INLINE_BYTES_MAX + 1])
def test_the_protobuf_form_holds_what_the_json_holds(size: int) -> None:
    flags = [mesos.Flag(name="ü" * 8, value="x" * size)]
    answer = operator.Response(type=operator.Response_Type.GET_FLAGS, get_flags=operator.Response_GetFlags(flags=flags))
    data = asyncio.run(transcode("Response", json.encode(answer)))
    assert protobuf.decode(operator.Response, data) == answer
