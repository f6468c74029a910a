"""A job on Yelp's task-processing: `task_processing_job.py HOST:PORT`, with its executors that log, time out and retry on top of each other.

`says` prints a line, `flaky` fails once and is tried again, `sleeper` sleeps past its time. Prints `TASK PLATFORM-TYPE` for each event,
`log TASK STREAM LINE` for what the logging executor read from the agent.
"""

from __future__ import annotations

import queue
import sys
import threading
import time
from pathlib import Path

from task_processing.plugins.mesos.logging_executor import MesosLoggingExecutor
from task_processing.plugins.mesos.retrying_executor import RetryingExecutor
from task_processing.plugins.mesos.timeout_executor import TimeoutExecutor
from task_processing.task_processor import TaskProcessor

PATIENCE_S = 45
LONG_S = 600
LINES = ("hello from yelp", "aside")


def _name(task_id):
    return task_id.partition(".")[0]


def main(master):
    processor = TaskProcessor()
    processor.load_plugin("task_processing.plugins.mesos")
    mesos = processor.executor_from_config(
        "mesos_task",
        {"role": "*", "mesos_address": master, "framework_name": "yelp", "initial_decline_delay": 1.0},
    )
    lines, logged = [], threading.Event()

    def log(task_id, message, stream):
        lines.append((_name(task_id), stream, message))
        if len(lines) == len(LINES):
            logged.set()

    logging_executor = MesosLoggingExecutor(mesos, handler=log, format_string="{line}")
    executor = RetryingExecutor(TimeoutExecutor(logging_executor))
    config = mesos.TASK_CONFIG_INTERFACE
    marker = Path.cwd() / "tried"
    wanted = {
        "says": {"cmd": 'echo "hello from $WHO"; echo aside >&2', "environment": {"WHO": "yelp"}, "timeout": LONG_S},
        "flaky": {"cmd": f"test -e {marker} || {{ touch {marker}; exit 1; }}", "timeout": LONG_S, "retries": 1},
        "sleeper": {"cmd": f"sleep {LONG_S}", "timeout": 8, "retries": 0},
    }
    for name, how in wanted.items():
        executor.run(config(name=name, containerizer="MESOS", **how))
    deadline, ended = time.monotonic() + PATIENCE_S, set()
    while ended != set(wanted) and time.monotonic() < deadline:
        try:
            event = executor.get_event_queue().get(timeout=1)
        except queue.Empty:
            continue
        if event.kind == "task":
            print(_name(event.task_id), event.platform_type, flush=True)
            if event.terminal:
                ended.add(_name(event.task_id))
    logged.wait(max(0, deadline - time.monotonic()))
    executor.stop()
    for line in lines:
        print("log", *line, flush=True)
    return 0 if ended == set(wanted) else 1


if __name__ == "__main__":
    sys.exit(main(sys.argv[1]))
