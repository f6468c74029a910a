"""What may stand in a committed file: no path of one machine, no registry's host, in requirement files names, versions and hashes only."""

from __future__ import annotations

import json
import re
from pathlib import Path

import pytest

from house.repository import ROOT, committed_files

# Written in pieces, so that this file doesn't find itself.
OUTSIDE = re.compile(r"\.\./sha" + r"red|/wo" + r"rk/(?:main|shared)")
# What installs anything takes it from wherever the machine is set to: it names no address at all.
INSTALLING = re.compile(
    r"(?:requirements/.*|pyproject\.toml|Makefile|\.ci/.*|.*\.sh|.*/install\.py|.*package(?:-lock)?\.json)"
)
SETTINGS = frozenset({".npmrc", ".yarnrc", ".yarnrc.yml", "pip.conf", "uv.toml"})
ALLOWED_OUTSIDE = {Path(".ci/run")}

PIN = re.compile(r"^[a-z0-9][a-z0-9._-]*==[0-9][0-9a-z.+!-]*(?: ; [^\\]+)?(?: \\)?$")
HASH = re.compile(r"^    --hash=sha256:[0-9a-f]{64}(?: \\)?$")


def _text(path: Path) -> str:
    return path.read_text(encoding="utf-8", errors="ignore")


def test_no_committed_file_names_a_folder_outside_the_repository() -> None:
    found = [
        str(path) for path in committed_files() if path not in ALLOWED_OUTSIDE and OUTSIDE.search(_text(ROOT / path))
    ]
    assert not found, f"only .ci/run may: {found}"


def test_nothing_that_installs_names_an_address() -> None:
    installing = [path for path in committed_files() if INSTALLING.fullmatch(path.as_posix())]
    assert {Path("Makefile"), Path("pyproject.toml"), Path("requirements/run.txt")} <= set(installing)
    found = [str(path) for path in installing if "://" in _text(ROOT / path)]
    assert not found, f"take the address out of {found}"


def test_no_settings_of_an_installer_are_committed() -> None:
    assert not [str(path) for path in committed_files() if path.name in SETTINGS]


@pytest.mark.parametrize("name", sorted(path.name for path in (ROOT / "requirements").glob("*.txt")))
def test_a_requirement_file_holds_names_versions_and_hashes_only(name: str) -> None:
    lines = (ROOT / "requirements" / name).read_text(encoding="utf-8").splitlines()
    found = [
        line for line in lines if line and not line.startswith("#") and not PIN.match(line) and not HASH.match(line)
    ]
    assert not found, f"requirements/{name} holds more: {found[:5]}"
    pinned = [index for index, line in enumerate(lines) if PIN.match(line)]
    unhashed = [lines[index] for index in pinned if index + 1 == len(lines) or not HASH.match(lines[index + 1])]
    assert pinned
    assert not unhashed, f"without a hash: {unhashed}"


def test_npm_lock_files_name_no_host() -> None:
    locks = [ROOT / path for path in committed_files() if path.name == "package-lock.json"]
    assert locks, "tests/clients has one"
    for lock in locks:
        packages = json.loads(lock.read_text(encoding="utf-8"))["packages"]
        assert not [name for name, entry in packages.items() if "resolved" in entry], f"{lock}: strip `resolved`"
        assert not [name for name, entry in packages.items() if name and "integrity" not in entry], (
            f"{lock}: no integrity"
        )


@pytest.mark.parametrize("line", ["--index-url x", "aiohttp>=3", "-f /somewhere", "aiohttp @ https://host/file.whl"])
def test_anything_else_in_a_requirement_file_is_found(line: str) -> None:
    assert not PIN.match(line)
    assert not HASH.match(line)
