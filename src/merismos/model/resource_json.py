"""Resources straight from the bytes of a JSON array, as the master gets them in every TaskInfo.

Frameworks ask for the same few shapes over and over: equal bytes give the same object, from a bounded cache. Long texts aren't
kept, so that no client can fill the memory with them.
"""

from __future__ import annotations

from functools import lru_cache
from typing import Final

import msgspec

from merismos.model.rejection import Rejection
from merismos.model.resource_protocol import DecodedResources, decode_protocol
from merismos.model.resources import Resources
from merismos.protocol.json import UNDECODABLE, parse
from merismos.protocol.normalise import normalise
from merismos.protocol.v1 import mesos

CACHED_ENTRIES_MAX: Final = 8192
CACHED_BYTES_MAX: Final = 2048

_decode_fast = msgspec.json.Decoder(list[mesos.Resource], strict=False).decode


def resources_from_json_bytes(raw: bytes) -> Resources | Rejection:
    """Return the sum of a JSON array of Resource messages; the same object for the same bytes.

    Errors: Rejection `resources_invalid`, in Mesos' words where the messages are well-formed.
    """
    decoded = decode_resources(raw)
    return decoded if isinstance(decoded, Rejection) else decoded.resources


def decode_resources(raw: bytes) -> DecodedResources | Rejection:
    """Return the same together with the allocation roles that the entries name.

    Errors: as `resources_from_json_bytes`.
    """
    return _decode_cached(raw) if len(raw) <= CACHED_BYTES_MAX else _decode(raw)


def decode_messages(raw: bytes) -> list[mesos.Resource] | Rejection:
    """Return a JSON array of Resource messages, read with Mesos' leniency.

    Errors: Rejection `resources_invalid` that says where the text goes wrong.
    """
    try:
        return _decode_fast(raw)
    except UNDECODABLE:
        pass
    try:
        normal = normalise(mesos.Request, {"resources": parse(raw)})
        return msgspec.convert(normal.get("resources", []), list[mesos.Resource])
    except UNDECODABLE as error:
        return Rejection("resources_invalid", str(error) or "the JSON is nested too deeply")


def _decode(raw: bytes) -> DecodedResources | Rejection:
    messages = decode_messages(raw)
    return messages if isinstance(messages, Rejection) else decode_protocol(messages)


_decode_cached = lru_cache(maxsize=CACHED_ENTRIES_MAX)(_decode)
