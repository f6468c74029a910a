"""The seccomp profiles of an agent: read from --seccomp_config_dir when a container needs one, and made its filter.

Rules: a profile may come and change while the agent runs; each container has what the file says when it is launched. A filter is compiled once for
each content and set of capabilities. What can't be read or understood fails the container in words.
Errors: ProfileError.
"""

from __future__ import annotations

import contextlib
import hashlib
import os
import platform
from collections.abc import Collection
from pathlib import Path
from typing import Any

import msgspec

from merismos.adapters.linux import seccomp_filter
from merismos.core.containers.seccomp_profile import Place, parse_profile, resolve
from merismos.model.rejection import Rejection

_MODE = 0o755


class ProfileError(ValueError):
    """A profile can't be had; the text says which and why."""


class SeccompProfiles:
    """The profiles below a directory; files that take filters on lie below `loaders`."""

    def __init__(self, directory: Path, loaders: Path) -> None:
        self._directory = directory
        self._loaders = loaders
        self._made: dict[bytes, Path] = {}

    def rules_of(self, name: str, capabilities: Collection[str]) -> dict[str, Any]:
        """Return the rules of a profile for a container with these capabilities, as the OCI runtime specification has them."""
        path = self._directory / name
        try:
            data = path.read_bytes()
        except OSError as error:
            raise ProfileError(f"the seccomp profile '{name}' can't be read: {error.strerror or error}") from error
        profile = parse_profile(data)
        if isinstance(profile, Rejection):
            raise ProfileError(f"the seccomp profile '{name}': {profile.message}")
        return resolve(profile, Place(platform.machine(), _kernel(), capabilities))

    def loader_of(self, name: str, capabilities: Collection[str]) -> Path:
        """Return the program that takes the filter of a profile on and becomes another one."""
        rules = self.rules_of(name, capabilities)
        key = msgspec.json.encode(rules)
        made = self._made.get(key)
        if made is not None and made.exists():
            return made
        obstacle = seccomp_filter.obstacle()
        if obstacle is not None:
            raise ProfileError(f"the seccomp profile '{name}' can't be taken on: {obstacle}")
        try:
            content = seccomp_filter.loader_of(seccomp_filter.compile_rules(rules))
        except seccomp_filter.FilterError as error:
            raise ProfileError(f"the seccomp profile '{name}': {error}") from error
        made = self._made[key] = self._write(content)
        return made

    def _write(self, content: bytes) -> Path:
        path = self._loaders / hashlib.sha256(content).hexdigest()
        if not path.exists():
            self._loaders.mkdir(parents=True, exist_ok=True)
            half = path.with_suffix(f".{os.getpid()}")
            half.write_bytes(content)
            half.chmod(_MODE)
            half.replace(path)
        return path


def _kernel() -> tuple[int, int]:
    numbers = platform.release().split(".")
    with contextlib.suppress(ValueError, IndexError):
        return int(numbers[0]), int(numbers[1])
    return 0, 0
