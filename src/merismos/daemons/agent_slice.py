"""Where the agent's tasks are for a service manager: in a scope of their own, which the end of the agent's unit doesn't touch.

Rules: with `--systemd_enable_support`, on a machine that systemd runs, the supervisor is started in a scope below the slice of Mesos' name; systemd
itself makes it, so no cgroup of systemd's is written behind its back. Elsewhere the flag does nothing, and the log says so.
Errors: FlagError, with what to change.
Source: Mesos, docs/agent-recovery.md; systemd-run(1).
"""

from __future__ import annotations

import shutil
from collections.abc import Mapping
from pathlib import Path

import structlog

from merismos.shell.flags import FlagError, Flags

SLICE = "mesos_executors.slice"
_PROGRAM = "systemd-run"
_OPTIONS = (
    "--scope",
    "--quiet",
    "--collect",
    f"--slice={SLICE}",
    "--property=Delegate=yes",
    "--property=TasksMax=infinity",
)


def scope_of(flags: Flags, environment: Mapping[str, str]) -> tuple[str, ...]:
    """Return the words before the supervisor's command, none where it stays where the agent is."""
    if not flags.on("systemd_enable_support"):
        return ()
    runtime = flags.text("systemd_runtime_directory") or ""
    if not Path(runtime).is_dir():
        why = f"{runtime} isn't there, so systemd doesn't run this machine; tasks stay with the agent's cgroup"
        structlog.get_logger().warning("--systemd_enable_support does nothing here", why=why)
        return ()
    program = shutil.which(_PROGRAM, path=environment.get("PATH"))
    if program is None:
        raise FlagError(
            f"--systemd_enable_support needs {_PROGRAM}, which isn't on the PATH; add its folder, or leave it out"
        )
    return (program, *_OPTIONS, "--")
