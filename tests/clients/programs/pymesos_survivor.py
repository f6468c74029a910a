"""A pymesos framework whose executor outlives its agent: `pymesos_survivor.py HOST:PORT COMMAND...`.

Launches `lasting` in an executor of its own, asks the executor who it is, runs COMMAND, which kills the agent, and asks again until the
executor has registered anew; then it ends the task. Prints `TASK STATE MESSAGE` for each update, `PID N registered M` for each new answer.
"""

from __future__ import annotations

import getpass
import subprocess
import sys
import threading
from pathlib import Path

from pymesos import MesosSchedulerDriver, Scheduler, decode_data, encode_data

PROGRAM = Path(__file__).with_name("pymesos_lasting_executor.py")
PATIENCE_S = 50
ASK_EVERY_S = 0.5


def _resources():
    return [{"name": of, "type": "SCALAR", "scalar": {"value": amount}} for of, amount in (("cpus", 0.1), ("mem", 32))]


class Survivor(Scheduler):
    def __init__(self):
        self.agent_id = None
        self.answers = []
        self.told = threading.Condition()
        self.running = threading.Event()
        self.ended = threading.Event()
        self.left = threading.Event()

    def resourceOffers(self, driver, offers):
        for offer in offers:
            if self.agent_id is not None:
                driver.declineOffer(offer["id"])
                continue
            self.agent_id = offer["agent_id"]
            task = {
                "name": "lasting",
                "task_id": {"value": "lasting"},
                "agent_id": self.agent_id,
                "executor": {
                    "type": "CUSTOM",
                    "executor_id": {"value": "survivor"},
                    "command": {"value": f"exec {sys.executable} {PROGRAM}"},
                    "resources": _resources(),
                },
                "resources": _resources(),
            }
            driver.launchTasks(offer["id"], [task])

    def statusUpdate(self, driver, update):
        print(update["task_id"]["value"], update["state"], update.get("message", ""), flush=True)
        if update["state"] == "TASK_RUNNING":
            self.running.set()
        else:
            self.ended.set()

    def frameworkMessage(self, driver, executor_id, agent_id, data):
        answer = decode_data(data).decode()
        with self.told:
            if answer not in self.answers:
                print(answer, flush=True)
                self.answers.append(answer)
                self.told.notify_all()

    def executorLost(self, driver, executor_id, agent_id, status):
        print("lost", executor_id["value"], status, flush=True)
        self.left.set()

    def ask_until(self, driver, enough):
        """Ask again and again, since a message that meets no agent is dropped, as in Mesos."""
        for _ in range(int(PATIENCE_S / ASK_EVERY_S)):
            with self.told:
                if len(self.answers) >= enough:
                    return
            driver.sendFrameworkMessage({"value": "survivor"}, self.agent_id, encode_data(b"who"))
            with self.told:
                self.told.wait_for(lambda: len(self.answers) >= enough, ASK_EVERY_S)
        message = f"no answer number {enough}"
        raise RuntimeError(message)


def main(master, *kill):
    scheduler = Survivor()
    framework = {"user": getpass.getuser(), "name": "survivor", "checkpoint": True}
    driver = MesosSchedulerDriver(scheduler, framework, master)
    driver.start()
    try:
        assert scheduler.running.wait(PATIENCE_S)
        scheduler.ask_until(driver, 1)
        subprocess.run(kill, check=True, stdout=subprocess.DEVNULL)
        scheduler.ask_until(driver, 2)
        driver.sendFrameworkMessage({"value": "survivor"}, scheduler.agent_id, encode_data(b"end"))
        return 0 if scheduler.ended.wait(PATIENCE_S) and scheduler.left.wait(PATIENCE_S) else 1
    finally:
        driver.stop()
        driver.join()


if __name__ == "__main__":
    sys.exit(main(*sys.argv[1:]))
