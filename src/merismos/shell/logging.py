"""The log: one line of key-values an event, on standard error and, where asked for, in a file.

Rules: what asyncio, aiohttp and warnings have to say goes the same way. Colour only on a terminal and never under NO_COLOR.
"""

from __future__ import annotations

import errno
import logging
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import IO, Any

import structlog

LEVELS: Mapping[str, int] = {
    "INFO": logging.INFO,
    "WARNING": logging.WARNING,
    "ERROR": logging.ERROR,
    "DEBUG": logging.DEBUG,
}
_FULL = frozenset({errno.ENOSPC, errno.EDQUOT})


class Lines:
    """Writes finished lines to every stream; one that breaks is left out from then on, one on a full disk only until there is room."""

    def __init__(self, streams: list[IO[str]]) -> None:
        self._streams = streams

    def msg(self, line: str) -> None:
        """Write a line."""
        for stream in list(self._streams):
            try:
                stream.write(line + "\n")
                stream.flush()
            except (OSError, ValueError) as error:
                if not isinstance(error, OSError) or error.errno not in _FULL:
                    self._streams.remove(stream)

    debug = info = warning = error = critical = msg


class _Forward(logging.Handler):
    """Takes records of the standard library's loggers."""

    def emit(self, record: logging.LogRecord) -> None:
        log = structlog.get_logger()
        text = record.getMessage()
        if record.exc_info:
            text += " " + logging.Formatter().formatException(record.exc_info)
        log.log(max(record.levelno, logging.INFO), text, logger=record.name)


def configure(level: str, environment: Mapping[str, str], *, quiet: bool = False, file: Path | None = None) -> None:
    """Set the log up, once a process.

    Errors: OSError where the file can't be opened; ValueError for a level that isn't known.
    """
    if level not in LEVELS:
        raise ValueError(f"'{level}' is no logging level; take one of {', '.join(LEVELS)}")
    streams: list[IO[str]] = [] if quiet else [sys.stderr]
    if file is not None:
        streams.append(file.open("a", encoding="utf-8", buffering=1))
    colours = not quiet and file is None and sys.stderr.isatty() and not environment.get("NO_COLOR")
    renderer: Any = (
        structlog.dev.ConsoleRenderer(colors=True)
        if colours
        else structlog.processors.LogfmtRenderer(key_order=["timestamp", "level", "event"], bool_as_flag=False)
    )
    structlog.configure(
        processors=[
            structlog.processors.add_log_level,
            structlog.processors.TimeStamper(fmt="iso", utc=True),
            structlog.processors.format_exc_info,
            renderer,
        ],
        wrapper_class=structlog.make_filtering_bound_logger(LEVELS[level]),
        logger_factory=lambda *_: Lines(streams),
        cache_logger_on_first_use=False,
    )
    root = logging.getLogger()
    root.handlers[:] = [_Forward()]
    root.setLevel(logging.WARNING)
    logging.captureWarnings(True)


def set_level(level: int) -> None:
    """Change the least severity that is logged."""
    structlog.configure(wrapper_class=structlog.make_filtering_bound_logger(level))
