"""Commands for tests: each a process of its own, as a person starts it.

Rules: no process outlives its `with` or call; every wait has a bound.
"""

from __future__ import annotations

import contextlib
import json
import os
import select
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from typing import IO, Any

WAIT_S_MAX = 30.0


class Ended:
    """What a command said, and its exit code."""

    def __init__(self, process: subprocess.CompletedProcess[str]) -> None:
        self.code = process.returncode
        self.out = process.stdout
        self.err = process.stderr

    def __repr__(self) -> str:
        return f"exit code {self.code}\n{self.out}\n{self.err}"

    def json(self) -> Any:  # noqa: ANN401 - JSON may be anything
        """Return the one JSON value on standard output."""
        assert self.code == 0, self
        return json.loads(self.out)

    def events(self) -> list[dict[str, Any]]:
        """Return the JSON objects on standard output, one a line."""
        return [json.loads(line) for line in self.out.splitlines()]


class Commands:
    """The commands of somebody who works with one master."""

    def __init__(self, master: str) -> None:
        self.environment = {
            **{name: value for name, value in os.environ.items() if not name.startswith(("MERISMOS_", "MESOS_"))},
            "MERISMOS_MASTER": master,
            "NO_COLOR": "1",
        }

    def __call__(self, *words: str, module: str = "merismos.cli") -> Ended:
        """Run a command to its end."""
        return Ended(
            subprocess.run(
                [sys.executable, "-m", module, *words],
                capture_output=True,
                text=True,
                timeout=WAIT_S_MAX,
                check=False,
                env=self.environment,
                stdin=subprocess.DEVNULL,
            )
        )

    @contextlib.contextmanager
    def going(self, *words: str) -> Iterator[Going]:
        """Have a command going on; whatever it does, it is over at the end."""
        process = subprocess.Popen(
            [sys.executable, "-m", "merismos.cli", *words],
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            env=self.environment,
        )
        try:
            yield Going(process)
        finally:
            if process.poll() is None:
                process.terminate()
                with contextlib.suppress(subprocess.TimeoutExpired):
                    process.wait(WAIT_S_MAX)
            process.kill()
            process.wait()
            for stream in (process.stdout, process.stderr):
                assert stream is not None
                stream.close()


class Going:
    """A command that goes on."""

    def __init__(self, process: subprocess.Popen[bytes]) -> None:
        self._process = process
        self.said = {"out": "", "err": ""}

    def out(self, text: str) -> str:
        """Wait until this is on its standard output; return all that is."""
        return self._read("out", text)

    def err(self, text: str) -> str:
        """Wait until this is on its standard error; return all that is."""
        return self._read("err", text)

    def interrupt(self, number: signal.Signals = signal.SIGINT) -> None:
        """Send a signal, as Ctrl-C does."""
        self._process.send_signal(number)

    def ended(self) -> int:
        """Wait for its end; return its exit code."""
        code = self._process.wait(WAIT_S_MAX)
        for name, stream in self._streams().items():
            self.said[name] += stream.read().decode()
        return code

    def _streams(self) -> dict[str, IO[bytes]]:
        assert self._process.stdout is not None
        assert self._process.stderr is not None
        return {"out": self._process.stdout, "err": self._process.stderr}

    def _read(self, name: str, text: str) -> str:
        deadline = time.monotonic() + WAIT_S_MAX
        stream = self._streams()[name]
        while text not in self.said[name]:
            ready, _, _ = select.select([stream], [], [], max(deadline - time.monotonic(), 0))
            data = os.read(stream.fileno(), 65536) if ready else b""
            assert data, f"{text!r} did not come within {WAIT_S_MAX} s: {self.said}"
            self.said[name] += data.decode()
        return self.said[name]
