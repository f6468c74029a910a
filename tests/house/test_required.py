"""Where REQUIRE_ALL is set, a skipped test is a failed test, however it was skipped."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from house.repository import TESTS

SKIPS = {
    "in_the_test": "import pytest\ndef test_it():\n    pytest.skip('no moon')\n",
    "by_a_mark": "import pytest\n@pytest.mark.skip(reason='no moon')\ndef test_it():\n    pass\n",
    "in_a_fixture": (
        "import pytest\n@pytest.fixture\ndef moon():\n    pytest.skip('no moon')\ndef test_it(moon):\n    pass\n"
    ),
    "a_whole_module": "import pytest\npytest.skip('no moon', allow_module_level=True)\n",
    "for_want_of_recordings": "def test_it(recordings):\n    pass\n",
}


def _outcome(folder: Path, sources: dict[str, str], required: str) -> tuple[int, str]:
    shutil.copy(TESTS / "conftest.py", folder / "conftest.py")
    (folder / "pytest.ini").write_text("[pytest]\n", encoding="utf-8")
    for name, source in sources.items():
        (folder / f"test_{name}.py").write_text(source, encoding="utf-8")
    kept = {name: value for name, value in os.environ.items() if name not in {"MERISMOS_RECORDINGS", "PYTEST_ADDOPTS"}}
    done = subprocess.run(
        [sys.executable, "-m", "pytest", "-q", "-rA", "-p", "no:cacheprovider", "--continue-on-collection-errors"],
        cwd=folder, env={**kept, "REQUIRE_ALL": required, "PYTEST_DISABLE_PLUGIN_AUTOLOAD": "1"},
        capture_output=True, text=True, timeout=50, check=False,
    )  # fmt: skip
    return done.returncode, done.stdout


def test_every_kind_of_skip_fails_where_all_are_required(tmp_path: Path) -> None:
    code, output = _outcome(tmp_path, SKIPS, "1")
    assert code != 0
    for kind in SKIPS:
        assert f"test_{kind}.py" in output
    assert output.count("was skipped, and REQUIRE_ALL lets no test be skipped") >= len(SKIPS), output
    assert output.splitlines()[-1].startswith("1 failed, 4 errors"), "four are skipped before the test itself begins"


@pytest.mark.parametrize("required", ["", "0"])
def test_a_skip_is_a_skip_elsewhere(tmp_path: Path, required: str) -> None:
    code, output = _outcome(tmp_path, {"in_the_test": SKIPS["in_the_test"]}, required)
    assert code == 0, output
    assert "1 skipped" in output


def test_an_expected_failure_is_no_skip(tmp_path: Path) -> None:
    source = "import pytest\n@pytest.mark.xfail(strict=True)\ndef test_it():\n    assert False\n"
    code, output = _outcome(tmp_path, {"expected": source}, "1")
    assert code == 0, output
