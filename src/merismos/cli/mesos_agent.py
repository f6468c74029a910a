"""The `mesos-agent` command: the agent, with Mesos' flags."""

from __future__ import annotations

import sys
from typing import NoReturn

from merismos.cli.__main__ import become_daemon


def main() -> NoReturn:
    """Become an agent."""
    become_daemon("agent", sys.argv[1:])
