"""A scheduler on avmesos, by URL or by ZooKeeper: launches two tasks and leaves when both have finished.

`avmesos_scheduler.py MASTER [mesoshttp]`: mesoshttp is what avmesos was made of, and is used in the same way. Either reads its stream
by lines and sees an event only once the next one has begun. So that the test needn't wait for heartbeats, the program asks for a task
that doesn't exist, twice a second; each answer pushes the event before it through.
Prints `TASK STATE` for each update; exits 0 when every task has finished.
"""

from __future__ import annotations

import getpass
import importlib
import sys
import threading

TASKS = ("left", "right")
PATIENCE_S = 45
ASK_AGAIN_S = 0.5


class Pair:
    def __init__(self, url, library):
        kind = importlib.import_module(f"{library}.client").MesosClient
        self.client = kind([url], frameworkName=library, frameworkUser=getpass.getuser())
        self.client.max_reconnect = 1
        self.client.on(kind.SUBSCRIBED, self.on_subscribed)
        self.client.on(kind.OFFERS, self.on_offers)
        self.client.on(kind.UPDATE, self.on_update)
        self.driver = None
        self.waiting = list(TASKS)
        self.finished = set()
        self.done = threading.Event()
        self.subscribed = threading.Event()

    def on_subscribed(self, driver):
        self.driver = driver
        self.subscribed.set()

    def on_offers(self, offers):
        for offer in offers:
            if not self.waiting:
                offer.decline()
                continue
            name = self.waiting.pop()
            offer.accept([self.task(name, offer.get_offer()["agent_id"])])

    def on_update(self, update):
        name, state = update["status"]["task_id"]["value"], update["status"]["state"]
        if name not in TASKS:
            return
        print(name, state, flush=True)
        if state == "TASK_FINISHED":
            self.finished.add(name)
        if len(self.finished) == len(TASKS):
            self.done.set()

    @staticmethod
    def task(name, agent_id):
        return {
            "name": name,
            "task_id": {"value": name},
            "agent_id": {"value": agent_id["value"]},
            "resources": [
                {"name": "cpus", "type": "SCALAR", "scalar": {"value": 0.1}},
                {"name": "mem", "type": "SCALAR", "scalar": {"value": 32}},
            ],
            "command": {"shell": True, "value": f"echo {name}"},
        }

    def ask_until_done(self):
        if not self.subscribed.wait(PATIENCE_S):
            return
        for _ in range(int(PATIENCE_S / ASK_AGAIN_S)):
            if self.done.wait(ASK_AGAIN_S):
                break
            self.driver.reconcile([{"task_id": {"value": "nobody"}}])
        self.client.tearDown()
        self.driver.reconcile([{"task_id": {"value": "nobody"}}])


def main(master, library="avmesos"):
    pair = Pair(master if master.startswith("zk://") else f"http://{master}", library)
    stream = threading.Thread(target=pair.client.register, daemon=True)
    stream.start()
    pair.ask_until_done()
    stream.join(5)
    if pair.finished != set(TASKS):
        print(f"finished: {pair.finished}, not {set(TASKS)}", file=sys.stderr)
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main(*sys.argv[1:]))
