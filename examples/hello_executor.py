"""An executor in forty lines: counts to the number in a task's data, one a second, and can be stopped.

A framework names it as the executor of its tasks: `"executor": {"executor_id": {"value": "counter"},
"command": {"value": "python3 /path/to/hello_executor.py"}}`.
"""

import asyncio

from merismos.protocol.v1 import mesos
from merismos.sdk.executor import Executor


class Counter(Executor):
    """Counts, for as many tasks at once as it is given."""

    counting: dict[str, asyncio.Task[None]] = {}

    async def launch(self, task: mesos.TaskInfo) -> None:
        """Begin to count."""
        task_id = task.task_id.value
        await self.update(task_id, "TASK_RUNNING")
        self.counting[task_id] = asyncio.create_task(self.count(task_id, int(task.data or b"3")))

    async def count(self, task_id: str, limit: int) -> None:
        """Count to `limit`, then say so."""
        for number in range(limit):
            print(f"{task_id}: {number + 1}", flush=True)
            await asyncio.sleep(1)
        await self.update(task_id, "TASK_FINISHED", f"counted to {limit}")

    async def kill(self, task_id: str, grace_s: float | None) -> None:
        """Stop counting; `grace_s` isn't needed for that."""
        if self.counting[task_id].cancel():
            await self.update(task_id, "TASK_KILLED", f"stopped, grace {grace_s}")

    async def message(self, data: bytes) -> None:
        """Shout back."""
        await self.send(data.upper())


if __name__ == "__main__":
    asyncio.run(Counter().run())
