"""Where things are in this repository, for the tests that look at the repository itself."""

from __future__ import annotations

import subprocess
from collections.abc import Iterator
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
PACKAGE = ROOT / "src" / "merismos"
TESTS = ROOT / "tests"
GENERATED = PACKAGE / "protocol" / "v1"
FOREIGN = {"node_modules", "__pycache__", ".venv"}


def python_files(*folders: Path) -> Iterator[Path]:
    """Yield our Python files under the folders, all of them by default."""
    for folder in folders or (PACKAGE, TESTS, ROOT / "benchmarks"):
        yield from (path for path in sorted(folder.rglob("*.py")) if not FOREIGN.intersection(path.parts))


def committed_files() -> list[Path]:
    """Return what git holds or would hold, as paths relative to the root; without git, every file that isn't made here."""
    listed = subprocess.run(
        ["git", "ls-files", "-z", "--cached", "--others", "--exclude-standard"],
        cwd=ROOT, capture_output=True, text=True, timeout=30, check=False,
    )  # fmt: skip
    if listed.returncode == 0:
        names = [Path(name) for name in listed.stdout.split("\0") if name]
        return [name for name in names if (ROOT / name).is_file()]
    made = FOREIGN | {".git", "var", "build", "dist", ".mypy_cache", ".ruff_cache", ".pytest_cache", ".hypothesis"}
    return [path.relative_to(ROOT) for path in ROOT.rglob("*") if path.is_file() and not made.intersection(path.parts)]
