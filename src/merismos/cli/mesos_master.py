"""The `mesos-master` command: the master, with Mesos' flags."""

from __future__ import annotations

import sys
from typing import NoReturn

from merismos.cli.__main__ import become_daemon


def main() -> NoReturn:
    """Become a master."""
    become_daemon("master", sys.argv[1:])
