"""Who we are to a registry: docker's configuration, as `docker login` writes it.

Rules: `auths` by registry, with `auth` (base64 of NAME:PASSWORD) or `username` and `password`; keys may be URLs; Docker Hub is
`https://index.docker.io/v1/`. Credential helpers are not asked. Nothing of this is ever in a message.
Errors: ImageError where the configuration can't be read.
"""

from __future__ import annotations

import base64
import binascii
from typing import NamedTuple

import msgspec

from merismos.containers.images.documents import ImageError
from merismos.model.image_reference import HUB

_HUB_KEYS = ("index.docker.io", "docker.io", HUB)


class Login(NamedTuple):
    """A name and its password."""

    name: str
    password: str

    @property
    def basic(self) -> str:
        """The value of an Authorization header."""
        return "Basic " + base64.b64encode(f"{self.name}:{self.password}".encode()).decode()


class _Entry(msgspec.Struct):
    auth: str = ""
    username: str = ""
    password: str = ""


class _DockerConfig(msgspec.Struct):
    auths: dict[str, _Entry] = {}


def parse_docker_config(raw: str | bytes) -> dict[str, Login]:
    """Return the logins of a docker configuration by registry host; the older form without `auths` is taken too.

    Errors: ImageError.
    """
    try:
        entries = msgspec.json.decode(raw, type=_DockerConfig).auths
        if not entries:
            entries = msgspec.json.decode(raw, type=dict[str, _Entry])
            entries.pop("auths", None)
    except (msgspec.DecodeError, UnicodeDecodeError):
        text = 'docker\'s configuration is no JSON like {"auths": {"HOST": {"auth": "BASE64"}}}'
        raise ImageError(text) from None
    return {_host_of(key): login for key, entry in entries.items() if (login := _login_of(entry)) is not None}


def login_for(logins: dict[str, Login], host: str) -> Login | None:
    """Return who we are to `host`, None where nobody said."""
    keys = _HUB_KEYS if host in _HUB_KEYS else (host,)
    return next((logins[key] for key in keys if key in logins), None)


def _host_of(key: str) -> str:
    return key.partition("://")[2].partition("/")[0] if "://" in key else key.partition("/")[0]


def _login_of(entry: _Entry) -> Login | None:
    if entry.auth:
        try:
            name, colon, password = base64.b64decode(entry.auth, validate=True).decode().partition(":")
        except (binascii.Error, UnicodeDecodeError):
            raise ImageError("docker's configuration has an 'auth' that is no base64 of NAME:PASSWORD") from None
        return Login(name, password.rstrip("\0")) if colon else None
    return Login(entry.username, entry.password) if entry.username else None
