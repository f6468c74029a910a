"""An agent's process that a test kills and starts again, under a master that outlives it."""

from __future__ import annotations

import asyncio
import os
import signal
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

from merismos.containers import supervisor
from merismos.protocol import link
from process.link_master import LinkMaster, link_master

LIMIT_S = 30.0
RESOURCES = "--resources=cpus:4;mem:1024;disk:1024;ports:[31000-31999]"


class AgentUnderTest:
    """One agent, and its master; `start` returns once the master knows it."""

    program: tuple[str, ...] = ("-m", "merismos.daemons.agent")
    launcher: tuple[str, ...] = ()

    def __init__(self, master: LinkMaster, work_dir: Path, flags: tuple[str, ...]) -> None:
        self.master = master
        self.work_dir = work_dir
        self.flags = flags
        self.log = work_dir.with_name(work_dir.name + ".log")
        self.process: asyncio.subprocess.Process | None = None

    @property
    def socket(self) -> str:
        return f"{self.work_dir}/meta/supervisor.sock"

    async def spawn(self, *flags: str) -> asyncio.subprocess.Process:
        given = {flag.partition("=")[0].replace("--no-", "--") for flag in (*self.flags, *flags)}
        defaults = [RESOURCES, "--registration_backoff_factor=20ms", "--no-switch_user"]
        with self.log.open("ab") as log:
            self.process = await asyncio.create_subprocess_exec(
                *self.launcher,
                sys.executable,
                *self.program,
                f"--master=127.0.0.1:{self.master.port}",
                "--ip=127.0.0.1",
                "--port=0",
                f"--work_dir={self.work_dir}",
                *(one for one in defaults if one.partition("=")[0].replace("--no-", "--") not in given),
                *self.flags,
                *flags,
                stdout=asyncio.subprocess.DEVNULL,
                stderr=log,
            )
        return self.process

    async def start(self, *flags: str) -> None:
        before = self.registrations()
        process = await self.spawn(*flags)
        ended = asyncio.create_task(process.wait())
        known = asyncio.create_task(self.master.until(lambda: self.registrations() > before))
        await asyncio.wait({ended, known}, return_when=asyncio.FIRST_COMPLETED)
        ended.cancel()
        assert known.done(), f"the agent ended:\n{self.said()}"
        assert known.exception() is None, f"the agent didn't register in time:\n{self.said()}"

    def registrations(self) -> int:
        return len(self.master.of(link.RegisterAgent)) + len(self.master.of(link.ReregisterAgent))

    def said(self) -> str:
        return self.log.read_text()[-4000:]

    async def kill(self) -> None:
        await self.stop(signal.SIGKILL)

    async def stop(self, number: signal.Signals) -> int:
        assert self.process is not None
        self.process.send_signal(number)
        return await self.ended()

    async def ended(self) -> int:
        assert self.process is not None
        async with asyncio.timeout(LIMIT_S):
            return await self.process.wait()

    async def pid_of(self, task_id: str) -> int:
        await self.master.until(lambda: "TASK_RUNNING" in self.master.states(task_id))
        pid: int = self.master.statuses(task_id)[-1]["container_status"]["executor_pid"]
        return pid

    async def until_gone(self, pid: int) -> None:
        """Wait until nothing of a process is left, its zombie included."""
        try:
            fd = os.pidfd_open(pid)
        except ProcessLookupError:
            return
        loop = asyncio.get_running_loop()
        gone: asyncio.Future[None] = loop.create_future()
        loop.add_reader(fd, lambda: gone.done() or gone.set_result(None))
        try:
            async with asyncio.timeout(LIMIT_S):
                await gone
        finally:
            loop.remove_reader(fd)
            os.close(fd)

    async def end(self) -> None:
        """End the agent and everything that it holds."""
        if self.process is not None and self.process.returncode is None:
            await self.stop(signal.SIGUSR1)
        for pid in self.supervisors():
            os.kill(pid, signal.SIGTERM)
            await self.until_gone(pid)

    def supervisors(self) -> list[int]:
        return [row.pid for row in supervisor.read_procs() if self.socket in command_of(row.pid)]


def command_of(pid: int) -> list[str]:
    try:
        return Path(f"/proc/{pid}/cmdline").read_text().split("\0")
    except OSError:
        return []


@asynccontextmanager
async def agent_under_test(
    work_dir: Path, *flags: str, launcher: tuple[str, ...] = ()
) -> AsyncIterator[AgentUnderTest]:
    async with link_master() as master:
        agent = AgentUnderTest(master, work_dir, flags)
        agent.launcher = launcher
        try:
            await agent.start()
            yield agent
        finally:
            await agent.end()
