"""Each isolator of containers without an image, with a task that goes too far and is stopped."""

from __future__ import annotations

import asyncio
import base64
import os
import shutil
import signal
from collections.abc import Callable, Coroutine, Iterator
from pathlib import Path
from typing import Any

import pytest

from linux.cgroup_agent import eventually
from merismos.adapters.linux import isolator_detection
from merismos.protocol import link
from process.agent_process import AgentUnderTest, agent_under_test
from process.link_master import task

pytestmark = [pytest.mark.process, pytest.mark.timeout(120)]
ISOLATION = (
    "posix/rlimits,linux/capabilities,linux/nnp,namespaces/pid,namespaces/ipc,environment_secret,"
    "filesystem/linux,volume/host_path,volume/sandbox_path,volume/secret"
)
NOBODY = "nobody"
NO_RAISING = ("setpriv", "--bounding-set", "-sys_resource", "--")
SHARED_MEMORY = Path("/dev/shm")


def write(path: Path, text: str) -> None:
    path.write_text(text)


def remove(path: Path) -> None:
    path.unlink()


def device_of(path: Path) -> int:
    return path.stat().st_dev


def container(**fields: object) -> dict[str, Any]:
    return {"container": {"type": "MESOS", **fields}}


def linux(**fields: object) -> dict[str, Any]:
    return container(linux_info=fields)


def capabilities(*names: str) -> dict[str, Any]:
    return {"capabilities": list(names)}


def sandbox(agent: AgentUnderTest, task_id: str) -> Path:
    return agent.work_dir / f"slaves/S0/frameworks/F/executors/{task_id}/runs/latest"


def output(agent: AgentUnderTest, task_id: str) -> str:
    return (sandbox(agent, task_id) / "stdout").read_text()


def complaint(agent: AgentUnderTest, task_id: str) -> str:
    return (sandbox(agent, task_id) / "stderr").read_text()


class Shared:
    """One agent with every isolator for the tests here; each has a task of its own."""

    def __init__(self, runner: asyncio.Runner, agent: AgentUnderTest) -> None:
        self._runner = runner
        self._agent = agent
        self._number = 0

    def run(self, scenario: Callable[[AgentUnderTest, str], Coroutine[None, None, None]]) -> None:
        self._number += 1
        self._runner.run(scenario(self._agent, f"t{self._number}"))


@pytest.fixture(scope="module")
def shared(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Shared]:
    reason = next((why for one in isolator_detection.ISOLATORS if (why := isolator_detection.obstacle(one))), None)
    if reason:
        pytest.skip(reason)
    folder = tmp_path_factory.mktemp("agent")
    for one in (folder, *folder.parents):
        if not one.stat().st_mode & 1:
            one.chmod(0o711)  # another user's tasks have their sandboxes below
    context = agent_under_test(folder / "w", f"--isolation={ISOLATION}", "--switch_user", launcher=NO_RAISING)
    with asyncio.Runner() as runner:
        agent = runner.run(context.__aenter__())
        try:
            yield Shared(runner, agent)
        finally:
            runner.run(context.__aexit__(None, None, None))


async def ended(agent: AgentUnderTest, task_id: str, command: object, **fields: object) -> dict[str, Any]:
    agent.master.run(task(task_id, command, **fields))
    return await agent.master.end_of(task_id)


# ------------------------------------------------------------------ posix/rlimits


def test_a_task_that_opens_more_files_than_its_limit_is_refused_them(shared: Shared) -> None:
    async def scenario(agent: AgentUnderTest, t: str) -> None:
        limits = {"rlimits": [{"type": "RLMT_NOFILE", "soft": 16, "hard": 32}, {"type": "RLMT_CORE"}]}
        opens = "python3 -c 'held = [open(\"/dev/null\") for _ in range(40)]'"
        status = await ended(agent, t, f"ulimit -Sn; ulimit -Hn; ulimit -c; {opens}", **container(rlimit_info=limits))
        assert status["state"] == "TASK_FAILED"
        assert output(agent, t).split() == ["16", "32", "unlimited"]
        assert "Too many open files" in complaint(agent, t)

    shared.run(scenario)


def test_a_file_that_grows_past_its_limit_ends_who_writes_it(shared: Shared) -> None:
    async def scenario(agent: AgentUnderTest, t: str) -> None:
        limits = {"rlimits": [{"type": "RLMT_FSIZE", "soft": 4096, "hard": 4096}]}
        command = "dd if=/dev/zero of=f bs=1024 count=9; exit $?"
        status = await ended(agent, t, command, **container(rlimit_info=limits))
        assert status["message"] == f"Command exited with status {128 + signal.SIGXFSZ}"
        assert (sandbox(agent, t) / "f").stat().st_size == 4096

    shared.run(scenario)


