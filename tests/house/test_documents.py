"""What the documents point at exists: files, records of decisions, make's targets, the commands of the README."""

from __future__ import annotations

import re
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

from house.repository import ROOT, committed_files

DECISIONS = ROOT / "docs" / "decisions"
LINK = re.compile(r"\]\((?!https?:|#)([^)#\s]+)")
DOCUMENTS = sorted(path for path in committed_files() if path.suffix == ".md" and path.parts[0] != "src")


def _make_targets(text: str) -> Iterator[str]:
    yield from re.findall(r"(?:^|`)make ([a-z]+)", text, flags=re.MULTILINE)


@pytest.mark.parametrize("document", DOCUMENTS, ids=str)
def test_every_relative_link_leads_somewhere(document: Path) -> None:
    text = (ROOT / document).read_text(encoding="utf-8")
    broken = [target for target in LINK.findall(text) if not (ROOT / document.parent / target).exists()]
    assert not broken, f"{document} points at {broken}"


@pytest.mark.parametrize("document", DOCUMENTS, ids=str)
def test_every_make_target_that_is_named_exists(document: Path) -> None:
    named = set(_make_targets((ROOT / document).read_text(encoding="utf-8")))
    rules = set(re.findall(r"^([a-z]+):", (ROOT / "Makefile").read_text(encoding="utf-8"), flags=re.MULTILINE))
    assert named <= rules, f"{document} names {named - rules}"


def test_every_decision_is_in_the_list_and_has_a_number_of_its_own() -> None:
    listed = (DECISIONS / "README.md").read_text(encoding="utf-8")
    records = sorted(path.name for path in DECISIONS.glob("[0-9]*.md"))
    assert records
    assert [name for name in records if f"({name})" not in listed] == []
    numbers = [name[:4] for name in records]
    assert len(set(numbers)) == len(numbers), f"two records have the same number: {numbers}"


def test_every_decision_says_context_choice_rejected_and_cost() -> None:
    found = {
        path.name: missing
        for path in sorted(DECISIONS.glob("[0-9]*.md"))
        if (
            missing := [
                part
                for part in ("## Context", "## Choice", "## Rejected", "## Cost")
                if part not in path.read_text(encoding="utf-8")
            ]
        )
    }
    assert not found, f"see docs/decisions/template.md: {found}"


def test_make_alone_says_what_there_is() -> None:
    done = subprocess.run(
        ["make", "--no-print-directory"], cwd=ROOT, capture_output=True, text=True, timeout=20, check=False
    )
    assert done.returncode == 0, done.stderr
    for target in ("up", "test", "check", "bench"):
        assert f"make {target}" in done.stdout
