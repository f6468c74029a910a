"""Removes what a container left, closed directories included.

Rules: nothing that runs may still write there. A directory that its owner has closed to himself is opened again first; no link is followed.
Errors: OSError where something stays.
"""

from __future__ import annotations

import os
import shutil
from pathlib import Path

_OPEN = 0o700


def remove_tree(directory: Path) -> None:
    """Delete a directory and all that is in it."""
    shutil.rmtree(directory, ignore_errors=True)
    if os.path.lexists(directory):
        _open_all(directory)
        shutil.rmtree(directory)


def _open_all(directory: Path) -> None:
    directory.chmod(_OPEN)
    for found, names, _ in os.walk(directory):
        for name in names:
            path = Path(found, name)
            if not path.is_symlink():
                path.chmod(_OPEN)
