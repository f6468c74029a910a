"""What aiohttp's servers write into the log.

Rules: a client that left or sent nonsense is its own affair: it has its answer, and no traceback of it fills our log. What is left is
a bug of ours.
"""

from __future__ import annotations

import logging
from typing import Final

from aiohttp.http_exceptions import HttpProcessingError

_THEIRS: Final = (ConnectionError, HttpProcessingError)


def is_ours(record: logging.LogRecord) -> bool:
    """Say whether a record is about anything but a client's departure or mistake."""
    return not (record.exc_info and isinstance(record.exc_info[1], _THEIRS))


def server_logger() -> logging.Logger:
    """Return the logger for a server."""
    logger = logging.getLogger("aiohttp.server.merismos")
    if is_ours not in logger.filters:
        logger.addFilter(is_ours)
    return logger