def test_a_limit_above_what_the_agent_has_is_refused_in_words(shared: Shared) -> None:
    async def scenario(agent: AgentUnderTest, t: str) -> None:
        limits = {"rlimits": [{"type": "RLMT_NOFILE", "soft": 1 << 30, "hard": 1 << 30}]}
        status = await ended(agent, t, "true", **container(rlimit_info=limits))
        assert status["state"] == "TASK_FAILED"
        assert "RLIMIT_NOFILE: a hard limit of 1073741824 is above this agent's own" in status["message"]
        assert "CAP_SYS_RESOURCE" in status["message"]

    shared.run(scenario)


# ------------------------------------------------------------------ linux/capabilities, linux/nnp


def test_a_task_without_a_capability_can_not_do_what_it_is_for(shared: Shared) -> None:
    async def scenario(agent: AgentUnderTest, t: str) -> None:
        rights = linux(effective_capabilities=capabilities("NET_RAW", "CHOWN"))
        status = await ended(agent, t, "touch f && chown 1:1 f && mknod k c 1 3", **rights)
        assert status["message"] == "Command exited with status 1"
        assert "Operation not permitted" in complaint(agent, t)
        assert (sandbox(agent, t) / "f").stat().st_uid == 1, "it has what it asked for"

    shared.run(scenario)


def test_root_has_no_more_than_the_effective_capabilities_where_the_bounding_ones_are_more(shared: Shared) -> None:
    async def scenario(agent: AgentUnderTest, t: str) -> None:
        rights = linux(
            effective_capabilities=capabilities("NET_RAW"), bounding_capabilities=capabilities("NET_RAW", "CHOWN")
        )
        await ended(agent, t, "grep -E 'CapEff|CapBnd' /proc/self/status; touch f; chown 1:1 f", **rights)
        assert output(agent, t).split() == ["CapEff:", "0000000000002000", "CapBnd:", "0000000000002001"]
        assert "Operation not permitted" in complaint(agent, t)

    shared.run(scenario)


def test_another_user_has_the_capabilities_that_its_task_asks_for(shared: Shared) -> None:
    async def scenario(agent: AgentUnderTest, t: str) -> None:
        command = {"value": "id -un; grep CapEff /proc/self/status", "user": NOBODY}
        await ended(agent, t, command, **linux(effective_capabilities=capabilities("NET_BIND_SERVICE")))
        assert output(agent, t).split() == [NOBODY, "CapEff:", "0000000000000400"]

    shared.run(scenario)


def test_no_task_gains_rights_by_a_set_user_id_program(shared: Shared) -> None:
    async def scenario(agent: AgentUnderTest, t: str) -> None:
        program = agent.work_dir.with_name("id")
        shutil.copy(shutil.which("id") or "id", program)
        program.chmod(0o4755)
        command = {"value": f"{program} -u; grep NoNewPrivs /proc/self/status", "user": NOBODY}
        await ended(agent, t, command)
        user, *rest = output(agent, t).split()
        assert user != "0"
        assert rest == ["NoNewPrivs:", "1"]

    shared.run(scenario)


def test_what_a_task_tells_the_loader_concerns_no_program_that_runs_before_it(shared: Shared) -> None:
    async def scenario(agent: AgentUnderTest, t: str) -> None:
        names = ("LD_PRELOAD", "BASH_ENV", "PLAIN")
        variables = [{"name": name, "value": f"/no/such {name}.so"} for name in names]
        line = 'echo "$LD_PRELOAD,$BASH_ENV,$PLAIN,$MERISMOS_HELD_0"'
        command = {"value": line, "user": NOBODY, "environment": {"variables": variables}}
        status = await ended(agent, t, command)
        assert status["state"] == "TASK_FINISHED", complaint(agent, t)
        assert output(agent, t).strip() == ",".join([*(f"/no/such {name}.so" for name in names), ""])
        told = [one for one in complaint(agent, t).splitlines() if "object '/no/such'" in one]
        assert len(told) == 1, "the loader says so once, of the task itself"

    shared.run(scenario)


# ------------------------------------------------------------------ namespaces/pid


def test_a_task_sees_and_signals_no_process_but_its_own(shared: Shared) -> None:
    async def scenario(agent: AgentUnderTest, t: str) -> None:
        stranger = os.getpid()
        await ended(agent, t, f"echo $$; ls -d /proc/[0-9]* | wc -l; kill -0 {stranger}; exit 7")
        own, seen = output(agent, t).split()
        assert own == "1"
        assert int(seen) <= 4
        assert "No such process" in complaint(agent, t)

    shared.run(scenario)


