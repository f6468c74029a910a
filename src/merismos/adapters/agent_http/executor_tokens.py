"""Tokens by which executors show who they are: JSON Web Tokens, signed with HMAC-SHA256 by the agent's key.

Rules: a token names one executor in one container (the claims `fid`, `eid`, `cid`), and a call must be of that executor. Who has the
token of one executor can't act for another.
Source: RFC 7519; the claims are Mesos'.
"""

from __future__ import annotations

import base64
import binascii
import hashlib
import hmac
from typing import TYPE_CHECKING

import msgspec

if TYPE_CHECKING:
    from merismos.protocol.v1 import executor as api

VARIABLE = "MESOS_EXECUTOR_AUTHENTICATION_TOKEN"
_SCHEME = "bearer "
_HEAD = b'{"alg":"HS256","typ":"JWT"}'


class Claims(msgspec.Struct):
    """Whose token it is: framework, executor and container."""

    fid: str
    eid: str
    cid: str


class ExecutorTokens:
    """Signs and checks tokens with one key."""

    def __init__(self, key: bytes) -> None:
        self._key = key

    def sign(self, claims: Claims) -> str:
        """Return the token of an executor."""
        body = f"{_encode(_HEAD)}.{_encode(msgspec.json.encode(claims))}"
        return f"{body}.{self._signature(body)}"

    def read(self, token: str) -> Claims | None:
        """Return what a token says, None where it isn't one of ours."""
        body, _, signature = token.rpartition(".")
        if not hmac.compare_digest(signature.encode(), self._signature(body).encode()):
            return None
        try:
            return msgspec.json.decode(_decode(body.partition(".")[2]), type=Claims)
        except (msgspec.DecodeError, binascii.Error, ValueError):
            return None

    def refusal(self, header: str | None, call: api.Call) -> tuple[int, str] | None:
        """Return why a call with this Authorization header is refused, None where it isn't."""
        if header is None or not header.lower().startswith(_SCHEME):
            return 401, f"Executors must send the token of {VARIABLE} as 'Authorization: Bearer TOKEN'"
        claims = self.read(header[len(_SCHEME) :].strip())
        if claims is None:
            return 401, "The token is none of this agent's"
        if (claims.fid, claims.eid) != (call.framework_id.value, call.executor_id.value):
            return 403, f"The token is of executor '{claims.eid}' of framework {claims.fid}, and of no other"
        return None

    def _signature(self, body: str) -> str:
        return _encode(hmac.digest(self._key, body.encode(), hashlib.sha256))


def _encode(data: bytes) -> str:
    return base64.urlsafe_b64encode(data).rstrip(b"=").decode()


def _decode(text: str) -> bytes:
    return base64.urlsafe_b64decode(text + "=" * (-len(text) % 4))
