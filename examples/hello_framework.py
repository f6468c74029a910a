"""Runs five small tasks on the cluster: start one with `merismos up`, then `python examples/hello_framework.py`."""

from merismos.sdk import Framework, Offer, Task, Update

framework = Framework("hello")
waiting = [
    Task(name=f"hello-{number}", command="echo hello from $HOSTNAME; sleep 1", cpus=0.1, mem=32) for number in range(5)
]
running: set[str] = set()


@framework.on_offer
def launch(offer: Offer) -> None:
    while waiting and offer.fits(waiting[0]):
        task = waiting.pop(0)
        offer.launch(task)
        running.add(task.id)


@framework.on_update
def follow(update: Update) -> None:
    print(update.task_id, update.state, update.message)
    if update.is_terminal:
        running.discard(update.task_id)
        if not waiting and not running:
            framework.stop()


framework.run_forever()
