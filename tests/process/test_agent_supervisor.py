"""The supervisor, with real processes: what it starts, whom it kills, what it reports, and what happens when it dies."""

from __future__ import annotations

import asyncio
import errno
import os
import signal
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from pathlib import Path

import pytest

from merismos.containers import supervisor
from merismos.containers.supervisor_link import SupervisorLink
from merismos.shell.turn import Turn

pytestmark = pytest.mark.process

PATH = "PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"
LIMIT_S = 20.0
STANDARD_SIGNALS = (1 << 31) - 1


class Heard:
    """Keeps what the supervisor said, and wakes who waits for more."""

    def __init__(self) -> None:
        self.pids: dict[str, int] = {}
        self.failed: dict[str, tuple[int, str]] = {}
        self.statuses: dict[str, int] = {}
        self.lost: list[str] = []
        self.taken_over = False
        self._more = asyncio.Event()

    def on_started(self, container_id: str, pid: int) -> None:
        self.pids[container_id] = pid
        self._more.set()

    def on_failed(self, container_id: str, code: int, text: str, directory: str) -> None:
        del directory
        self.failed[container_id] = (code, text)
        self._more.set()

    def on_exited(self, container_id: str, status: int) -> None:
        self.statuses[container_id] = status
        self._more.set()

    def on_lost(self, reason: str) -> None:
        self.lost.append(reason)
        self._more.set()

    def on_taken_over(self) -> None:
        self.taken_over = True
        self._more.set()

    async def until(self, true: Callable[[], bool]) -> None:
        async with asyncio.timeout(LIMIT_S):
            while not true():
                self._more.clear()
                await self._more.wait()

    async def status(self, container_id: str) -> int:
        await self.until(lambda: container_id in self.statuses)
        return self.statuses[container_id]


async def connected(directory: Path, timeout_s: float = 600.0) -> tuple[SupervisorLink, Heard]:
    heard = Heard()
    link = SupervisorLink(heard, Turn(asyncio.get_running_loop()), directory / "supervisor.sock", timeout_s)
    await link.start()
    return link, heard


@asynccontextmanager
async def started(directory: Path) -> AsyncIterator[tuple[SupervisorLink, Heard]]:
    link, heard = await connected(directory)
    try:
        yield link, heard
    finally:
        await link.close(end=True)


def spawn(link: SupervisorLink, name: str, directory: Path, line: str, *variables: str) -> None:
    link.spawn(name, str(directory), ["/bin/sh", "-c", line], "sh", [PATH, *variables])


class Pipe:
    """A named pipe in which a task tells its pid."""

    def __init__(self, directory: Path, name: str) -> None:
        os.mkfifo(directory / name)
        self._fd = os.open(directory / name, os.O_RDWR | os.O_NONBLOCK)

    async def pid(self) -> int:
        await until_readable(self._fd)
        data = os.read(self._fd, 64)
        os.close(self._fd)
        return int(data)


async def until_readable(fd: int) -> None:
    loop = asyncio.get_running_loop()
    readable: asyncio.Future[None] = loop.create_future()
    loop.add_reader(fd, readable.set_result, None)
    try:
        async with asyncio.timeout(LIMIT_S):
            await readable
    finally:
        loop.remove_reader(fd)


async def until_gone(pid: int) -> None:
    try:
        fd = os.pidfd_open(pid)
    except ProcessLookupError:
        return
    await until_readable(fd)
    os.close(fd)


@pytest.mark.parametrize(
    ("line", "status"),
    [("true", 0), ("exit 3", 3 << 8), ("kill -9 $$", 9), ("kill -15 $$", 15), ("exit 137", 137 << 8)],
)
def test_exit_status_and_signal_are_told_apart(tmp_path: Path, line: str, status: int) -> None:
    async def scenario() -> int:
        async with started(tmp_path) as (link, heard):
            spawn(link, "c", tmp_path, line)
            return await heard.status("c")

    assert asyncio.run(scenario()) == status


def test_a_process_runs_in_its_directory_with_its_environment_and_its_output_in_files(tmp_path: Path) -> None:
    async def scenario() -> None:
        async with started(tmp_path) as (link, heard):
            spawn(link, "c", tmp_path, "pwd; echo $A; cat; echo err >&2", "A=x=y z")
            await heard.status("c")

    asyncio.run(scenario())
    assert (tmp_path / "stdout").read_text() == f"{tmp_path}\nx=y z\n"
    assert (tmp_path / "stderr").read_text() == "err\n"


