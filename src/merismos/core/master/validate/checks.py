"""What checks and health checks of a task must be."""

from __future__ import annotations

from typing import TYPE_CHECKING

from merismos.protocol.v1 import mesos

if TYPE_CHECKING:
    from collections.abc import Iterable


def fault_of_check(check: mesos.CheckInfo) -> str | None:
    """Return why a check can't run, None when it can."""
    kinds = mesos.CheckInfo_Type
    if check.type is None:
        return "CheckInfo must specify 'type'"
    if check.type is kinds.UNKNOWN:
        return "'UNKNOWN' is not a valid check type"
    present = {kinds.COMMAND: check.command, kinds.HTTP: check.http, kinds.TCP: check.tcp}
    for kind, body in present.items():
        if (body is not None) != (check.type is kind):
            return _mismatch(kind, body is not None, "check")
    if check.command is not None and check.command.command.value is None:
        return "Command check must contain a shell command or an executable"
    port = check.http.port if check.http is not None else None if check.tcp is None else check.tcp.port
    return (
        _fault_of_path(None if check.http is None else check.http.path, "HTTP check")
        or _fault_of_port(port)
        or _fault_of_times(
            (
                ("delay_seconds", check.delay_seconds),
                ("interval_seconds", check.interval_seconds),
                ("timeout_seconds", check.timeout_seconds),
            )
        )
    )


def fault_of_health_check(check: mesos.HealthCheck) -> str | None:
    """Return why a health check can't run, None when it can."""
    kinds = mesos.HealthCheck_Type
    if check.type is None:
        return "HealthCheck must specify 'type'"
    if check.type is kinds.UNKNOWN:
        return "'UNKNOWN' is not a valid health check type"
    present = {kinds.COMMAND: check.command, kinds.HTTP: check.http, kinds.TCP: check.tcp}
    for kind, body in present.items():
        if (body is not None) != (check.type is kind):
            return _mismatch(kind, body is not None, "health check")
    if check.command is not None and check.command.value is None:
        return "Command health check must contain a shell command or an executable"
    scheme = None if check.http is None else check.http.scheme
    if scheme not in {None, "http", "https"}:
        return f"Unsupported HTTP health check scheme: '{scheme}'"
    port = check.http.port if check.http is not None else None if check.tcp is None else check.tcp.port
    return (
        _fault_of_path(None if check.http is None else check.http.path, "HTTP health check")
        or _fault_of_port(port)
        or _fault_of_times(
            (
                ("delay_seconds", check.delay_seconds),
                ("grace_period_seconds", check.grace_period_seconds),
                ("interval_seconds", check.interval_seconds),
                ("timeout_seconds", check.timeout_seconds),
            )
        )
    )


def _mismatch(kind: str, present: bool, what: str) -> str:  # noqa: FBT001 - the sentence turns on it
    if present:
        return f"'{kind.lower()}' must not be set for a {what} of another type"
    return f"Expecting '{kind.lower()}' to be set for {kind} {what}"


def _fault_of_path(path: str | None, what: str) -> str | None:
    if path is None or path.startswith("/"):
        return None
    return f"The path '{path}' of {what} must start with '/'"


def _fault_of_port(port: int | None) -> str | None:
    if port is None or 0 < port <= 0xFFFF:  # noqa: PLR2004 - the last TCP port
        return None
    return f"The port {port} must be between 1 and 65535"


def _fault_of_times(times: Iterable[tuple[str, float]]) -> str | None:
    for name, value in times:
        if not value >= 0:
            return f"Expecting '{name}' to be non-negative"
    return None
