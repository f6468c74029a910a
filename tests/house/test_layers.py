"""Imports point down only: the contracts of pyproject.toml hold."""

from __future__ import annotations

import subprocess
import sys

import pytest

from house.repository import ROOT

PURE = ("model", "protocol", "core", "ports")


@pytest.mark.timeout(120)
def test_the_layer_contracts_hold() -> None:
    program = "import sys; from importlinter.cli import lint_imports_command as c; sys.argv = ['lint-imports', '--no-cache']; c()"
    done = subprocess.run(
        [sys.executable, "-c", program], cwd=ROOT, capture_output=True, text=True, timeout=110, check=False
    )
    assert done.returncode == 0, f"{done.stdout}\n{done.stderr}"


@pytest.mark.parametrize("layer", PURE)
def test_the_pure_layers_load_without_any_machinery_of_the_world(layer: str) -> None:
    program = (
        "import sys, pkgutil, importlib\n"
        "bare = set(sys.modules)\n"
        f"import merismos.{layer} as top\n"
        "skipped = ('.generate',)\n"
        "for found in pkgutil.walk_packages(top.__path__, top.__name__ + '.'):\n"
        "    if not found.name.endswith(skipped): importlib.import_module(found.name)\n"
        "print(*sorted({'asyncio', 'aiohttp', 'httptools', 'uvloop', 'kazoo', 'structlog'} & (set(sys.modules) - bare)))\n"
    )
    done = subprocess.run(
        [sys.executable, "-c", program], cwd=ROOT, capture_output=True, text=True, timeout=30, check=False
    )
    assert done.returncode == 0, done.stderr
    assert not done.stdout.split(), f"importing merismos.{layer} loads {done.stdout}"
