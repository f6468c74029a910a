"""What the README says is run as it is printed."""

from __future__ import annotations

import os
import re
import signal
import subprocess
import sys
import urllib.request
from pathlib import Path

import pytest

from house.repository import ROOT
from process.cli.commands import WAIT_S_MAX, Commands

pytestmark = [pytest.mark.process, pytest.mark.xdist_group("cli")]
README = (ROOT / "README.md").read_text(encoding="utf-8")


def block(heading: str, language: str) -> str:
    """Return the first code block of this language under a heading."""
    _, _, part = README.partition(f"\n## {heading}\n")
    found = re.search(rf"```{language}\n(.*?)```", part.partition("\n## ")[0], re.DOTALL)
    assert found is not None, f"README.md has no {language} block under {heading!r}"
    return found[1]


def lines() -> list[str]:
    """Return the ten lines, without what is said of them."""
    return [line.partition("  #")[0].strip() for line in block("Ten lines", "sh").splitlines()]


def beginning(start: str) -> str:
    """Return the one of the ten lines that begins so."""
    (line,) = [one for one in lines() if one.startswith(start)]
    return line


@pytest.fixture
def shell(merismos: Commands) -> Commands:
    """A shell in which `merismos` is the command of this tree."""
    merismos.environment["PATH"] = f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}"
    return merismos


def run(shell: Commands, line: str) -> subprocess.CompletedProcess[str]:
    """Run a line in a shell to its end."""
    return subprocess.run(
        ["sh", "-c", line], capture_output=True, text=True, timeout=WAIT_S_MAX, check=False, env=shell.environment
    )


def test_the_example_framework_runs_as_printed(shell: Commands, tmp_path: Path) -> None:
    printed = block("A framework in twenty lines", "python")
    docstring, _, code = (ROOT / "examples" / "hello_framework.py").read_text(encoding="utf-8").partition("\n\n")
    assert (docstring.startswith('"""'), code) == (True, printed)
    (tmp_path / "hello.py").write_text(printed, encoding="utf-8")
    ended = run(shell, f"{sys.executable} -W error {tmp_path / 'hello.py'}")
    assert ended.returncode == 0, ended
    told = [line.split()[:2] for line in ended.stdout.splitlines()]
    assert sum(state == "TASK_FINISHED" for _, state in told) == 5, ended
    assert {name.rpartition("-")[0] for name, _ in told} == {f"hello-{number}" for number in range(5)}


def test_the_first_lines_say_hello_and_why_a_task_waits(shell: Commands) -> None:
    hello = run(shell, beginning("merismos run -- sh"))
    assert (hello.returncode, hello.stdout) == (3, "hello\n"), hello
    words = beginning("merismos run --cpus 999").split()
    with shell.going(*words[1:]) as waiting:
        assert "999" in waiting.err("waiting: ")
        waiting.interrupt()
        assert waiting.ended() == 128 + signal.SIGINT


def test_the_lines_about_a_nap_do_what_is_said_of_them(shell: Commands) -> None:
    nap = run(shell, f"{beginning('merismos run --name nap')}\nuntil merismos ps | grep -q TASK_RUNNING; do :; done\n"
              f"{beginning('merismos ps')} && {beginning('merismos agents')} && {beginning('merismos why nap')} && "
              f"{beginning('merismos exec -it nap')} && {beginning('merismos kill nap')} && {beginning('merismos logs -f nap')}\n"
              "wait $!; echo the nap ended with $?")  # fmt: skip
    assert nap.returncode == 0, nap
    assert "nap-" in nap.stdout, nap
    assert "here" in nap.stdout, "the agents are listed"
    assert '"name": "nap"' in nap.stdout, "tasks are JSON"
    assert nap.stdout.endswith("the nap ended with 143\n"), nap


def test_the_last_line_opens_a_page_that_is_there(shell: Commands) -> None:
    url = beginning("python3 -m webbrowser").split()[-1]
    here = url.replace("127.0.0.1:5050", shell.environment["MERISMOS_MASTER"])
    assert here != url
    with urllib.request.urlopen(here, timeout=WAIT_S_MAX) as page:
        assert "<title>Merismos</title>" in page.read().decode()


def test_there_are_ten_lines_and_each_is_run_here() -> None:
    tested = (
        "merismos run -- sh", "merismos run --cpus 999", "merismos run --name nap", "merismos ps", "merismos agents",
        "merismos logs -f nap", "merismos why nap", "merismos kill nap", "merismos exec -it nap", "python3 -m webbrowser",
    )  # fmt: skip
    assert len(lines()) == 10
    assert all(line.startswith(tested) for line in lines())
