"""Seccomp profiles by name, for containers without an image and with one: calls that are refused, filters of real profiles, broken ones."""

from __future__ import annotations

import asyncio
import json
import os
import subprocess
from pathlib import Path
from typing import Any

import pytest

from linux.image_agent import NAME, image_agent, of_docker
from linux.image_agent import why_not as images_missing
from linux.loops import in_a_loop
from linux.test_native_isolators import complaint, output
from merismos.adapters.linux import seccomp_filter
from merismos.core.containers.seccomp_profile import Place, Profile, parse_profile, resolve
from merismos.daemons.process import EXIT_USAGE
from process.agent_process import AgentUnderTest, agent_under_test
from process.link_master import link_master, task

pytestmark = [pytest.mark.process, pytest.mark.timeout(120)]
REFUSED = 38
NO_FOLDERS = {
    "defaultAction": "SCMP_ACT_ALLOW",
    "archMap": [
        {"architecture": "SCMP_ARCH_X86_64", "subArchitectures": ["SCMP_ARCH_X86", "SCMP_ARCH_X32"]},
        {"architecture": "SCMP_ARCH_AARCH64", "subArchitectures": ["SCMP_ARCH_ARM"]},
    ],
    "syscalls": [
        {"names": ["mkdir", "mkdirat", "no_such_call"], "action": "SCMP_ACT_ERRNO", "errnoRet": REFUSED},
        {
            "names": ["chmod", "fchmodat", "fchmodat2"],
            "action": "SCMP_ACT_ERRNO",
            "excludes": {"caps": ["CAP_FOWNER"]},
        },
    ],
}
NO_LINKS = {
    "defaultAction": "SCMP_ACT_ALLOW",
    "architectures": ["SCMP_ARCH_X86_64"],
    "syscalls": [{"names": ["symlink", "symlinkat"], "action": "SCMP_ACT_ERRNO"}],
}


@pytest.fixture(autouse=True)
def _needs_filters() -> None:
    reason = seccomp_filter.obstacle()
    if reason:
        pytest.skip(reason)


def profiles_in(folder: Path) -> Path:
    profiles = folder / "profiles"
    (profiles / "more").mkdir(parents=True)
    (profiles / "folders.json").write_text(json.dumps(NO_FOLDERS))
    (profiles / "more/links.json").write_text(json.dumps(NO_LINKS))
    (profiles / "broken.json").write_text('{"defaultAction": "SCMP_ACT_MAYBE"}')
    return profiles


def flags_of(folder: Path) -> tuple[str, ...]:
    return (
        "--isolation=linux/seccomp,linux/nnp",
        f"--seccomp_config_dir={profiles_in(folder)}",
        "--seccomp_profile_name=folders.json",
    )


def seccomp(**fields: object) -> dict[str, Any]:
    return {"linux_info": {"seccomp": fields}}


@in_a_loop
async def test_a_task_is_refused_the_calls_that_its_profile_names(tmp_path: Path) -> None:
    async with agent_under_test(tmp_path / "w", *flags_of(tmp_path)) as agent:
        line = "mkdir d && echo made; ln -s x l && echo linked; touch f; chmod 600 f && echo changed"
        cases = {
            "default": ({}, ["linked", "changed"]),
            "named": (seccomp(profile_name="more/links.json"), ["made", "changed"]),
            "unconfined": (seccomp(unconfined=True), ["made", "linked", "changed"]),
        }
        for task_id, (fields, done) in cases.items():
            agent.master.run(task(task_id, line, container={"type": "MESOS", **fields}))
            await agent.master.end_of(task_id)
            assert output(agent, task_id).split() == done, complaint(agent, task_id)
        assert "Function not implemented" in complaint(agent, "default")
        assert "Operation not permitted" in complaint(agent, "named")


@in_a_loop
async def test_what_a_profile_grants_to_a_capability_is_refused_without_it(tmp_path: Path) -> None:
    flags = ("--switch_user", *flags_of(tmp_path))
    for one in (tmp_path, *tmp_path.parents):
        reach(one)
    async with agent_under_test(tmp_path / "w", *flags) as agent:
        command = {"value": "id -un; touch f; chmod 600 f; grep Seccomp: /proc/self/status", "user": "nobody"}
        agent.master.run(task("t", command))
        await agent.master.end_of("t")
        assert output(agent, "t").split() == ["nobody", "Seccomp:", "2"]
        assert "Operation not permitted" in complaint(agent, "t")


def reach(folder: Path) -> None:
    if not folder.stat().st_mode & 1:
        folder.chmod(0o711)


@in_a_loop
async def test_a_check_and_a_program_on_the_tasks_own_path_have_the_filter_too(tmp_path: Path) -> None:
    async with agent_under_test(tmp_path / "w", *flags_of(tmp_path)) as agent:
        own = write_program(tmp_path / "bin")
        check = {
            "type": "COMMAND",
            "command": {"command": {"value": "mkdir checked || exit 5"}},
            "delay_seconds": 0.0,
            "interval_seconds": 0.1,
        }
        variables = [{"name": "PATH", "value": f"{own}:/usr/bin:/bin"}]
        command = {"shell": False, "value": "own", "arguments": ["own"], "environment": {"variables": variables}}
        agent.master.run(task("t", command, check=check))
        await agent.master.until(
            lambda: any(
                one.get("check_status", {}).get("command") == {"exit_code": 5} for one in agent.master.statuses("t")
            )
        )
        assert "Seccomp:\t2" in output(agent, "t")


def write_program(folder: Path) -> Path:
    folder.mkdir()
    (folder / "own").write_text("#!/bin/sh\ngrep Seccomp: /proc/self/status\nexec sleep 600\n")
    (folder / "own").chmod(0o755)
    return folder


