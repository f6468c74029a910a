"""Device access of cgroups of version 2, by programs that are attached to them.

Rules: a program outlives who attached it, until its cgroup goes. Where one takes another's place the new one is attached first, so that what is
allowed between is what both allow: never more than before or after. A cgroup below may only narrow what those above it allow.
Errors: OSError, where the kernel refuses.
Source: bpf(2); the kernel's include/uapi/linux/bpf.h.
"""

from __future__ import annotations

import ctypes
import errno
import os
import platform
import sys
from typing import TYPE_CHECKING

from merismos.core.containers.device_program import assemble

if TYPE_CHECKING:
    from collections.abc import Sequence

_CALL_NUMBERS = {"x86_64": 321, "aarch64": 280, "riscv64": 280, "ppc64le": 361}
_LOAD, _ATTACH, _DETACH, _FD_BY_ID, _QUERY = 5, 8, 9, 13, 16
_TYPE = 15  # BPF_PROG_TYPE_CGROUP_DEVICE
_WHERE = 6  # BPF_CGROUP_DEVICE
_MULTI = 2
_PROGRAMS_MAX = 64
_INSTRUCTION_BYTES = 8


class _Load(ctypes.Structure):
    _fields_ = (
        ("kind", ctypes.c_uint32),
        ("instructions", ctypes.c_uint32),
        ("code", ctypes.c_uint64),
        ("license", ctypes.c_uint64),
        ("log_level", ctypes.c_uint32),
        ("log_size", ctypes.c_uint32),
        ("log", ctypes.c_uint64),
        ("kernel", ctypes.c_uint32),
        ("flags", ctypes.c_uint32),
        ("name", ctypes.c_char * 16),
    )


class _Attach(ctypes.Structure):
    _fields_ = (
        ("target", ctypes.c_uint32),
        ("program", ctypes.c_uint32),
        ("where", ctypes.c_uint32),
        ("flags", ctypes.c_uint32),
    )


class _Query(ctypes.Structure):
    _fields_ = (
        ("target", ctypes.c_uint32),
        ("where", ctypes.c_uint32),
        ("query_flags", ctypes.c_uint32),
        ("attach_flags", ctypes.c_uint32),
        ("ids", ctypes.c_uint64),
        ("count", ctypes.c_uint32),
        ("padding", ctypes.c_uint32),
    )


class _ById(ctypes.Structure):
    _fields_ = (("id", ctypes.c_uint32), ("next", ctypes.c_uint32), ("flags", ctypes.c_uint32))


def obstacle() -> str | None:
    """Ask the kernel for such a program; return what keeps us from having one, None where nothing does."""
    if sys.byteorder != "little" or platform.machine() not in _CALL_NUMBERS:
        return f"programs for devices are not made for {platform.machine()} yet; leave it out"
    try:
        os.close(_load([]))
    except OSError as error:
        if error.errno in {errno.EPERM, errno.EACCES}:
            return "a program that decides about devices needs root (CAP_BPF and CAP_NET_ADMIN): run the agent as root"
        what = "it needs one with CONFIG_BPF_SYSCALL and CONFIG_CGROUP_BPF"
        return f"the kernel takes no program that decides about devices ({error.strerror}); {what}"
    return None


def allow(folder: str, entries: Sequence[str]) -> None:
    """Let what is in a cgroup use these devices and no others.

    Errors: OSError that names the cgroup.
    """
    try:
        program = _load(entries)
        try:
            _give(folder, program)
        finally:
            os.close(program)
    except OSError as error:
        raise OSError(error.errno, f"cannot limit the devices of {folder}: {error.strerror}") from error


def _give(folder: str, program: int) -> None:
    cgroup = os.open(folder, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        before = _attached(cgroup)
        _bpf(_ATTACH, _Attach(cgroup, program, _WHERE, _MULTI))
        for number in before:
            old = _bpf(_FD_BY_ID, _ById(number))
            try:
                _bpf(_DETACH, _Attach(cgroup, old, _WHERE))
            finally:
                os.close(old)
    finally:
        os.close(cgroup)


def _attached(cgroup: int) -> list[int]:
    """Return the ids of the programs of a cgroup, those of its parents apart."""
    ids = (ctypes.c_uint32 * _PROGRAMS_MAX)()
    query = _Query(cgroup, _WHERE, ids=ctypes.addressof(ids), count=_PROGRAMS_MAX)
    _bpf(_QUERY, query)
    return list(ids[: query.count])


def _load(entries: Sequence[str]) -> int:
    code = assemble(entries)
    text, terms = ctypes.create_string_buffer(code, len(code)), ctypes.create_string_buffer(b"Apache-2.0")
    load = _Load(
        kind=_TYPE,
        instructions=len(code) // _INSTRUCTION_BYTES,
        code=ctypes.addressof(text),
        license=ctypes.addressof(terms),
        name=b"merismos_device",
    )
    return _bpf(_LOAD, load)


def _bpf(command: int, attributes: ctypes.Structure) -> int:
    libc = ctypes.CDLL(None, use_errno=True)
    number = ctypes.c_long(_CALL_NUMBERS[platform.machine()])
    result: int = libc.syscall(number, command, ctypes.byref(attributes), ctypes.sizeof(attributes))
    if result < 0:
        code = ctypes.get_errno()
        raise OSError(code, os.strerror(code))
    return result
