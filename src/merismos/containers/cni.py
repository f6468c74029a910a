"""CNI's plugins as processes, and the files that say which networks there are.

Rules: a network is read from its file each time a container joins it, so that a file may come, change and go while the agent runs.
A plugin has a time in which to answer and a length for its answer; past either it is killed with what it started. It doesn't outlive
its agent, so that no interface comes up after an agent's end.
Errors: NetworkError, in words for the task.
"""

from __future__ import annotations

import asyncio
import contextlib
import os
import shutil
import signal
from pathlib import Path

import structlog

from merismos.core.containers import cni_format
from merismos.core.containers.cni_format import NetworkConfig
from merismos.model.rejection import Rejection

_ANSWER_BYTES_MAX = 1 << 20
_CONFIG_BYTES_MAX = 1 << 20
_AT_ONCE_MAX = 32
_SUFFIXES = (".conf", ".conflist", ".json")


class NetworkError(Exception):
    """A network can't be joined or left; the text says why."""


class CniNetworks:
    """The networks of a directory, by name."""

    def __init__(self, directory: Path) -> None:
        self.directory = directory
        self._paths: dict[str, Path] = {}
        self._told: dict[str, str] = {}

    def load(self) -> None:
        """Look for networks; a file that describes none is named, once."""
        paths: dict[str, Path] = {}
        for path in sorted(one for one in self.directory.iterdir() if one.suffix in _SUFFIXES):
            config = _read(path)
            if isinstance(config, Rejection):
                self._tell(path, f"it is left out: {config.message}")
            elif config.name in paths:
                self._tell(path, f"it is left out: {paths[config.name].name} has network '{config.name}' already")
            else:
                paths[config.name] = path
        self._paths = paths

    def find(self, name: str) -> NetworkConfig:
        """Return a network as its file says now; where none does, all files are looked at again.

        Errors: NetworkError.
        """
        for again in (False, True):
            if again:
                try:
                    self.load()
                except OSError as error:
                    raise NetworkError(f"the CNI networks can't be read: {error}") from error
            path = self._paths.get(name)
            config = None if path is None else _read(path)
            if isinstance(config, NetworkConfig) and config.name == name:
                return config
            if isinstance(config, Rejection) and again:
                raise NetworkError(f"CNI network '{name}', {path}: {config.message}")
        raise NetworkError(cni_format.describe_unknown(name, self._paths, str(self.directory)))

    def names(self) -> list[str]:
        """Return the networks that were found."""
        return list(self._paths)

    def _tell(self, path: Path, why: str) -> None:
        if self._told.get(path.name) != why:
            self._told[path.name] = why
            structlog.get_logger().warning("a CNI network can't be used", file=str(path), why=why)


def _read(path: Path) -> NetworkConfig | Rejection:
    try:
        with path.open("rb") as file:
            return cni_format.parse_config(file.read(_CONFIG_BYTES_MAX))
    except OSError as error:
        return Rejection("cni_config_unreadable", error.strerror or str(error))


class CniPlugins:
    """The programs of one or more directories."""

    def __init__(self, path: str, timeout_s: float) -> None:
        self._path = path
        self._timeout_s = timeout_s
        self._room = asyncio.Semaphore(_AT_ONCE_MAX)
        setpriv = shutil.which("setpriv")
        # an agent that is killed takes its plugins with it
        self._prefix = [] if setpriv is None else [setpriv, "--pdeathsig", "KILL", "--"]

    def find(self, kind: str) -> str:
        """Return the path of a plugin.

        Errors: NetworkError.
        """
        found = shutil.which(kind, path=self._path)
        if found is None:
            what = "on Debian: apt-get install containernetworking-plugins"
            raise NetworkError(f"there is no CNI plugin '{kind}' in --network_cni_plugins_dir={self._path}; {what}")
        return found

    async def run(
        self, command: str, kind: str, stdin: bytes, *, container_id: str, netns: Path, interface: str
    ) -> bytes:
        """Run a plugin to its good end, beside not too many others; return what it wrote.

        Errors: NetworkError.
        """
        program = self.find(kind)
        environment = {
            "PATH": os.environ.get("PATH", os.defpath),
            "CNI_COMMAND": command,
            "CNI_CONTAINERID": container_id,
            "CNI_NETNS": str(netns),
            "CNI_IFNAME": interface,
            "CNI_PATH": self._path,
        }
        async with self._room:
            process = await self._start(program, stdin, environment)
            try:
                async with asyncio.timeout(self._timeout_s):
                    answer, said = await asyncio.gather(_read_all(process.stdout), _read_all(process.stderr))
                    status = await process.wait()
            except BaseException as error:
                await _end(process)
                if isinstance(error, TimeoutError):
                    text = f"did not end within {self._timeout_s:g} s of {command}, and is killed"
                elif isinstance(error, _TooMuchError):
                    text = f"wrote more than {_ANSWER_BYTES_MAX} bytes, and is killed"
                else:
                    raise
                raise NetworkError(f"the CNI plugin '{kind}' {text}") from error
        if status != 0:
            why = cni_format.read_error(answer, said.decode(errors="replace"))
            raise NetworkError(f"the CNI plugin '{kind}' failed to {command}: {why}")
        return answer

    async def _start(self, program: str, stdin: bytes, environment: dict[str, str]) -> asyncio.subprocess.Process:
        fd = os.memfd_create("cni", os.MFD_CLOEXEC)  # a plugin that doesn't read keeps nobody waiting
        try:
            os.write(fd, stdin)
            os.lseek(fd, 0, os.SEEK_SET)
            return await asyncio.create_subprocess_exec(
                *self._prefix,
                program,
                stdin=fd,
                stdout=asyncio.subprocess.PIPE,
                stderr=asyncio.subprocess.PIPE,
                env=environment,
                start_new_session=True,
            )
        except OSError as error:
            raise NetworkError(f"the CNI plugin {program} can't be started: {error.strerror or error}") from error
        finally:
            os.close(fd)


class _TooMuchError(Exception):
    """A plugin writes without end."""


async def _read_all(stream: asyncio.StreamReader | None) -> bytes:
    assert stream is not None, "it is a pipe"
    pieces = bytearray()
    while piece := await stream.read(1 << 16):
        pieces += piece
        if len(pieces) > _ANSWER_BYTES_MAX:
            raise _TooMuchError
    return bytes(pieces)


async def _end(process: asyncio.subprocess.Process) -> None:
    """Kill a plugin and what it started."""
    with contextlib.suppress(ProcessLookupError):
        os.killpg(process.pid, signal.SIGKILL)
    await process.wait()