@pytest.mark.parametrize(
    ("command", "message"),
    [
        ("exit 7", "Command exited with status 7"),
        ("true", "Command exited with status 0"),
        (
            "sleep 0 & python3 -c 'import os; os.kill(os.getppid(), 11)'; echo on; exit 3",
            "Command exited with status 3",
        ),
    ],
)
def test_an_exit_status_comes_through(shared: Shared, command: str, message: str) -> None:
    async def scenario(agent: AgentUnderTest, t: str) -> None:
        assert (await ended(agent, t, command))["message"] == message

    shared.run(scenario)


def test_a_signal_that_ends_the_first_of_a_namespace_is_told_apart_from_a_status(shared: Shared) -> None:
    async def scenario(agent: AgentUnderTest, t: str) -> None:
        agent.master.run(task(t, "echo up; exec sleep 600"))
        await eventually(lambda: has_said(agent, t, "up"))
        waits = await agent.pid_of(t)
        (first,) = children_of(waits)
        os.kill(first, 9)
        status = await agent.master.end_of(t)
        assert status["message"] == "Command terminated with signal Killed"

    shared.run(scenario)


def test_a_kill_ends_the_whole_tree_even_where_it_ignores_term(shared: Shared) -> None:
    async def scenario(agent: AgentUnderTest, t: str) -> None:
        mark = f"{t}-{os.getpid()}"
        stubborn = f"trap '' TERM; (trap '' TERM; setsid sh -c 'sleep 600; : {mark}') & echo up; wait"
        agent.master.run(task(t, stubborn, kill_policy={"grace_period": {"nanoseconds": 1}}))
        await eventually(lambda: has_said(agent, t, "up"))
        waits = await agent.pid_of(t)
        (first,) = children_of(waits)
        agent.master.send(link.KillTask("F", t, None))
        status = await agent.master.end_of(t)
        assert status["state"] == "TASK_KILLED"
        assert not is_alive(first)
        assert not is_alive(waits)

    shared.run(scenario)


def test_a_task_may_share_the_pids_of_the_agent(shared: Shared) -> None:
    async def scenario(agent: AgentUnderTest, t: str) -> None:
        await ended(agent, t, f"kill -0 {os.getpid()} && readlink /proc/self/ns/pid", **linux(share_pid_namespace=True))
        assert output(agent, t).strip() == namespace_here("pid")

    shared.run(scenario)


def is_alive(pid: int) -> bool:
    return Path(f"/proc/{pid}").exists()


def namespace_here(kind: str) -> str:
    return str(Path(f"/proc/self/ns/{kind}").readlink())


def has_said(agent: AgentUnderTest, task_id: str, text: str) -> bool:
    return (sandbox(agent, task_id) / "stdout").exists() and text in output(agent, task_id)


def children_of(pid: int) -> list[int]:
    return [int(one) for one in Path(f"/proc/{pid}/task/{pid}/children").read_text().split()]


# ------------------------------------------------------------------ namespaces/ipc


def test_a_task_has_semaphores_and_shared_memory_of_its_own(shared: Shared) -> None:
    async def scenario(agent: AgentUnderTest, t: str) -> None:
        outside = SHARED_MEMORY / f"merismos-test-{os.getpid()}-{t}"
        write(outside, "the machine's")
        try:
            command = f"readlink /proc/self/ns/ipc; df -k --output=size /dev/shm | tail -1; cat {outside}; head -c 9000000 /dev/zero >/dev/shm/f"
            status = await ended(agent, t, command, **linux(ipc_mode="PRIVATE", shm_size=8))
        finally:
            remove(outside)
        namespace, size = output(agent, t).split()
        assert status["state"] == "TASK_FAILED"
        assert namespace != namespace_here("ipc")
        assert size == "8192"
        assert "No such file" in complaint(agent, t)
        assert "No space left on device" in complaint(agent, t)

    shared.run(scenario)


def test_a_task_without_a_mode_has_its_own_namespace_and_the_machines_shared_memory(shared: Shared) -> None:
    async def scenario(agent: AgentUnderTest, t: str) -> None:
        await ended(agent, t, "readlink /proc/self/ns/ipc; stat -c %d /dev/shm")
        namespace, device = output(agent, t).split()
        assert namespace != namespace_here("ipc")
        assert int(device) == device_of(SHARED_MEMORY)

    shared.run(scenario)


def test_a_task_may_share_the_agents_namespace_of_ipc(shared: Shared) -> None:
    async def scenario(agent: AgentUnderTest, t: str) -> None:
        await ended(agent, t, "readlink /proc/self/ns/ipc", **linux(ipc_mode="SHARE_PARENT"))
        assert output(agent, t).strip() == namespace_here("ipc")

    shared.run(scenario)


# ------------------------------------------------------------------ environment_secret


