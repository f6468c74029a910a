"""One process of a local cluster: started until it says its port, watched, stopped.

Rules: it has its own session, so that a Ctrl-C in the terminal reaches the cluster's process alone, which ends the others in order.
Its output goes to its log. Variables of Mesos and of another cluster don't reach it.
"""

from __future__ import annotations

import asyncio
import contextlib
import os
import signal
from pathlib import Path
from typing import Final

MARK: Final = "MERISMOS_UP"
IP: Final = "127.0.0.1"
_POLL_S: Final = 0.01
_LAST_LINES: Final = 5


class StartError(Exception):
    """A process ended before it was ready; the text has its last words."""


class Child:
    """A daemon, started with `--port_file`; started again, it listens where it did before, so that its clients find it.

    Errors: StartError out of `start`.
    """

    def __init__(self, name: str, argv: list[str], folder: Path, log: Path) -> None:
        self.name = name
        self._argv = argv
        self._folder = folder
        self._log = log
        self._port_file = folder / "port"
        self._process: asyncio.subprocess.Process | None = None
        self._port: int | None = None

    @property
    def address(self) -> str:
        """HOST:PORT, once it has listened."""
        assert self._port is not None, f"{self.name} never listened"
        return f"{IP}:{self._port}"

    @property
    def pid(self) -> int:
        """The process id of its latest start."""
        assert self._process is not None, f"{self.name} was never started"
        return self._process.pid

    @property
    def exit_code(self) -> int | None:
        """Its exit code, negative for a signal; None while it runs."""
        return None if self._process is None else self._process.returncode

    @property
    def has_ended(self) -> bool:
        """Whether it is over."""
        return self._process is None or self._process.returncode is not None

    async def start(self) -> int:
        """Start it; return its port once it listens."""
        self._port_file.unlink(missing_ok=True)
        with self._log.open("ab") as log:
            self._process = await asyncio.create_subprocess_exec(
                *self._command(),
                stdin=asyncio.subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                cwd=self._folder,
                env=environment(str(self._folder.parent)),
                start_new_session=True,
            )
        while True:
            port = await self._listens_at()
            if port is not None:
                self._port = port
                return port
            if self._process.returncode is not None:
                raise StartError(
                    f"{self.name} ended at once, with code {self._process.returncode}:\n{self.last_words()}"
                )
            await asyncio.sleep(_POLL_S)

    def _command(self) -> list[str]:
        again = [] if self._port is None else [f"--port={self._port}"]
        given = [flag for flag in self._argv if not (again and flag.startswith("--port="))]
        return [*given, *again, f"--port_file={self._port_file}"]

    async def _listens_at(self) -> int | None:
        """Return its port; None while it doesn't listen."""
        with contextlib.suppress(OSError, ValueError):
            return int(self._port_file.read_text())
        return None

    async def ended(self) -> int:
        """Wait for its end; return its exit code, negative for a signal."""
        assert self._process is not None, f"{self.name} was never started"
        return await self._process.wait()

    async def stop(self, patience_s: float, politely: signal.Signals = signal.SIGTERM) -> None:
        """End it: politely, and after a while by force."""
        process = self._process
        if process is None or process.returncode is not None:
            return
        for number in (politely, signal.SIGKILL):
            with contextlib.suppress(ProcessLookupError):
                process.send_signal(number)
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(patience_s):
                    await process.wait()
                    return

    def last_words(self) -> str:
        """Return the end of its log."""
        try:
            lines = self._log.read_text("utf-8", "replace").splitlines()
        except OSError:
            return "(it wrote no log)"
        return "\n".join(f"  {line}" for line in lines[-_LAST_LINES:]) or "(its log is empty)"


def environment(work_dir: str) -> dict[str, str]:
    """Return the environment of a cluster's processes: this one's, less what would change their flags, and the mark."""
    kept = {name: value for name, value in os.environ.items() if not name.startswith(("MESOS_", "MERISMOS_"))}
    return kept | {MARK: work_dir}
