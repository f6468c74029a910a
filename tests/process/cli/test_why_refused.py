"""`merismos why` of a task that its master refused: it became no task, and the answer is there all the same."""

from __future__ import annotations

import asyncio

import pytest

from merismos.sdk import Framework, Offer, Task, Update
from process.cli.commands import WAIT_S_MAX, Commands
from process.sessions.cluster import Cluster

pytestmark = [pytest.mark.process, pytest.mark.xdist_group("cli")]


def test_a_task_that_was_refused_says_why(merismos: Commands, cluster: Cluster) -> None:
    async def scenario() -> tuple[str, str]:
        framework = Framework("careless", master=f"127.0.0.1:{cluster.port}")
        refused: asyncio.Future[Update] = asyncio.get_running_loop().create_future()
        task = Task(id="bad/id", name="bad", command="true")

        @framework.on_offer
        def launch(offer: Offer) -> None:
            if not refused.done():
                offer.launch(task)

        @framework.on_update
        def follow(update: Update) -> None:
            if not refused.done():
                refused.set_result(update)

        async with asyncio.timeout(WAIT_S_MAX), framework:
            update = await refused
            why = await asyncio.to_thread(merismos, "why", task.id)
        assert update.state == "TASK_ERROR"
        return update.message, why.out

    message, said = asyncio.run(scenario())
    assert said.strip() == f"it was refused when it was launched: {message}"
