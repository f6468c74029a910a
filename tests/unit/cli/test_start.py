"""A command starts fast: it imports nothing heavy. Every client command is run in a process of its own, with no master there."""

from __future__ import annotations

import subprocess
import sys
import time

import pytest

CLIENTS = (
    ("version",),
    ("ps", "-a"),
    ("agents",),
    ("frameworks",),
    ("roles",),
    ("logs", "-f", "t"),
    ("kill", "t"),
    ("why", "t"),
    ("doctor",),
    ("completion", "bash"),
    ("run", "--", "true"),
)
HEAVY = {"aiohttp", "kazoo", "google.protobuf"}
PROGRAM = """
import sys
from merismos.cli.__main__ import main
code = main(sys.argv[1:])
sys.stderr.write("\\n" + " ".join(sys.modules))
sys.exit(code)
"""
START_S_MAX = 0.2
TRIES = 20


@pytest.mark.parametrize("command", CLIENTS, ids=lambda command: command[0])
def test_a_command_imports_no_aiohttp_kazoo_or_protobuf(command: tuple[str, ...]) -> None:
    argv = [sys.executable, "-c", PROGRAM, "--master", "127.0.0.1:1", *command]
    ended = subprocess.run(argv, capture_output=True, text=True, timeout=50, check=False)
    modules = set(ended.stderr.rpartition("\n")[2].split())
    assert "merismos.cli.arguments" in modules
    assert not modules & HEAVY


@pytest.mark.parametrize("command", [("run", "--", "true"), ("ps",)])
def test_without_a_master_a_command_says_what_to_do(command: tuple[str, ...]) -> None:
    argv = [sys.executable, "-m", "merismos.cli", "--master", "127.0.0.1:1", *command]
    ended = subprocess.run(argv, capture_output=True, text=True, timeout=50, check=False)
    assert ended.returncode == (125 if command[0] == "run" else 1)
    assert "no master answers at 127.0.0.1:1" in ended.stderr
    assert "merismos up" in ended.stderr
    assert "Traceback" not in ended.stderr


@pytest.mark.parametrize("command", [("ps",), ("version",), ("run", "--help")], ids=lambda command: command[0])
def test_a_command_starts_in_under_200_ms(command: tuple[str, ...]) -> None:
    argv = [sys.executable, "-m", "merismos.cli", "--master", "127.0.0.1:1", *command]
    fastest_s = float("inf")
    for _ in range(TRIES):
        began = time.perf_counter()
        subprocess.run(argv, capture_output=True, timeout=50, check=False)
        fastest_s = min(fastest_s, time.perf_counter() - began)
        if fastest_s < START_S_MAX:
            break
    assert fastest_s < START_S_MAX
