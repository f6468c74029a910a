"""A command starts fast: it imports nothing heavy. Every client command is run in a process of its own, with no master there."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from merismos.cli.arguments import COMMANDS

CLIENTS = (
    ("version",),
    ("ps", "-a"),
    ("agents",),
    ("frameworks",),
    ("roles",),
    ("logs", "-f", "t"),
    ("kill", "t"),
    ("drain", "S0"),
    ("why", "t"),
    ("doctor",),
    ("completion", "bash"),
    ("run", "--", "true"),
    ("down",),
    ("chaos", "kill", "leader"),
    ("exec", "t", "true"),
)
HEAVY = {"aiohttp", "kazoo", "google.protobuf"}
PROGRAM = """
import sys
from merismos.cli.__main__ import main
code = main(sys.argv[1:])
sys.stderr.write("\\n" + " ".join(sys.modules))
sys.exit(code)
"""
BECOME_OTHERS = {"up", "master", "agent"}  # replace themselves by a daemon


@pytest.mark.parametrize("command", CLIENTS, ids=lambda command: command[0])
def test_a_command_imports_no_aiohttp_kazoo_or_protobuf(command: tuple[str, ...], tmp_path: Path) -> None:
    argv = [sys.executable, "-c", PROGRAM, "--master", "127.0.0.1:1", *command]
    environment = os.environ | {"MERISMOS_STATE_DIR": str(tmp_path)}
    ended = subprocess.run(argv, capture_output=True, text=True, timeout=50, check=False, env=environment)
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


def test_where_none_of_several_masters_leads_run_gives_up_and_names_them() -> None:
    argv = [sys.executable, "-m", "merismos.cli", "--master", "127.0.0.1:1,127.0.0.1:2", "run", "--", "true"]
    ended = subprocess.run(argv, capture_output=True, text=True, timeout=50, check=False)
    assert ended.returncode == 125
    assert "no master took the framework within 10 s" in ended.stderr


def test_no_command_is_left_out() -> None:
    assert {command[0] for command in CLIENTS} | BECOME_OTHERS == set(COMMANDS)


@pytest.mark.parametrize("module", ["cli.commands.up", "cli.mesos_execute", "daemons.local", "sdk.framework"])
def test_what_stands_behind_a_command_imports_no_aiohttp_kazoo_or_protobuf(module: str) -> None:
    assert not imported_by(f"merismos.{module}") & HEAVY


@pytest.mark.parametrize("daemon", ["master", "agent"])
def test_a_daemon_without_zk_imports_no_kazoo(daemon: str) -> None:
    assert "kazoo" not in imported_by(f"merismos.daemons.{daemon}")


def imported_by(module: str) -> set[str]:
    """Return all modules that are there once a fresh Python has imported this one."""
    program = f"import sys, {module}; print(*sys.modules)"
    ended = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, timeout=50, check=True)
    found = set(ended.stdout.split())
    assert module in found
    return found
