"""Filters of system calls: from rules to the kernel's program by libseccomp, and to a file that takes the program on and becomes another one.

Rules: the file is a whole program of a few dozen machine instructions with the filter as its data: it sets no_new_privs, takes the filter on, closes the
descriptor that it was started by and executes its first argument with the rest. So a filter costs a task one more exec, no process, no compiler
and no interpreter. It is written for x86_64; elsewhere there is none, and that is said.
Source: seccomp(2), the ELF specification, libseccomp's seccomp.h.
"""

from __future__ import annotations

import ctypes
import functools
import os
import platform
import struct
from typing import Any

LOADER_FD = 9
_MACHINE = "x86_64"
_LIBRARY = "libseccomp.so.2"
_ACTIONS = {
    "SCMP_ACT_KILL": 0x00000000,
    "SCMP_ACT_KILL_THREAD": 0x00000000,
    "SCMP_ACT_KILL_PROCESS": 0x80000000,
    "SCMP_ACT_TRAP": 0x00030000,
    "SCMP_ACT_ERRNO": 0x00050000,
    "SCMP_ACT_TRACE": 0x7FF00000,
    "SCMP_ACT_LOG": 0x7FFC0000,
    "SCMP_ACT_ALLOW": 0x7FFF0000,
}
_WITH_NUMBER = ("SCMP_ACT_ERRNO", "SCMP_ACT_TRACE")
_OPERATORS = {
    "SCMP_CMP_NE": 1,
    "SCMP_CMP_LT": 2,
    "SCMP_CMP_LE": 3,
    "SCMP_CMP_EQ": 4,
    "SCMP_CMP_GE": 5,
    "SCMP_CMP_GT": 6,
    "SCMP_CMP_MASKED_EQ": 7,
}
_EPERM = 1
_EEXIST = 17
_UNKNOWN_CALL = -1
_BASE = 0x400000
_HEADERS = 64 + 2 * 56
_LENGTH_BYTES = 8
_INSTRUCTIONS_MAX = 4096


class FilterError(Exception):
    """No filter can be made; the text says why."""


class _Comparison(ctypes.Structure):
    _fields_ = (
        ("arg", ctypes.c_uint),
        ("op", ctypes.c_int),
        ("datum_a", ctypes.c_uint64),
        ("datum_b", ctypes.c_uint64),
    )


def obstacle(machine: str = platform.machine(), library: str = _LIBRARY) -> str | None:
    """Return why containers without an image can't have filters here, and what to do; None where they can."""
    if machine != _MACHINE:
        return f"containers without an image have filters on {_MACHINE} only, and this is {machine}"
    try:
        ctypes.CDLL(library)
    except OSError:
        return "there is no libseccomp on this machine; apt-get install libseccomp2"
    if not os.path.exists("/proc/sys/kernel/seccomp"):  # noqa: PTH110 - one system call
        return "the kernel has no filters of system calls; it needs one with CONFIG_SECCOMP_FILTER"
    return None


def compile_rules(rules: dict[str, Any]) -> bytes:
    """Return the kernel's program for rules, as `linux.seccomp` of the OCI runtime specification has them.

    Errors: FilterError.
    """
    library = _library()
    context = library.seccomp_init(_action(rules["defaultAction"], rules.get("defaultErrnoRet")))
    if not context:
        raise FilterError("libseccomp doesn't know the default action")
    try:
        for architecture in rules["architectures"]:
            token = library.seccomp_arch_resolve_name(_architecture(architecture))
            code = -library.seccomp_arch_add(context, token) if token else _EPERM
            if code not in {0, _EEXIST}:
                raise FilterError(f"libseccomp has no {architecture} here")
        default = _action(rules["defaultAction"], rules.get("defaultErrnoRet"))
        for rule in rules["syscalls"]:
            action = _action(rule["action"], rule.get("errnoRet"))
            if action != default:
                _add(library, context, action, rule)
        return _export(library, context)
    finally:
        library.seccomp_release(context)


