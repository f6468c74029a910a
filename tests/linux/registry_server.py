"""A real registry (Debian's docker-registry) on loopback: plain, with basic authentication, with TLS.

Rules: nothing outlives its `with`; what it logged is part of a failure.
"""

from __future__ import annotations

import shutil
import signal
import socket
import subprocess
import time
from pathlib import Path
from types import TracebackType
from typing import Self

PROGRAM = "docker-registry"
READY_S_MAX = 30.0
NAME = "somebody"
PASSWORD = "a secret"
HTPASSWD = "somebody:$2b$05$I3GdHNzI7nE3FQMb9SK/4eVWvyuMqmzOsJbtWg1e2EmzNfCKUCVzW\n"  # bcrypt of PASSWORD


def why_not() -> str:
    """Return why no registry can be started here; empty where one can."""
    return "" if shutil.which(PROGRAM) else f"there is no {PROGRAM}: apt-get install docker-registry"


class RegistryServer:
    """One registry; `settings` are further lines of its configuration."""

    def __init__(self, folder: Path, settings: str = "", scheme: str = "http") -> None:
        with socket.create_server(("127.0.0.1", 0)) as probe:
            self.port = int(probe.getsockname()[1])
        self.host = f"127.0.0.1:{self.port}"
        self.url = f"{scheme}://{self.host}"
        self.log = folder / "registry.log"
        self.config = folder / "registry.yml"
        self.data = folder / "registry"
        self.process: subprocess.Popen[bytes] | None = None
        self.prefix: list[str] = []
        self.config.write_text(
            f"version: 0.1\nlog: {{level: info}}\nstorage: {{filesystem: {{rootdirectory: {self.data}}}}}\n"
            f"http:\n  addr: {self.host}\n" + settings,
            encoding="utf-8",
        )

    def __enter__(self) -> Self:
        with self.log.open("wb") as log:
            self.process = subprocess.Popen([*self.prefix, PROGRAM, "serve", str(self.config)], stdout=log, stderr=log)
        deadline = time.monotonic() + READY_S_MAX
        while not self._answers():
            assert self.process.poll() is None, f"the registry ended: {self.said()}"
            assert time.monotonic() < deadline, f"the registry does not answer: {self.said()}"
        return self

    def _answers(self) -> bool:
        try:
            with socket.create_connection(("127.0.0.1", self.port), timeout=1.0):
                return True
        except OSError:
            return False

    def said(self) -> str:
        return self.log.read_text(errors="replace")[-4000:]

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        assert self.process is not None
        self.process.send_signal(signal.SIGTERM)
        self.process.wait(READY_S_MAX)


def with_password(folder: Path) -> str:
    """Return settings under which everybody has to log in."""
    (folder / "htpasswd").write_text(HTPASSWD, encoding="utf-8")
    return f"auth:\n  htpasswd: {{realm: here, path: {folder / 'htpasswd'}}}\n"


def with_certificate(folder: Path) -> str:
    """Return settings under which it speaks TLS, with `folder/cert.pem`, which is nobody's but its own."""
    key, certificate = folder / "key.pem", folder / "cert.pem"
    command = [
        "openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes", "-days", "2",
        "-keyout", str(key), "-out", str(certificate), "-subj", "/CN=127.0.0.1", "-addext", "subjectAltName=IP:127.0.0.1",
    ]  # fmt: skip
    subprocess.run(command, check=True, capture_output=True, timeout=READY_S_MAX)
    return f"  tls: {{certificate: {certificate}, key: {key}}}\n"