def test_output_is_appended_to_what_is_there(tmp_path: Path) -> None:
    (tmp_path / "stdout").write_text("before\n")

    async def scenario() -> None:
        async with started(tmp_path) as (link, heard):
            spawn(link, "c", tmp_path, "echo after")
            await heard.status("c")

    asyncio.run(scenario())
    assert (tmp_path / "stdout").read_text() == "before\nafter\n"


def test_signals_that_the_supervisor_ignores_are_not_ignored_by_its_children(tmp_path: Path) -> None:
    async def scenario() -> None:
        async with started(tmp_path) as (link, heard):
            link.spawn("c", str(tmp_path), ["grep", "SigIgn", "/proc/self/status"], "grep", [PATH])
            await heard.status("c")

    asyncio.run(scenario())
    assert int((tmp_path / "stdout").read_text().split()[1], 16) & STANDARD_SIGNALS == 0


def test_a_program_that_is_not_there_is_reported_with_its_errno(tmp_path: Path) -> None:
    async def scenario() -> tuple[int, str]:
        async with started(tmp_path) as (link, heard):
            link.spawn("c", str(tmp_path), ["/no/such/program"], "x", [PATH])
            await heard.until(lambda: "c" in heard.failed)
            return heard.failed["c"]

    assert asyncio.run(scenario()) == (errno.ENOENT, "No such file or directory")


def test_a_signal_reaches_the_whole_tree_double_forks_included(tmp_path: Path) -> None:
    line = """
        (setsid sh -c 'echo $$ > daemon; exec sleep 600' &)
        (sh -c 'echo $$ > child; exec sleep 600') &
        exec sleep 600
    """

    async def scenario() -> int:
        async with started(tmp_path) as (link, heard):
            daemon_pipe, child_pipe = Pipe(tmp_path, "daemon"), Pipe(tmp_path, "child")
            spawn(link, "c", tmp_path, line)
            daemon, child = await daemon_pipe.pid(), await child_pipe.pid()
            link.signal("c", signal.SIGTERM)
            status = await heard.status("c")
            assert supervisor.read_proc(daemon) is None
            assert supervisor.read_proc(child) is None
            return status

    assert asyncio.run(scenario()) == signal.SIGTERM


def test_what_a_command_leaves_behind_is_gone_before_its_end_is_reported(tmp_path: Path) -> None:
    line = """
        setsid sh -c "trap '' TERM; echo \\$\\$ > daemon; exec sleep 600" &
        while ! [ -s daemon ]; do sleep 0.01; done
        exit 5
    """

    async def scenario() -> int:
        async with started(tmp_path) as (link, heard):
            spawn(link, "c", tmp_path, line)
            status = await heard.status("c")
            assert supervisor.read_proc(int((tmp_path / "daemon").read_text())) is None
            return status

    assert asyncio.run(scenario()) == 5 << 8


def test_one_containers_leftovers_do_not_cost_another_its_life(tmp_path: Path) -> None:
    async def scenario() -> None:
        async with started(tmp_path) as (link, heard):
            pipe = Pipe(tmp_path, "daemon")
            spawn(link, "lives", tmp_path, "(setsid sh -c 'echo $$ > daemon; exec sleep 600' &) ; exec sleep 600")
            daemon = await pipe.pid()
            spawn(link, "ends", tmp_path, "(setsid sleep 600 &) ; exit 0")
            await heard.status("ends")
            assert supervisor.read_proc(daemon) is not None
            assert "lives" not in heard.statuses

    asyncio.run(scenario())


def test_an_orphan_without_a_mark_dies_at_the_latest_with_the_last_container(tmp_path: Path) -> None:
    async def scenario() -> None:
        async with started(tmp_path) as (link, heard):
            inner = "echo $$ > daemon; exec sleep 600"
            spawn(
                link,
                "c",
                tmp_path,
                f"(env -i setsid /bin/sh -c '{inner}' &) ; while ! [ -s daemon ]; do sleep 0.01; done",
            )
            await heard.status("c")
            await until_gone(int((tmp_path / "daemon").read_text()))

    asyncio.run(scenario())


