"""What every daemon does to its process before it serves: refuse -O, raise limits, find its address and name, stop on signals."""

from __future__ import annotations

import asyncio
import contextlib
import gc
import os
import resource
import signal
import socket
from collections.abc import Callable, Coroutine
from pathlib import Path
from typing import TypeVar

import msgspec

EXIT_FAULT = 70  # EX_SOFTWARE: a bug of ours; the supervisor starts us again
EXIT_USAGE = 64  # EX_USAGE
EXIT_AGAIN = 75  # EX_TEMPFAIL: start us again
GC_THRESHOLDS = (2_000, 10, 5_000)  # young collections stay short, full ones (100 ms and more) nearly never come
LOOKUP_LIMIT_S = 2.0
T = TypeVar("T")


def refuse_optimisation() -> None:
    """Stop where assertions are off: they are how a bug shows itself before it does harm."""
    if not __debug__:
        raise SystemExit("Don't run with python -O or PYTHONOPTIMIZE: assertions guard the cluster's state")


def raise_file_limit() -> int:
    """Allow as many open files as the hard limit does, and return that number."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    if soft < hard:
        with contextlib.suppress(ValueError, OSError):
            resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))
    return resource.getrlimit(resource.RLIMIT_NOFILE)[0]


def tune_collector() -> None:
    """Leave what start-up made out of collections, and collect seldom: full collections stall a big master."""
    gc.collect()
    gc.freeze()
    gc.set_threshold(*GC_THRESHOLDS)


def outward_ip() -> str:
    """Return the address by which others most likely reach this machine; loopback where it has no network."""
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as probe:
        try:
            probe.connect(("192.0.2.1", 9))  # connects no one: it only asks the routing table
            return str(probe.getsockname()[0])
        except OSError:
            return "127.0.0.1"


async def hostname_of(ip: str) -> str:
    """Return the name of an address if it resolves to an address again, else the address."""
    try:
        async with asyncio.timeout(LOOKUP_LIMIT_S):
            name = (await asyncio.to_thread(socket.gethostbyaddr, ip))[0]
            await asyncio.to_thread(socket.gethostbyname, name)
    except (OSError, TimeoutError):
        return ip
    return name


def announce(kind: str, ip: str, port: int, port_file: str | None) -> None:
    """Say where we listen: a line of JSON on standard output, and the port in a file where asked for.

    Errors: OSError.
    """
    if port_file is not None:
        write_port(Path(port_file), port)
    place = {"daemon": kind, "url": f"http://{ip}:{port}", "ip": ip, "port": port, "pid": os.getpid()}
    with contextlib.suppress(OSError):
        os.write(1, msgspec.json.encode(place) + b"\n")


def write_port(path: Path, port: int) -> None:
    """Write the port into a file, whole or not at all; a pipe or a device is written to, never replaced.

    Errors: OSError.
    """
    text = f"{port}\n"
    if path.exists() and not path.is_file():
        path.write_text(text, encoding="utf-8")
        return
    partial = path.with_name(path.name + ".partial")
    partial.write_text(text, encoding="utf-8")
    partial.replace(path)


def on_signals(stop: Callable[[int], None]) -> None:
    """Stop in good order, with exit code 0, on SIGTERM and SIGINT."""
    loop = asyncio.get_running_loop()
    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, stop, 0)


def run(work: Coroutine[object, object, T]) -> T:
    """Run `work` on uvloop where it is installed, else on asyncio."""
    try:
        import uvloop  # noqa: PLC0415 - it is optional, and only a daemon wants it
    except ImportError:
        return asyncio.run(work)
    return uvloop.run(work)
