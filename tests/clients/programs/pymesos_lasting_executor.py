"""A pymesos executor that says who it is and how often it has registered, and ends its task when it is told to."""

from __future__ import annotations

import os
import sys

from pymesos import Executor, MesosExecutorDriver, decode_data, encode_data


class Lasting(Executor):
    def __init__(self):
        self.task_id = None
        self.registered_times = 0

    def registered(self, driver, executor_info, framework_info, agent_info):
        self.registered_times += 1

    def reregistered(self, driver, agent_info):
        self.registered_times += 1

    def launchTask(self, driver, task):
        self.task_id = task["task_id"]
        driver.sendStatusUpdate({"task_id": self.task_id, "state": "TASK_RUNNING"})

    def frameworkMessage(self, driver, message):
        if decode_data(message) == b"who":
            driver.sendFrameworkMessage(encode_data(f"PID {os.getpid()} registered {self.registered_times}".encode()))
            return
        driver.sendStatusUpdate({"task_id": self.task_id, "state": "TASK_FINISHED", "message": "as told"})
        driver.stop()


if __name__ == "__main__":
    driver = MesosExecutorDriver(Lasting())
    driver.run()
    sys.exit(0)
