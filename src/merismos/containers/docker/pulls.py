"""Images of Docker containers: looked for, pulled where they are missing or always, with a login where there is one.

Rules: a login is looked for in the sandbox (`.docker/config.json`, `.dockercfg`, brought by a URI), then in --docker_config.
"""

from __future__ import annotations

import base64
from pathlib import Path
from typing import Any
from urllib.parse import quote

import msgspec

from merismos.containers.docker.client import Engine, EngineError
from merismos.containers.images.credentials import Login, login_for, parse_docker_config
from merismos.core.containers.docker_plan import DockerCreate
from merismos.model.image_reference import HUB, ImageReference, parse_reference

_CONFIGS = (".docker/config.json", ".dockercfg")
_CONFIG_BYTES_MAX = 1024 * 1024
_NOT_FOUND = 404


async def have_image(
    engine: Engine, plan: DockerCreate, directory: str, logins: dict[str, Login], stall_s: float
) -> None:
    """Return once an image is here.

    Errors: EngineError, EngineDown; ImageError where a login can't be read.
    """
    if not plan.force_pull:
        try:
            await engine.ask("GET", f"/images/{quote(plan.image)}/json")
        except EngineError as error:
            if error.status != _NOT_FOUND:
                raise
        else:
            return
    reference = parse_reference(plan.image)
    assert isinstance(reference, ImageReference), "a task with such an image is refused"
    query = {"fromImage": plan.image if reference.digest else _name(reference)}
    if not reference.digest:
        query["tag"] = reference.tag
    login = login_for({**logins, **_logins_in(directory)}, reference.registry or HUB)
    headers = {} if login is None else {"X-Registry-Auth": _authorization(login, reference)}
    async with engine.stream("POST", "/images/create", query, headers=headers, stall_s=stall_s) as pieces:
        rest = b""
        async for piece in pieces:
            *lines, rest = (rest + piece).split(b"\n")
            for line in lines:
                _check(plan.image, line)
        _check(plan.image, rest)


def _name(reference: ImageReference) -> str:
    return f"{reference.registry}/{reference.repository}" if reference.registry else reference.repository


def _authorization(login: Login, reference: ImageReference) -> str:
    entry = {"username": login.name, "password": login.password, "serveraddress": reference.registry}
    return base64.urlsafe_b64encode(msgspec.json.encode(entry)).decode()


def _logins_in(directory: str) -> dict[str, Login]:
    for name in _CONFIGS:
        path = Path(directory, name)
        try:
            with path.open("rb") as config:
                return parse_docker_config(config.read(_CONFIG_BYTES_MAX))
        except OSError:
            continue
    return {}


def _check(image: str, line: bytes) -> None:
    if not line.strip():
        return
    try:
        progress: Any = msgspec.json.decode(line)
    except (msgspec.DecodeError, UnicodeDecodeError):
        raise EngineError(500, f"the pull of {image} says something that is no JSON") from None
    if isinstance(progress, dict) and progress.get("error"):
        raise EngineError(500, f"{image} can't be pulled: {progress['error']}")
