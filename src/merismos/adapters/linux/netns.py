"""Network namespaces that outlive whoever made them: a file each, on which the namespace is mounted.

Rules: what enters a namespace is a thread of its own that ends with its errand, so that nobody else is ever elsewhere. The directory
of the files is a mount of its own, so that a process with mounts of its own lets go of all namespaces by one word.
Errors: OSError.
"""

from __future__ import annotations

import ctypes
import fcntl
import os
import socket
import struct
import threading
from collections.abc import Callable
from pathlib import Path
from typing import NamedTuple, TypeVar

from merismos.adapters.linux.mounts import bind, bind_private, is_mounted, mounts_below, unmount

_CLONE_NEWNET = 0x40000000
_SIOCGIFFLAGS, _SIOCSIFFLAGS = 0x8913, 0x8914
_IFF_UP = 1
_REQUEST = struct.Struct("16sH14x")
_T = TypeVar("_T")


def open_directory(directory: Path) -> None:
    """Make the directory of namespaces, a mount of its own."""
    directory.mkdir(parents=True, exist_ok=True, mode=0o711)
    if not is_mounted(directory):
        bind_private(directory)


def close_directory(directory: Path) -> None:
    """Let go of every namespace in a directory, and of the mount."""
    unmount(directory)


def create(path: Path) -> None:
    """Make a namespace whose loopback interface is up; `path` becomes its file."""
    path.touch(mode=0o444)

    def work() -> None:
        if ctypes.CDLL(None, use_errno=True).unshare(_CLONE_NEWNET) != 0:
            raise OSError(ctypes.get_errno(), "cannot make a network namespace")
        with socket.socket(socket.AF_INET, socket.SOCK_DGRAM | socket.SOCK_CLOEXEC) as control:
            _, flags = _REQUEST.unpack(fcntl.ioctl(control, _SIOCGIFFLAGS, _REQUEST.pack(b"lo", 0)))
            fcntl.ioctl(control, _SIOCSIFFLAGS, _REQUEST.pack(b"lo", flags | _IFF_UP))
        fd = os.open("/proc/thread-self/ns/net", os.O_RDONLY | os.O_CLOEXEC)
        try:
            bind(fd, path)
        finally:
            os.close(fd)

    _in_a_thread(work)


def remove(path: Path) -> None:
    """Let go of a namespace: it ends with its last process."""
    unmount(path)
    path.unlink(missing_ok=True)


def find_all(directory: Path) -> list[str]:
    """Return the namespaces that are held in a directory."""
    return mounts_below(directory)


def socket_in(path: Path, family: int, kind: int, protocol: int = 0) -> socket.socket:
    """Return a socket of a namespace: it belongs there whoever uses it."""

    def work() -> socket.socket:
        _enter(path)
        return socket.socket(family, kind, protocol)

    return _in_a_thread(work)


class Traffic(NamedTuple):
    """What went through the interfaces of a namespace since it was made, its loopback interface apart."""

    rx_bytes: int = 0
    rx_packets: int = 0
    rx_errors: int = 0
    rx_dropped: int = 0
    tx_bytes: int = 0
    tx_packets: int = 0
    tx_errors: int = 0
    tx_dropped: int = 0


def traffic_in(path: Path) -> Traffic:
    """Return the traffic of a namespace."""

    def work() -> Traffic:
        _enter(path)
        counts = [0] * len(Traffic._fields)
        for line in Path("/proc/thread-self/net/dev").read_text(encoding="ascii").splitlines()[2:]:
            name, _, rest = line.partition(":")
            columns = [int(one) for one in rest.split()]
            if name.strip() != "lo":
                counts = [sum(pair) for pair in zip(counts, columns[0:4] + columns[8:12], strict=True)]
        return Traffic(*counts)

    return _in_a_thread(work)


def _enter(path: Path) -> None:
    fd = os.open(path, os.O_RDONLY | os.O_CLOEXEC)
    try:
        if ctypes.CDLL(None, use_errno=True).setns(fd, _CLONE_NEWNET) != 0:
            raise OSError(ctypes.get_errno(), f"cannot enter the network namespace {path}")
    finally:
        os.close(fd)


def _in_a_thread(work: Callable[[], _T]) -> _T:
    """Run something in a thread of its own, whose namespaces go with it."""
    found: list[_T] = []
    failed: list[OSError] = []

    def run() -> None:
        try:
            found.append(work())
        except OSError as error:
            failed.append(error)

    thread = threading.Thread(target=run, name="netns")
    thread.start()
    thread.join()
    if failed:
        raise failed[0]
    return found[0]
