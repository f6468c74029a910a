"""Seccomp profiles in Docker's JSON format: read, checked, and made the rules for one container.

Rules: a profile that says what we don't understand is refused, since a filter that lacks a rule allows or refuses the wrong calls. Rules are
for a container by its capabilities, the machine and its kernel, as Docker decides it; the outcome is what the OCI runtime specification calls `linux.seccomp`.
Names of system calls are not checked: a profile names those of many machines and kernels.
Source: Docker's profiles/seccomp; the OCI runtime specification 1.0, config-linux, "Seccomp".
"""

from __future__ import annotations

from collections.abc import Collection
from typing import Any, Literal

import msgspec

from merismos.model.rejection import Rejection

Action = Literal[
    "SCMP_ACT_ALLOW",
    "SCMP_ACT_ERRNO",
    "SCMP_ACT_KILL",
    "SCMP_ACT_KILL_PROCESS",
    "SCMP_ACT_KILL_THREAD",
    "SCMP_ACT_LOG",
    "SCMP_ACT_TRACE",
    "SCMP_ACT_TRAP",
]
Operator = Literal[
    "SCMP_CMP_EQ",
    "SCMP_CMP_GE",
    "SCMP_CMP_GT",
    "SCMP_CMP_LE",
    "SCMP_CMP_LT",
    "SCMP_CMP_MASKED_EQ",
    "SCMP_CMP_NE",
]
# by the machine's name in uname(1): its own name in profiles, and Docker's
MACHINES = {
    "x86_64": ("SCMP_ARCH_X86_64", "amd64"),
    "aarch64": ("SCMP_ARCH_AARCH64", "arm64"),
    "armv7l": ("SCMP_ARCH_ARM", "arm"),
    "ppc64le": ("SCMP_ARCH_PPC64LE", "ppc64le"),
    "riscv64": ("SCMP_ARCH_RISCV64", "riscv64"),
    "s390x": ("SCMP_ARCH_S390X", "s390x"),
}


class Condition(msgspec.Struct, frozen=True, rename="camel"):
    """When a rule is for a container."""

    caps: list[str] | None = None
    arches: list[str] | None = None
    min_kernel: str = ""


class Argument(msgspec.Struct, frozen=True, rename="camel"):
    """What an argument of a call is compared with."""

    index: int
    value: int
    op: Operator
    value_two: int = 0


class Rule(msgspec.Struct, frozen=True, rename="camel"):
    """What becomes of some system calls."""

    action: Action
    names: list[str] | None = None
    name: str = ""
    args: list[Argument] | None = None
    errno_ret: int | None = None
    includes: Condition = Condition()
    excludes: Condition = Condition()


class _Family(msgspec.Struct, frozen=True, rename="camel"):
    architecture: str
    sub_architectures: list[str] | None = None


class Profile(msgspec.Struct, frozen=True, rename="camel"):
    """A whole profile."""

    default_action: Action
    default_errno_ret: int | None = None
    arch_map: list[_Family] | None = None
    architectures: list[str] | None = None
    syscalls: list[Rule] | None = None


class Place(msgspec.Struct, frozen=True):
    """What a container's filter depends on; `capabilities` are without CAP_, `kernel` is major and minor."""

    machine: str
    kernel: tuple[int, int]
    capabilities: Collection[str]


def parse_profile(data: bytes) -> Profile | Rejection:
    """Return a profile, or why it is none."""
    try:
        profile = msgspec.json.decode(data, type=Profile)
    except (msgspec.DecodeError, UnicodeDecodeError) as error:
        return Rejection("seccomp_invalid", f"it is no seccomp profile in Docker's format: {error}")
    for rule in profile.syscalls or ():
        if not rule.names and not rule.name:
            return Rejection("seccomp_invalid", "a rule of the seccomp profile names no system calls")
        for condition in (rule.includes, rule.excludes):
            if condition.min_kernel and _version_of(condition.min_kernel) is None:
                return Rejection("seccomp_invalid", f"minKernel '{condition.min_kernel}' is no version of a kernel")
    return profile


def resolve(profile: Profile, place: Place) -> dict[str, Any]:
    """Return the rules of a profile for one container, as `linux.seccomp` of the OCI runtime specification."""
    errno = {} if profile.default_errno_ret is None else {"defaultErrnoRet": profile.default_errno_ret}
    return {
        "defaultAction": profile.default_action,
        **errno,
        "architectures": _architectures(profile, place.machine),
        "syscalls": [_written(rule) for rule in profile.syscalls or () if _is_for(rule, place)],
    }


def _architectures(profile: Profile, machine: str) -> list[str]:
    own = MACHINES.get(machine, ("", ""))[0]
    for family in profile.arch_map or ():
        if family.architecture == own:
            return [own, *(family.sub_architectures or ())]
    return list(profile.architectures or ())


def _is_for(rule: Rule, place: Place) -> bool:
    held = [f"CAP_{name}" for name in place.capabilities]
    arch = MACHINES.get(place.machine, ("", ""))[1]
    includes, excludes = rule.includes, rule.excludes
    if includes.caps and any(one not in held for one in includes.caps):
        return False
    if includes.arches and arch not in includes.arches:
        return False
    if includes.min_kernel and place.kernel < (_version_of(includes.min_kernel) or (0, 0)):
        return False
    if excludes.caps and any(one in held for one in excludes.caps):
        return False
    if excludes.arches and arch in excludes.arches:
        return False
    return not (excludes.min_kernel and place.kernel >= (_version_of(excludes.min_kernel) or (0, 0)))


def _version_of(text: str) -> tuple[int, int] | None:
    major, _, minor = text.partition(".")
    return (int(major), int(minor)) if major.isdigit() and minor.isdigit() else None


def _written(rule: Rule) -> dict[str, Any]:
    written: dict[str, Any] = {"names": rule.names or [rule.name], "action": rule.action}
    if rule.errno_ret is not None:
        written["errnoRet"] = rule.errno_ret
    if rule.args:
        written["args"] = [
            {"index": one.index, "value": one.value, "valueTwo": one.value_two, "op": one.op} for one in rule.args
        ]
    return written
