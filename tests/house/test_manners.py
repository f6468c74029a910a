"""Tests wait for what they wait for, and look at the real thing: they never sleep and never patch. Code holds nothing unfinished."""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator

import pytest

from house.repository import GENERATED, PACKAGE, ROOT, TESTS, python_files

SLEEPS = {"time.sleep", "asyncio.sleep"}
SILENCED = re.compile(r"#\s*noqa")
REASON = re.compile(r"#\s*noqa: [A-Z0-9, ]+ - \S")
UNFINISHED = re.compile(r"\b(?:TODO|FIXME|XXX)\b|raise NotImplementedError")


def _zero(node: ast.Call) -> bool:
    return bool(node.args) and isinstance(node.args[0], ast.Constant) and node.args[0].value == 0


def _bad_manners(tree: ast.Module) -> Iterator[str]:
    for node in ast.walk(tree):
        match node:
            case ast.Call() if ast.unparse(node.func) in SLEEPS and not _zero(node):
                yield f"line {node.lineno} sleeps"
            case ast.ImportFrom(module="time" | "asyncio", names=names) if any(name.name == "sleep" for name in names):
                yield f"line {node.lineno} imports sleep"
            case ast.ImportFrom(module=str(module)) if module.split(".")[:2] == ["unittest", "mock"]:
                yield f"line {node.lineno} imports {module}"
            case ast.Import(names=names) if any(name.name == "unittest.mock" for name in names):
                yield f"line {node.lineno} imports unittest.mock"
            case ast.arg(arg="monkeypatch" | "mocker"):
                yield f"line {node.lineno} patches"


def test_no_test_sleeps_or_patches() -> None:
    found = [
        f"{path.relative_to(ROOT)}: {complaint}"
        for path in python_files(TESTS)
        for complaint in _bad_manners(ast.parse(path.read_text(encoding="utf-8")))
    ]
    assert not found, "wait on an event with a bound, or hand in a fake:\n" + "\n".join(found)


@pytest.mark.parametrize(
    "source",
    [
        "import time\ntime.sleep(1)",
        "async def f():\n    await asyncio.sleep(0.1)",
        "from time import sleep",
        "from unittest.mock import patch",
        "def test_x(monkeypatch): ...",
    ],
)
def test_bad_manners_are_found(source: str) -> None:
    assert list(_bad_manners(ast.parse(source)))


def test_giving_way_to_the_loop_is_no_sleep() -> None:
    assert not list(_bad_manners(ast.parse("async def f():\n    await asyncio.sleep(0)")))


def test_nothing_in_the_package_is_unfinished() -> None:
    found = [
        f"{path.relative_to(ROOT)}:{number}"
        for path in python_files(PACKAGE)
        for number, line in enumerate(path.read_text(encoding="utf-8").splitlines(), 1)
        if UNFINISHED.search(line)
    ]
    assert not found, f"finish it, or make it an issue: {found}"


def _without_reason(source: str) -> list[int]:
    """Return the lines that silence a rule and don't say why."""
    return [
        number
        for number, line in enumerate(source.splitlines(), 1)
        if SILENCED.search(line) and not REASON.search(line)
    ]


def test_who_silences_a_rule_says_why() -> None:
    found = [
        f"{path.relative_to(ROOT)}:{number}"
        for path in python_files()
        if GENERATED not in path.parents
        for number in _without_reason(path.read_text(encoding="utf-8"))
    ]
    assert not found, f"write the reason behind it, `noqa: RULE - reason`: {found}"


def test_a_rule_that_is_silenced_without_reason_is_found() -> None:
    mark = "# no" + "qa: S101"
    assert _without_reason(f"x = 1  {mark}\ny = 2  {mark} - it is one\n") == [1]
