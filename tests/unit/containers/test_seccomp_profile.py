"""Seccomp profiles in Docker's format: what is read, what is refused, which rules are for whom."""

from __future__ import annotations

import json
from typing import Any

import pytest

from merismos.core.containers.seccomp_profile import Place, Profile, parse_profile, resolve
from merismos.model.rejection import Rejection

HERE = Place("x86_64", (5, 10), ("CHOWN",))


def rule(name: str, **fields: Any) -> dict[str, Any]:  # noqa: ANN401 - fields of a rule
    return {"names": [name], "action": "SCMP_ACT_ALLOW", **fields}


def calls(*rules: dict[str, Any], place: Place = HERE, **fields: Any) -> dict[str, Any]:  # noqa: ANN401 - fields of a profile
    given = {"defaultAction": "SCMP_ACT_ERRNO", "syscalls": list(rules), **fields}
    profile = parse_profile(json.dumps(given).encode())
    assert isinstance(profile, Profile), profile
    return resolve(profile, place)


def names(found: dict[str, Any]) -> list[str]:
    return [name for one in found["syscalls"] for name in one["names"]]


@pytest.mark.parametrize(
    ("condition", "is_for_us"),
    [
        ({"includes": {"caps": ["CAP_CHOWN"]}}, True),
        ({"includes": {"caps": ["CAP_CHOWN", "CAP_KILL"]}}, False),
        ({"includes": {"arches": ["amd64", "s390x"]}}, True),
        ({"includes": {"arches": ["arm64"]}}, False),
        ({"includes": {"minKernel": "5.10"}}, True),
        ({"includes": {"minKernel": "5.11"}}, False),
        ({"excludes": {"caps": ["CAP_KILL"]}}, True),
        ({"excludes": {"caps": ["CAP_KILL", "CAP_CHOWN"]}}, False),
        ({"excludes": {"arches": ["amd64"]}}, False),
        ({"excludes": {"minKernel": "5.9"}}, False),
        ({"includes": {}, "excludes": {}}, True),
    ],
)
def test_a_rule_is_for_the_containers_that_its_conditions_say(condition: dict[str, Any], is_for_us: bool) -> None:
    assert names(calls(rule("open", **condition), rule("close"))) == (["open", "close"] if is_for_us else ["close"])


def test_architectures_are_those_of_the_machine_or_those_that_are_listed() -> None:
    families = [
        {"architecture": "SCMP_ARCH_AARCH64", "subArchitectures": ["SCMP_ARCH_ARM"]},
        {"architecture": "SCMP_ARCH_X86_64", "subArchitectures": ["SCMP_ARCH_X86"]},
    ]
    assert calls(archMap=families)["architectures"] == ["SCMP_ARCH_X86_64", "SCMP_ARCH_X86"]
    assert calls(architectures=["SCMP_ARCH_X32"])["architectures"] == ["SCMP_ARCH_X32"]


def test_arguments_numbers_and_the_old_form_of_a_name_are_kept() -> None:
    argument = {"index": 1, "value": 2, "valueTwo": 3, "op": "SCMP_CMP_MASKED_EQ"}
    old = {"name": "old", "action": "SCMP_ACT_ERRNO", "errnoRet": 38, "args": [argument]}
    found = calls(old, defaultErrnoRet=1, syscalls=[old])
    assert found["defaultErrnoRet"] == 1
    assert found["syscalls"] == [{"names": ["old"], "action": "SCMP_ACT_ERRNO", "errnoRet": 38, "args": [argument]}]


@pytest.mark.parametrize(
    ("given", "said"),
    [
        (b"no json", "Docker's format"),
        (b"{}", "defaultAction"),
        (b'{"defaultAction": "SCMP_ACT_NOTIFY"}', "Docker's format"),
        (b'{"defaultAction": "SCMP_ACT_ALLOW", "syscalls": [{"action": "SCMP_ACT_ALLOW"}]}', "names no system calls"),
        (b'{"defaultAction": "SCMP_ACT_ALLOW", "syscalls": [{"name": "x", "action": "SCMP_ACT_ALLOW", "includes": {"minKernel": "new"}}]}', "no version"),
        (b'{"defaultAction": "SCMP_ACT_ALLOW", "syscalls": [{"name": "x", "action": "SCMP_ACT_ALLOW", "args": [{"index": 0, "value": 0, "op": "?"}]}]}', "Docker's format"),
    ],
)  # fmt: skip
def test_what_is_not_understood_is_refused(given: bytes, said: str) -> None:
    found = parse_profile(given)
    assert isinstance(found, Rejection)
    assert said in found.message