@in_a_loop
async def test_a_profile_that_can_not_be_had_fails_its_task_in_words(tmp_path: Path) -> None:
    async with agent_under_test(tmp_path / "w", *flags_of(tmp_path)) as agent:
        cases = (
            ("missing.json", "the seccomp profile 'missing.json' can't be read: No such file"),
            ("broken.json", "the seccomp profile 'broken.json': it is no seccomp profile in Docker's format"),
            ("../w", "must be a path below --seccomp_config_dir"),
        )
        for number, (name, said) in enumerate(cases):
            agent.master.run(task(f"t{number}", "true", container={"type": "MESOS", **seccomp(profile_name=name)}))
            assert said in (await agent.master.end_of(f"t{number}"))["message"]
        agent.master.run(task("missing program", {"shell": False, "value": "no-such-program"}))
        assert (await agent.master.end_of("missing program"))["message"] == "Command exited with status 1"
        assert "Failed to execute the command: No such file" in complaint(agent, "missing program")


@pytest.mark.parametrize(
    ("flags", "said"),
    [
        (("--isolation=linux/seccomp",), "give --seccomp_config_dir=DIRECTORY"),
        (("--isolation=linux/seccomp", "--seccomp_config_dir=/no/such"), "/no/such is no directory"),
        (("--seccomp_profile_name=x",), "--seccomp_profile_name needs --isolation=linux/seccomp"),
        (("broken.json",), "--seccomp_profile_name=broken.json: the seccomp profile 'broken.json'"),
        (("../folders.json",), "must be a path below --seccomp_config_dir"),
    ],
)
def test_an_agent_with_a_profile_that_can_not_be_had_does_not_start(
    tmp_path: Path, flags: tuple[str, ...], said: str
) -> None:
    async def run() -> None:
        given = flags
        if not flags[0].startswith("--"):
            given = (*flags_of(tmp_path)[:-1], f"--seccomp_profile_name={flags[0]}")
        async with link_master() as master:
            agent = AgentUnderTest(master, tmp_path / "w", given)
            await agent.spawn()
            assert await agent.ended() == EXIT_USAGE
            assert said in agent.said()

    asyncio.run(run())


@in_a_loop
async def test_a_container_of_an_image_has_the_profile_that_it_names_or_its_agents(tmp_path: Path) -> None:
    if images_missing():
        pytest.skip(images_missing())
    async with image_agent(tmp_path, *flags_of(tmp_path)) as agent:
        image = {"mesos": {"image": of_docker(NAME)}}
        line = "cd /tmp; mkdir d && echo made; ln -s x l && echo linked; true"
        assert "made" not in (await agent.output_of("default", line, container=image)).split()
        named = await agent.output_of("named", line, container={**image, **seccomp(profile_name="more/links.json")})
        assert named.split("\n")[0] == "made"
        assert "linked" not in named.split("\n")


def test_a_program_refuses_what_a_rule_compares_and_nothing_else(tmp_path: Path) -> None:
    rules = {
        "defaultAction": "SCMP_ACT_ALLOW",
        "architectures": [],
        "syscalls": [
            {
                "names": ["kill"],
                "action": "SCMP_ACT_ERRNO",
                "errnoRet": REFUSED,
                "args": [{"index": 1, "value": 10, "valueTwo": 0, "op": "SCMP_CMP_EQ"}],
            }
        ],
    }
    loader = tmp_path / "loader"
    loader.write_bytes(seccomp_filter.loader_of(seccomp_filter.compile_rules(rules)))
    loader.chmod(0o755)
    line = "kill -0 $$ && echo allowed; trap 'echo got' USR1; kill -USR1 $$; echo $1 $MARK; exit 7"
    done = subprocess.run(
        [loader, "/bin/sh", "-c", line, "sh", "an argument"],
        env={"MARK": "mark"}, capture_output=True, text=True, timeout=20, check=False,
    )  # fmt: skip
    assert done.stdout.splitlines() == ["allowed", "an argument mark"]
    assert done.returncode == 7
    assert subprocess.run([loader, "/no/such/program"], timeout=20, check=False).returncode == 126


@pytest.mark.parametrize("capabilities", [(), ("SYS_ADMIN", "SYS_TIME")])
def test_a_profile_of_dockers_size_is_one_program(capabilities: tuple[str, ...]) -> None:
    names = [f"call{number}" for number in range(5)]
    known = ["read", "write", "openat", "close", "execve", "exit_group", "mmap", "brk", "clone", "wait4", *names]
    given = {
        "defaultAction": "SCMP_ACT_ERRNO",
        "defaultErrnoRet": 1,
        "architectures": ["SCMP_ARCH_X86_64", "SCMP_ARCH_X86"],
        "syscalls": [
            {"names": known, "action": "SCMP_ACT_ALLOW"},
            {"names": ["clock_settime"], "action": "SCMP_ACT_ALLOW", "includes": {"caps": ["CAP_SYS_TIME"]}},
            {"names": ["personality"], "action": "SCMP_ACT_ALLOW", "args": [{"index": 0, "value": 0, "op": "SCMP_CMP_EQ"}, {"index": 0, "value": 8, "op": "SCMP_CMP_EQ"}]},
        ],
    }  # fmt: skip
    profile = parse_profile(json.dumps(given).encode())
    assert isinstance(profile, Profile)
    program = seccomp_filter.compile_rules(resolve(profile, Place(os.uname().machine, (6, 1), capabilities)))
    assert len(program) % 8 == 0
    assert 100 < len(program) < 32768