def test_a_process_that_ignores_term_falls_to_kill(tmp_path: Path) -> None:
    async def scenario() -> int:
        async with started(tmp_path) as (link, heard):
            pipe = Pipe(tmp_path, "up")
            spawn(link, "c", tmp_path, "trap '' TERM; echo $$ > up; while true; do sleep 0.05; done")
            await pipe.pid()
            link.signal("c", signal.SIGTERM)
            link.signal("c", signal.SIGKILL)
            return await heard.status("c")

    assert asyncio.run(scenario()) == signal.SIGKILL


def test_a_large_batch_is_started_whole_and_signals_do_not_wait_for_it(tmp_path: Path) -> None:
    async def scenario() -> None:
        async with started(tmp_path) as (link, heard):
            for number in range(100):
                spawn(link, f"c-{number}", tmp_path, "exit 7")
            link.signal("c-99", signal.SIGTERM)
            await heard.until(lambda: len(heard.statuses) + len(heard.failed) == 100)
            assert heard.failed["c-99"][0] == errno.ECANCELED
            assert set(heard.statuses.values()) == {7 << 8}

    asyncio.run(scenario())


def test_closing_the_socket_ends_every_container_and_the_supervisor(tmp_path: Path) -> None:
    async def scenario() -> tuple[int, int]:
        async with started(tmp_path) as (link, heard):
            pipe = Pipe(tmp_path, "daemon")
            spawn(link, "c", tmp_path, "(setsid sh -c 'echo $$ > daemon; exec sleep 600' &) ; trap '' TERM; sleep 600")
            daemon = await pipe.pid()
            await heard.until(lambda: "c" in heard.pids)
            pid = link.pid
        assert supervisor.read_proc(heard.pids["c"]) is None
        return pid, daemon

    pid, daemon = asyncio.run(scenario())
    assert supervisor.read_proc(daemon) is None
    assert supervisor.read_proc(pid) is None


def test_tasks_of_a_supervisor_that_was_killed_are_killed_too(tmp_path: Path) -> None:
    async def scenario() -> None:
        async with started(tmp_path) as (link, heard):
            pipe = Pipe(tmp_path, "daemon")
            spawn(link, "c", tmp_path, "(setsid sh -c 'echo $$ > daemon; exec sleep 600' &) ; exec sleep 600")
            daemon = await pipe.pid()
            await heard.until(lambda: "c" in heard.pids)
            os.kill(link.pid, signal.SIGKILL)
            await heard.until(lambda: bool(heard.lost))
            assert "signal 9" in heard.lost[0]
            await until_gone(heard.pids["c"])
            await until_gone(daemon)

    asyncio.run(scenario())


def test_the_supervisor_is_small_and_leads_its_own_session(tmp_path: Path) -> None:
    async def scenario() -> tuple[supervisor.Proc | None, int]:
        async with started(tmp_path) as (link, heard):
            spawn(link, "c", tmp_path, "true")
            await heard.status("c")
            return supervisor.read_proc(link.pid), resident_bytes(link.pid)

    row, resident = asyncio.run(scenario())
    assert row is not None
    assert row.session == row.pid
    assert resident < 25 * 1024 * 1024


def test_a_supervisor_holds_nothing_open_of_who_started_its_agent(tmp_path: Path) -> None:
    async def scenario() -> None:
        theirs, inherited = os.pipe()
        os.set_inheritable(inherited, True)
        kept = os.dup(1), os.dup(2)
        try:
            os.dup2(inherited, 1)
            os.dup2(inherited, 2)
            link, heard = await connected(tmp_path)
        finally:
            for number, fd in enumerate(kept, 1):
                os.dup2(fd, number)
                os.close(fd)
            os.close(inherited)
        try:
            spawn(link, "c", tmp_path, "exec sleep 600")
            await heard.until(lambda: "c" in heard.pids)
            await until_readable(theirs)  # its end: nobody holds the other side any more
            assert os.read(theirs, 1) == b""
        finally:
            await link.close(end=True)
            os.close(theirs)

    asyncio.run(scenario())


def resident_bytes(pid: int) -> int:
    return int(Path(f"/proc/{pid}/statm").read_text().split()[1]) * os.sysconf("SC_PAGE_SIZE")
