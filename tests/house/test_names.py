"""A module is named after what it does: never util, helper, common, misc, base or manager."""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator
from pathlib import Path

import pytest

from house.repository import GENERATED, PACKAGE, ROOT, TESTS, python_files

FORBIDDEN = re.compile(r"(?:^|_)(?:utils?|helpers?|commons?|misc|base|manager)(?:_|$)")
CLASS_WORD = re.compile(r"(?:Util|Helper|Common|Misc|Base|Manager)s?(?=[A-Z]|$)")


def _forbidden_classes(tree: ast.Module) -> Iterator[str]:
    return (node.name for node in ast.walk(tree) if isinstance(node, ast.ClassDef) and CLASS_WORD.search(node.name))


@pytest.mark.parametrize("folder", [PACKAGE, TESTS])
def test_no_module_or_folder_has_a_name_that_says_nothing(folder: Path) -> None:
    found = [
        str(path.relative_to(ROOT))
        for path in python_files(folder)
        if any(FORBIDDEN.search(part) for part in path.relative_to(folder).with_suffix("").parts)
    ]
    assert not found, f"rename after what they do: {found}"


def test_no_class_has_a_name_that_says_nothing() -> None:
    found = [
        f"{path.relative_to(ROOT)}: {name}"
        for path in python_files(PACKAGE)
        if not path.is_relative_to(GENERATED)
        for name in _forbidden_classes(ast.parse(path.read_text(encoding="utf-8")))
    ]
    assert not found, f"rename after what they are: {found}"


@pytest.mark.parametrize("name", ["util", "task_helper", "base_allocator", "misc", "manager"])
def test_such_a_name_is_found(name: str) -> None:
    assert FORBIDDEN.search(name)


@pytest.mark.parametrize("name", ["database", "commonwealth", "allocator", "baseline"])
def test_a_word_that_merely_contains_one_is_not(name: str) -> None:
    assert not FORBIDDEN.search(name)


def test_every_folder_of_the_package_is_a_package_and_says_what_it_is() -> None:
    folders = {path.parent for path in python_files(PACKAGE)}
    found = [
        str(folder.relative_to(ROOT))
        for folder in sorted(folders)
        if not (folder / "__init__.py").is_file()
        or ast.get_docstring(ast.parse((folder / "__init__.py").read_text(encoding="utf-8"))) is None
    ]
    assert not found, f"an __init__.py with a docstring is missing in {found}"


def test_every_module_says_its_rules_at_the_top() -> None:
    found = [
        str(path.relative_to(ROOT))
        for path in python_files(PACKAGE)
        if ast.get_docstring(ast.parse(path.read_text(encoding="utf-8"))) is None
    ]
    assert not found, f"a module docstring is missing in {found}"
