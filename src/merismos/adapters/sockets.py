"""What every long-lived TCP connection of ours wants from its socket."""

from __future__ import annotations

import contextlib
import socket
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import asyncio

QUIET_S = 15


def notice_dead_peer(transport: asyncio.BaseTransport, unread_s: int) -> None:
    """Let the connection break soon after its peer vanished without a word.

    Units: `unread_s` is how long the peer may leave what was sent unacknowledged, or its full buffers unread.
    """
    connection = transport.get_extra_info("socket")
    if connection is None:
        return
    with contextlib.suppress(OSError):  # a Unix socket, or one that is closed already
        connection.setsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE, 1)
        for name, value in (
            ("TCP_KEEPIDLE", QUIET_S),
            ("TCP_KEEPINTVL", QUIET_S),
            ("TCP_USER_TIMEOUT", unread_s * 1000),
        ):
            option = getattr(socket, name, None)  # not every system has all three
            if option is not None:
                connection.setsockopt(socket.IPPROTO_TCP, option, value)
