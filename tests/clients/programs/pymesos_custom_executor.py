"""A pymesos executor: finishes the task `short` at once, runs `long` until it is killed, and echoes messages; `leave` ends it."""

from __future__ import annotations

import sys

from pymesos import Executor, MesosExecutorDriver, decode_data


class Echo(Executor):
    def launchTask(self, driver, task):
        driver.sendStatusUpdate({"task_id": task["task_id"], "state": "TASK_RUNNING"})
        if task["task_id"]["value"] == "short":
            driver.sendStatusUpdate({"task_id": task["task_id"], "state": "TASK_FINISHED", "message": "done"})

    def killTask(self, driver, task_id):
        driver.sendStatusUpdate({"task_id": task_id, "state": "TASK_KILLED", "message": "as asked"})
        driver.sendStatusUpdate({"task_id": task_id, "state": "TASK_FINISHED", "message": "once too often"})

    def frameworkMessage(self, driver, message):
        if decode_data(message) == b"leave":
            driver.stop()
        else:
            driver.sendFrameworkMessage(message)


if __name__ == "__main__":
    driver = MesosExecutorDriver(Echo())
    driver.run()
    sys.exit(0)
