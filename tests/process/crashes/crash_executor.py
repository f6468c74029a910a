"""A custom executor that runs shell lines: the data of a task is the line, and its exit status the task's end."""

from __future__ import annotations

import asyncio
import os
import signal

from merismos.protocol.v1 import mesos
from merismos.sdk.executor import Executor


class ShellLines(Executor):
    """Each task is a process group of its own."""

    def __init__(self) -> None:
        super().__init__()
        self.processes: dict[str, asyncio.subprocess.Process] = {}
        self.unwanted: set[str] = set()

    async def launch(self, task: mesos.TaskInfo) -> None:
        assert task.data is not None
        name = task.task_id.value
        process = await asyncio.create_subprocess_exec("sh", "-c", task.data.decode(), process_group=0)
        self.processes[name] = process
        await self.update(name, "TASK_RUNNING")
        status = await process.wait()
        if name in self.unwanted:
            await self.update(name, "TASK_KILLED")
        else:
            await self.update(name, "TASK_FAILED" if status else "TASK_FINISHED", f"status {status}")

    async def kill(self, task_id: str, grace_s: float | None) -> None:
        del grace_s
        process = self.processes.get(task_id)
        if process is not None and process.returncode is None:
            self.unwanted.add(task_id)
            os.killpg(process.pid, signal.SIGKILL)


if __name__ == "__main__":
    asyncio.run(ShellLines().run())
