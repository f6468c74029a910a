"""A file stays under 600 lines and a function under 70; past that, it is two things."""

from __future__ import annotations

import ast
from collections.abc import Iterator
from pathlib import Path

from house.repository import ROOT, python_files

FILE_LINES_MAX = 600
FUNCTION_LINES_MAX = 70


def _too_long_functions(tree: ast.Module) -> Iterator[tuple[str, int]]:
    for node in ast.walk(tree):
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
            lines = (node.end_lineno or node.lineno) - node.lineno + 1
            if lines > FUNCTION_LINES_MAX:
                yield node.name, lines


def _too_long(path: Path) -> Iterator[str]:
    text = path.read_text(encoding="utf-8")
    lines = text.count("\n")
    name = path.relative_to(ROOT)
    if lines > FILE_LINES_MAX:
        yield f"{name}: {lines} lines; at most {FILE_LINES_MAX}"
    for function, length in _too_long_functions(ast.parse(text)):
        yield f"{name}: {function}() has {length} lines; at most {FUNCTION_LINES_MAX}"


def test_no_file_is_longer_than_600_lines_and_no_function_longer_than_70() -> None:
    found = [complaint for path in python_files() for complaint in _too_long(path)]
    assert not found, "split these:\n" + "\n".join(found)


def test_a_function_of_71_lines_is_found() -> None:
    source = "def long():\n" + "    pass\n" * FUNCTION_LINES_MAX
    assert list(_too_long_functions(ast.parse(source))) == [("long", FUNCTION_LINES_MAX + 1)]