def test_a_secret_of_the_environment_is_its_value_for_the_task_alone(shared: Shared) -> None:
    async def scenario(agent: AgentUnderTest, t: str) -> None:
        secret = {"type": "VALUE", "value": {"data": base64.b64encode(b"s3cr3t & more").decode()}}
        variables = [{"name": "TOKEN", "type": "SECRET", "secret": secret}]
        command = {
            "value": 'echo "$TOKEN"; tr "\\0" "\\n" </proc/1/cmdline | grep "s3cr[3]t"',
            "environment": {"variables": variables},
        }
        await ended(agent, t, command)
        assert output(agent, t) == "s3cr3t & more\n"

    shared.run(scenario)


# ------------------------------------------------------------------ filesystem/linux, volume/*


def volume(path: str, mode: str = "RW", **source: object) -> dict[str, Any]:
    return {"container_path": path, "mode": mode, **source}


def host(path: Path | str) -> dict[str, Any]:
    return {"source": {"type": "HOST_PATH", "host_path": {"path": str(path)}}}


def test_a_volume_of_the_machine_is_seen_at_its_place_and_read_only_means_it(shared: Shared, tmp_path: Path) -> None:
    async def scenario(agent: AgentUnderTest, t: str) -> None:
        (tmp_path / "f").write_text("the machine's\n")
        volumes = [volume("below/it", "RO", **host(tmp_path)), volume("file", **host(tmp_path / "f"))]
        status = await ended(
            agent, t, "cat below/it/f file; echo more >>file; echo x >below/it/g", **container(volumes=volumes)
        )
        assert status["state"] == "TASK_FAILED"
        assert output(agent, t) == "the machine's\n" * 2
        assert "Read-only file system" in complaint(agent, t)
        assert (tmp_path / "f").read_text() == "the machine's\nmore\n"
        assert not (tmp_path / "g").exists()
        assert not list((sandbox(agent, t) / "below/it").iterdir()), "nobody else sees it there"

    shared.run(scenario)


def test_a_volume_outside_of_the_sandbox_needs_a_path_that_is_there(shared: Shared, tmp_path: Path) -> None:
    async def scenario(agent: AgentUnderTest, t: str) -> None:
        (tmp_path / "f").write_text("here\n")
        there, missing = tmp_path.with_name(f"{tmp_path.name}-there"), tmp_path.with_name("missing")
        there.mkdir()
        await ended(agent, t, f"cat {there}/f", **container(volumes=[volume(str(there), **host(tmp_path))]))
        assert output(agent, t) == "here\n"
        assert not list(there.iterdir())
        status = await ended(agent, f"{t}-not", "true", **container(volumes=[volume(str(missing), **host(tmp_path))]))
        assert "does not exist on this agent; without an image, one outside of the sandbox must" in status["message"]

    shared.run(scenario)


def test_a_volume_whose_path_leads_out_of_the_sandbox_by_a_link_is_refused(shared: Shared, tmp_path: Path) -> None:
    async def scenario(agent: AgentUnderTest, t: str) -> None:
        archive = shutil.make_archive(str(tmp_path / "a"), "tar", linked_folder(tmp_path))
        command = {"value": "true", "uris": [{"value": archive}]}
        status = await ended(agent, t, command, **container(volumes=[volume("way/out", **host(tmp_path))]))
        assert "leads out of the sandbox" in status["message"]

    shared.run(scenario)


def linked_folder(above: Path) -> Path:
    folder = above / "linked"
    folder.mkdir()
    (folder / "way").symlink_to("inner")
    (folder / "inner").mkdir()
    return folder


def test_a_secret_volume_is_for_its_task_only_and_never_stays_on_the_disk(shared: Shared) -> None:
    async def scenario(agent: AgentUnderTest, t: str) -> None:
        secret = {"type": "VALUE", "value": {"data": base64.b64encode(b"hidden").decode()}}
        volumes = [volume("keys/one", source={"type": "SECRET", "secret": secret})]
        command = {
            "value": "cat keys/one; stat -f -c ' %T' keys/one; stat -c %a:%U keys/one; sleep 600",
            "user": NOBODY,
        }
        agent.master.run(task(t, command, **container(volumes=volumes)))
        await eventually(lambda: has_said(agent, t, NOBODY))
        assert output(agent, t).split() == ["hidden", "tmpfs", f"400:{NOBODY}"]
        assert (sandbox(agent, t) / "keys/one").read_bytes() == b""
        kept = agent.work_dir / "meta/secrets"
        assert [path.name for path in kept.rglob("*") if path.is_file()] == []
        agent.master.send(link.KillTask("F", t, None))
        await agent.master.end_of(t)
        assert not list(kept.iterdir())

    shared.run(scenario)
