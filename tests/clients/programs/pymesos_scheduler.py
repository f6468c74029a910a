"""A pymesos scheduler: launches tasks, one of which fails with 3, and leaves when each has ended: `pymesos_scheduler.py HOST:PORT`.

Prints `TASK STATE` for each terminal update; exits 0 when every task ended as it should.
"""

from __future__ import annotations

import getpass
import sys
import threading

from pymesos import MesosSchedulerDriver, Scheduler

ENDINGS = {"first": "TASK_FINISHED", "second": "TASK_FINISHED", "third": "TASK_FINISHED", "failing": "TASK_FAILED"}
TERMINAL = {"TASK_FINISHED", "TASK_FAILED", "TASK_KILLED", "TASK_LOST", "TASK_ERROR", "TASK_GONE", "TASK_DROPPED"}
PATIENCE_S = 45
NEEDS = {"cpus": 0.1, "mem": 32}


def _amount(offer, name):
    return sum(found["scalar"]["value"] for found in offer["resources"] if found["name"] == name)


def _task(name, offer):
    command = "exit 3" if name == "failing" else f"echo {name}"
    return {
        "name": name,
        "task_id": {"value": name},
        "agent_id": offer["agent_id"],
        "resources": [{"name": of, "type": "SCALAR", "scalar": {"value": amount}} for of, amount in NEEDS.items()],
        "command": {"shell": True, "value": command},
    }


class Several(Scheduler):
    def __init__(self):
        self.waiting = list(ENDINGS)
        self.ended = {}
        self.done = threading.Event()
        self.errors = []

    def resourceOffers(self, driver, offers):
        for offer in offers:
            room = int(min(_amount(offer, of) / amount for of, amount in NEEDS.items()))
            chosen, self.waiting = self.waiting[:room], self.waiting[room:]
            driver.launchTasks(offer["id"], [_task(name, offer) for name in chosen])

    def statusUpdate(self, driver, update):
        if update["state"] in TERMINAL:
            name = update["task_id"]["value"]
            print(name, update["state"], update.get("message", ""), flush=True)
            self.ended[name] = update["state"]
        if len(self.ended) == len(ENDINGS):
            self.done.set()

    def error(self, driver, message):
        self.errors.append(message)
        self.done.set()


def main(master):
    scheduler = Several()
    driver = MesosSchedulerDriver(scheduler, {"user": getpass.getuser(), "name": "pymesos"}, master)
    driver.start()
    scheduler.done.wait(PATIENCE_S)
    driver.stop()
    driver.join()
    if scheduler.errors or scheduler.ended != ENDINGS:
        print(f"ended as {scheduler.ended}, not as {ENDINGS}; errors: {scheduler.errors}", file=sys.stderr)
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1]))