def loader_of(program: bytes) -> bytes:
    """Return the file that takes a filter on and becomes what its arguments say."""
    assert len(program) % 8 == 0
    assert len(program) // 8 <= _INSTRUCTIONS_MAX, "the kernel takes no more"
    code = b"".join(
        (
            b"\xb8\x9d\x00\x00\x00",  # mov eax, 157: prctl
            b"\xbf\x26\x00\x00\x00",  # mov edi, 38: PR_SET_NO_NEW_PRIVS
            b"\xbe\x01\x00\x00\x00",  # mov esi, 1
            b"\x31\xd2\x45\x31\xd2\x45\x31\xc0",  # xor edx, edx; xor r10d, r10d; xor r8d, r8d
            b"\x0f\x05",  # syscall
            b"\xb8\x03\x00\x00\x00",  # mov eax, 3: close
            b"\xbf" + struct.pack("<I", LOADER_FD),  # mov edi, the descriptor
            b"\x0f\x05",  # syscall
            b"\xb8\x9d\x00\x00\x00",  # mov eax, 157: prctl
            b"\xbf\x16\x00\x00\x00",  # mov edi, 22: PR_SET_SECCOMP
            b"\xbe\x02\x00\x00\x00",  # mov esi, 2: SECCOMP_MODE_FILTER
            b"\xba%b",  # mov edx, the address of the program's length and address
            b"\x0f\x05",  # syscall
            b"\x85\xc0\x75\x18",  # test eax, eax; jnz to the end
            b"\x48\x8b\x04\x24",  # mov rax, [rsp]: argc
            b"\x48\x8b\x7c\x24\x10",  # mov rdi, [rsp+16]: argv[1]
            b"\x48\x8d\x74\x24\x10",  # lea rsi, [rsp+16]: argv + 1
            b"\x48\x8d\x54\xc4\x10",  # lea rdx, [rsp+rax*8+16]: the environment
            b"\x6a\x3b\x58",  # push 59; pop rax: execve
            b"\x0f\x05",  # syscall
            b"\xb8\xe7\x00\x00\x00",  # mov eax, 231: exit_group
            b"\xbf\x7e\x00\x00\x00",  # mov edi, 126
            b"\x0f\x05",  # syscall
        )
    )
    at = _BASE + _HEADERS + len(code) - len(b"%b") + 4
    at += -at % 8
    whole = code.replace(b"%b", struct.pack("<I", at))
    padding = bytes(at - _BASE - _HEADERS - len(whole))
    data = struct.pack("<HxxxxxxQ", len(program) // 8, at + 16) + program
    size = _HEADERS + len(whole) + len(padding) + len(data)
    header = struct.pack(
        "<4sBBBBB7xHHIQQQIHHHHHH",
        b"\x7fELF", 2, 1, 1, 0, 0, 2, 62, 1, _BASE + _HEADERS, 64, 0, 0, 64, 56, 2, 64, 0, 0,
    )  # fmt: skip
    load = struct.pack("<IIQQQQQQ", 1, 5, 0, _BASE, _BASE, size, size, 0x1000)
    stack = struct.pack("<IIQQQQQQ", 0x6474E551, 6, 0, 0, 0, 0, 0, 16)
    return header + load + stack + whole + padding + data


@functools.cache
def _library() -> ctypes.CDLL:
    try:
        library = ctypes.CDLL(_LIBRARY)
    except OSError as error:
        raise FilterError("there is no libseccomp on this machine; apt-get install libseccomp2") from error
    library.seccomp_init.restype = ctypes.c_void_p
    library.seccomp_init.argtypes = (ctypes.c_uint32,)
    library.seccomp_release.argtypes = (ctypes.c_void_p,)
    library.seccomp_release.restype = None
    library.seccomp_arch_resolve_name.restype = ctypes.c_uint32
    library.seccomp_arch_resolve_name.argtypes = (ctypes.c_char_p,)
    library.seccomp_arch_add.argtypes = (ctypes.c_void_p, ctypes.c_uint32)
    library.seccomp_syscall_resolve_name.argtypes = (ctypes.c_char_p,)
    library.seccomp_rule_add_array.argtypes = (
        ctypes.c_void_p,
        ctypes.c_uint32,
        ctypes.c_int,
        ctypes.c_uint,
        ctypes.POINTER(_Comparison),
    )
    library.seccomp_export_bpf.argtypes = (ctypes.c_void_p, ctypes.c_int)
    return library


def _action(name: str, number: int | None) -> int:
    extra = (_EPERM if number is None else number) & 0xFFFF if name in _WITH_NUMBER else 0
    return _ACTIONS[name] | extra


def _architecture(name: str) -> bytes:
    return name.removeprefix("SCMP_ARCH_").lower().encode()


def _add(library: ctypes.CDLL, context: int, action: int, rule: dict[str, Any]) -> None:
    arguments = rule.get("args") or []
    indices = [one["index"] for one in arguments]
    # conditions on one argument are alternatives, those on several hold together
    alternatives = [[one] for one in arguments] if len(indices) != len(dict.fromkeys(indices)) else [arguments]
    for name in rule["names"]:
        number = library.seccomp_syscall_resolve_name(name.encode())
        if number == _UNKNOWN_CALL:
            continue  # of another machine or kernel
        for conditions in alternatives:
            compared = (_Comparison * max(len(conditions), 1))(
                *(_Comparison(one["index"], _OPERATORS[one["op"]], one["value"], one["valueTwo"]) for one in conditions)
            )
            code = -library.seccomp_rule_add_array(context, action, number, len(conditions), compared)
            if code not in {0, _EEXIST}:
                raise FilterError(f"libseccomp doesn't take the rule for {name}: {os.strerror(code)}")


def _export(library: ctypes.CDLL, context: int) -> bytes:
    fd = os.memfd_create("filter")
    try:
        code = -library.seccomp_export_bpf(context, fd)
        if code:
            raise FilterError(f"libseccomp makes no program of it: {os.strerror(code)}")
        return os.pread(fd, os.fstat(fd).st_size, 0)
    finally:
        os.close(fd)
