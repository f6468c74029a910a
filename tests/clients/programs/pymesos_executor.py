"""A pymesos framework with an executor of its own: `pymesos_executor.py HOST:PORT`.

Launches `short` and `long` in one executor, sends it a message, kills `long` once the echo is back, then tells the executor to leave.
Prints `TASK STATE MESSAGE` for each update, `message TEXT` for the echo, `lost STATUS` for the executor's end.
"""

from __future__ import annotations

import getpass
import sys
import threading
from pathlib import Path

from pymesos import MesosSchedulerDriver, Scheduler, decode_data, encode_data

PROGRAM = Path(__file__).with_name("pymesos_custom_executor.py")
PATIENCE_S = 45
WANTED = {"cpus": 0.1, "mem": 32}


def _resources():
    return [{"name": of, "type": "SCALAR", "scalar": {"value": amount}} for of, amount in WANTED.items()]


class WithExecutor(Scheduler):
    def __init__(self):
        self.launched = False
        self.done = threading.Event()

    def resourceOffers(self, driver, offers):
        for offer in offers:
            if self.launched:
                driver.declineOffer(offer["id"])
                continue
            self.launched = True
            self.agent_id = offer["agent_id"]
            executor = {
                "type": "CUSTOM",
                "executor_id": {"value": "echo"},
                "command": {"value": f"exec {sys.executable} {PROGRAM}"},
                "resources": _resources(),
            }
            tasks = [
                {
                    "name": name,
                    "task_id": {"value": name},
                    "agent_id": offer["agent_id"],
                    "executor": executor,
                    "resources": _resources(),
                }
                for name in ("short", "long")
            ]
            driver.launchTasks(offer["id"], tasks)

    def statusUpdate(self, driver, update):
        name, state = update["task_id"]["value"], update["state"]
        print(name, state, update.get("message", ""), flush=True)
        if (name, state) == ("long", "TASK_RUNNING"):
            driver.sendFrameworkMessage({"value": "echo"}, self.agent_id, encode_data(b"hello"))
        elif (name, state) == ("long", "TASK_KILLED"):
            driver.sendFrameworkMessage({"value": "echo"}, self.agent_id, encode_data(b"leave"))

    def frameworkMessage(self, driver, executor_id, agent_id, data):
        print("message", decode_data(data).decode(), flush=True)
        driver.killTask({"value": "long"})

    def executorLost(self, driver, executor_id, agent_id, status):
        print("lost", executor_id["value"], status, flush=True)
        self.done.set()


def main(master):
    scheduler = WithExecutor()
    driver = MesosSchedulerDriver(scheduler, {"user": getpass.getuser(), "name": "with-executor"}, master)
    driver.start()
    ended = scheduler.done.wait(PATIENCE_S)
    driver.stop()
    driver.join()
    return 0 if ended else 1


if __name__ == "__main__":
    sys.exit(main(sys.argv[1]))
