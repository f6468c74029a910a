"""Media types: what a request's body is, and what its answer may be.

Rules: a Content-Type matches exactly, in letter case and without parameters; Accept follows RFC 9110 except that the order and
weight of what is acceptable don't matter: where JSON is acceptable, it is JSON.
"""

from __future__ import annotations

import enum

JSON = "application/json"
PROTOBUF = "application/x-protobuf"
RECORDIO = "application/recordio"
NO_CONTENT_TYPE = "Expecting 'Content-Type' to be present"
BAD_CONTENT_TYPE = f"Expecting 'Content-Type' of {JSON} or {PROTOBUF}"
NOT_ACCEPTABLE = f"Expecting 'Accept' to allow '{PROTOBUF}' or '{JSON}'"


class Media(enum.Enum):
    """The two encodings of every message."""

    JSON = JSON
    PROTOBUF = PROTOBUF


def media_of(content_type: str) -> Media | None:
    """Return the encoding that a Content-Type names, None for any other."""
    if content_type == JSON:
        return Media.JSON
    if content_type == PROTOBUF:
        return Media.PROTOBUF
    return None


def refusal_of(content_type: str | None) -> tuple[int, str]:
    """Return status and text for a body whose Content-Type names no encoding."""
    return (400, NO_CONTENT_TYPE) if content_type is None else (415, BAD_CONTENT_TYPE)


def acceptable(accept: str | None, media_type: str) -> bool:
    """Return whether an Accept header allows a media type; no header allows all."""
    if accept is None or not accept.strip():
        return True
    family = media_type.split("/", 1)[0] + "/*"
    weights: dict[str, float] = {}
    for entry in accept.split(","):
        name, *parameters = (part.strip() for part in entry.split(";"))
        weights[name.lower()] = _weight(parameters)
    for name in (media_type, family, "*/*"):
        if name in weights:
            return weights[name] > 0
    return False


def media_for(accept: str | None) -> Media | None:
    """Return the encoding of the answer, None where neither is acceptable."""
    if acceptable(accept, JSON):
        return Media.JSON
    if acceptable(accept, PROTOBUF):
        return Media.PROTOBUF
    return None


def _weight(parameters: list[str]) -> float:
    for parameter in parameters:
        name, _, value = parameter.partition("=")
        if name.strip().lower() == "q":
            try:
                return float(value)
            except ValueError:
                return 0.0
    return 1.0
