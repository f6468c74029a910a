"""What a daemon says to the service manager that started it: that it serves, and that it still does.

Rules: says nothing where nobody asked (no NOTIFY_SOCKET). The sign of life comes from the loop that serves, so one that hangs gives none, and is
started again. Who doesn't listen is no reason to stop.
Source: sd_notify(3), sd_watchdog_enabled(3).
"""

from __future__ import annotations

import asyncio
import contextlib
import os
import socket
from collections.abc import Mapping

_MICROS = 1e6
READY, ALIVE = "READY=1", "WATCHDOG=1"


def begin(environment: Mapping[str, str]) -> None:
    """Say that we serve, and from now on that we live, as often as asked for."""
    address = environment.get("NOTIFY_SOCKET", "")
    if not address:
        return
    tell(address, READY)
    limit = environment.get("WATCHDOG_USEC", "")
    for_us = environment.get("WATCHDOG_PID", str(os.getpid())) == str(os.getpid())
    if limit.isdecimal() and int(limit) and for_us:
        _live(asyncio.get_running_loop(), address, int(limit) / _MICROS / 2)


def _live(loop: asyncio.AbstractEventLoop, address: str, every_s: float) -> None:
    tell(address, ALIVE)
    loop.call_later(every_s, _live, loop, address, every_s)


def tell(address: str, state: str) -> None:
    """Send one line; an address that begins with @ is an abstract one."""
    name = "\0" + address[1:] if address.startswith("@") else address
    with contextlib.suppress(OSError), socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as speaker:
        speaker.setblocking(False)
        speaker.sendto(state.encode(), name)
