"""What Mesos' logrotate logger can be told, by a module's parameters and by a task's own environment.

Rules: names, defaults and limits are Mesos'. Of the options of logrotate, `rotate N` counts, and those that change nothing here are
passed over; without `rotate`, one rotated file stays, where logrotate keeps none.
Errors: ValueError, with what to change.
Source: Mesos, docs/logging.md.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Final, NamedTuple

from merismos.containers.log_rotation import LogBounds
from merismos.shell.quantities import parse_bytes

LOGROTATE: Final = "org_apache_mesos_LogrotateContainerLogger"
PREFIX: Final = "CONTAINER_LOGGER_"
BYTES_MAX: Final = 10 << 20
BYTES_MIN: Final = 4096
FILES_KEPT: Final = 1
FILES_KEPT_MAX: Final = 1000
STREAMS: Final = ("stdout", "stderr")
_KNOWN: Final = tuple(name for stream in STREAMS for name in (f"max_{stream}_size", f"logrotate_{stream}_options"))
_WITHOUT_EFFECT: Final = frozenset(
    {"environment_variable_prefix", "launcher_dir", "libprocess_num_worker_threads", "logrotate_path"}
)
_AS_IT_IS: Final = frozenset(
    {"copytruncate", "missingok", "nocompress", "nocreate", "nodateext", "noolddir", "notifempty"}
)


class LogSettings(NamedTuple):
    """How the two files of every container are rotated, and what in a task's environment changes that."""

    stdout: LogBounds
    stderr: LogBounds
    prefix: str = PREFIX

    def of_task(self, variables: Iterable[tuple[str, str]]) -> LogSettings:
        """Return the settings for a task with this environment."""
        mine = {name[len(self.prefix) :].lower(): value for name, value in variables if name.startswith(self.prefix)}
        return self.changed({name: value for name, value in mine.items() if name in _KNOWN})

    def changed(self, given: Mapping[str, str]) -> LogSettings:
        """Return the settings with what is given in the place of what was."""
        if not given:
            return self
        return self._replace(stdout=_bounds("stdout", self.stdout, given), stderr=_bounds("stderr", self.stderr, given))


def settings_of(parameters: Mapping[str, str]) -> LogSettings:
    """Return what a module's parameters say."""
    unknown = [name for name in parameters if name not in _KNOWN and name not in _WITHOUT_EFFECT]
    if unknown:
        raise ValueError(f"{LOGROTATE} has no parameter '{unknown[0]}'; it has {', '.join(_KNOWN)}")
    bounds = LogBounds(BYTES_MAX, FILES_KEPT)
    prefix = parameters.get("environment_variable_prefix", PREFIX)
    return LogSettings(bounds, bounds, prefix).changed(parameters)


def _bounds(stream: str, before: LogBounds, given: Mapping[str, str]) -> LogBounds:
    size, options = given.get(f"max_{stream}_size"), given.get(f"logrotate_{stream}_options")
    bytes_max = before.bytes_max if size is None else parse_bytes(size)
    if bytes_max < BYTES_MIN:
        raise ValueError(f"max_{stream}_size: expected at least {BYTES_MIN}B, not {size}")
    return LogBounds(bytes_max, before.files_kept if options is None else _files_kept(options))


def _files_kept(options: str) -> int:
    """Return how many rotated files logrotate's options want."""
    kept = FILES_KEPT
    for line in options.splitlines():
        name, *values = line.split() or [""]
        if name == "rotate" and len(values) == 1 and values[0].isdecimal() and int(values[0]) <= FILES_KEPT_MAX:
            kept = int(values[0])
        elif name and name not in _AS_IT_IS and name != "size":
            raise ValueError(
                f"logrotate's option '{line.strip()}' isn't supported; 'rotate N' is, N up to {FILES_KEPT_MAX}"
            )
    return kept
