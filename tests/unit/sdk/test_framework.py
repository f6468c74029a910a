from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Coroutine
from contextlib import asynccontextmanager
from typing import Any

import pytest

from merismos.sdk import Framework, FrameworkError, Offer, Task, Update
from unit.sdk.fake_master import FRAMEWORK_ID, FakeMaster, offer, plain, status


def run(work: Coroutine[Any, Any, None]) -> None:
    async def bounded() -> None:
        async with asyncio.timeout(20):
            await work

    asyncio.run(bounded())


@asynccontextmanager
async def running(framework: Framework) -> AsyncIterator[None]:
    following = asyncio.create_task(framework.run())
    try:
        yield
    finally:
        framework.stop()
        await following


def test_what_a_handler_launches_is_accepted_and_the_rest_is_declined() -> None:
    async def work() -> None:
        async with FakeMaster() as master:
            framework = Framework("f", master=master.address, refuse_s=7)

            @framework.on_offer
            def launch(offer: Offer) -> None:
                if offer.id == "O1":
                    offer.launch(Task(name="t", command="true", id="t-1"))

            async with running(framework):
                await master.called("SUBSCRIBE")
                master.send(type="OFFERS", offers={"offers": [offer(0), offer(1), offer(2)]})
                accept = (await master.called("ACCEPT"))["accept"]
                decline = (await master.called("DECLINE"))["decline"]
            assert accept["offer_ids"] == [{"value": "O1"}]
            assert [one["task_id"] for one in accept["operations"][0]["launch"]["task_infos"]] == [{"value": "t-1"}]
            assert decline == {"offer_ids": [{"value": "O0"}, {"value": "O2"}], "filters": {"refuse_seconds": 7.0}}

    run(work())


def test_a_handler_says_for_how_long_an_offer_is_declined() -> None:
    async def work() -> None:
        async with FakeMaster() as master:
            framework = Framework("f", master=master.address)

            @framework.on_offer
            async def refuse(offer: Offer) -> None:
                offer.decline(refuse_s=3600)

            async with running(framework):
                await master.called("SUBSCRIBE")
                master.send(type="OFFERS", offers={"offers": [offer(0)]})
                decline = await master.called("DECLINE")
            assert decline["decline"]["filters"] == {"refuse_seconds": 3600.0}
            assert decline["framework_id"] == {"value": FRAMEWORK_ID}

    run(work())


def test_an_update_is_acknowledged_when_its_handler_has_returned() -> None:
    async def work() -> None:
        async with FakeMaster() as master:
            framework = Framework("f", master=master.address)
            seen: list[int] = []

            @framework.on_update
            async def look(update: Update) -> None:
                assert update.state == "TASK_RUNNING"
                await asyncio.sleep(0)
                seen.append(len(master.of("ACKNOWLEDGE")))

            async with running(framework):
                await master.called("SUBSCRIBE")
                master.send(type="UPDATE", update={"status": status("t", "TASK_RUNNING")})
                acknowledge = (await master.called("ACKNOWLEDGE"))["acknowledge"]
            assert seen == [0]
            assert acknowledge["uuid"] == "AAECAwQFBgcICQoLDA0ODw=="
            assert acknowledge["task_id"] == {"value": "t"}

    run(work())


def test_an_update_without_a_uuid_is_not_acknowledged() -> None:
    async def work() -> None:
        async with FakeMaster() as master:
            framework = Framework("f", master=master.address)
            async with running(framework):
                await master.called("SUBSCRIBE")
                master.send(type="UPDATE", update={"status": status("t", "TASK_LOST", uuid="")})
                master.send(type="OFFERS", offers={"offers": [offer(0)]})
                await master.called("DECLINE")
            assert master.of("ACKNOWLEDGE") == []

    run(work())


def test_a_handler_that_fails_ends_the_run_and_acknowledges_nothing() -> None:
    async def work() -> None:
        async with FakeMaster() as master:
            framework = Framework("f", master=master.address, teardown_at_end=False)

            @framework.on_update
            def fail(_update: Update) -> None:
                raise ZeroDivisionError

            following = asyncio.create_task(framework.run())
            await master.called("SUBSCRIBE")
            master.send(type="UPDATE", update={"status": status("t", "TASK_RUNNING")})
            with pytest.raises(ZeroDivisionError):
                await following
            assert master.of("ACKNOWLEDGE") == master.of("TEARDOWN") == []

    run(work())


def test_a_stopped_framework_is_torn_down() -> None:
    async def work() -> None:
        async with FakeMaster() as master:
            async with Framework("f", master=master.address) as framework:
                assert framework.id == FRAMEWORK_ID
            assert [call["type"] for call in master.calls] == ["SUBSCRIBE", "TEARDOWN"]

    run(work())


def test_a_framework_comes_back_under_its_id_and_asks_for_its_tasks() -> None:
    async def work() -> None:
        async with FakeMaster() as master:
            framework = Framework("f", master=master.address)
            lost: list[str] = []
            framework.on_disconnected(lost.append)
            async with running(framework):
                await master.called("SUBSCRIBE")
                master.send(type="UPDATE", update={"status": status("alive", "TASK_RUNNING")})
                master.send(type="UPDATE", update={"status": status("over", "TASK_FINISHED")})
                await master.called("ACKNOWLEDGE", 2)
                master.drop()
                again = await master.called("SUBSCRIBE", 2)
                reconcile = (await master.called("RECONCILE"))["reconcile"]
            assert again["framework_id"] == again["subscribe"]["framework_info"]["id"] == {"value": FRAMEWORK_ID}
            assert [one["task_id"] for one in reconcile["tasks"]] == [{"value": "alive"}]
            assert len(lost) == 1

    run(work())


def test_a_framework_says_what_it_waits_for() -> None:
    async def work() -> None:
        async with FakeMaster() as master:
            framework = Framework("f", master=master.address)
            async with running(framework):
                await framework.request({"cpus": 64.0})
                (request,) = (await master.called("REQUEST"))["request"]["requests"]
            assert request["resources"] == [{"name": "cpus", "type": "SCALAR", "scalar": {"value": 64.0}}]

    run(work())


def test_a_new_process_takes_over_under_the_id_that_it_is_given() -> None:
    async def work() -> None:
        async with FakeMaster() as master:
            framework = Framework("f", master=master.address, framework_id="earlier")
            async with running(framework):
                call = await master.called("SUBSCRIBE")
            assert call["framework_id"] == call["subscribe"]["framework_info"]["id"] == {"value": "earlier"}

    run(work())


def test_a_stream_without_heartbeats_is_given_up() -> None:
    async def work() -> None:
        async with FakeMaster(heartbeat_s=0.02) as master, running(Framework("f", master=master.address)):
            await master.called("SUBSCRIBE", 2)

    run(work())


def test_a_redirect_is_followed_to_the_leader() -> None:
    async def work() -> None:
        async with FakeMaster() as standby, FakeMaster() as leader:
            standby.answer("SUBSCRIBE", plain(307, Location=f"//{leader.address}/api/v1/scheduler"))
            framework = Framework("f", master=standby.address)
            async with running(framework):
                await leader.called("SUBSCRIBE")
                await framework.suppress("a")
                assert framework.master == leader.address
            assert leader.of("SUPPRESS")[0]["suppress"] == {"roles": ["a"]}

    run(work())


def test_a_master_that_is_not_ready_is_asked_again() -> None:
    async def work() -> None:
        async with FakeMaster() as master:
            master.answer("SUBSCRIBE", plain(503, "No leader elected"), plain(503), plain(503))
            framework = Framework("f", master=master.address)
            reasons: list[str] = []
            framework.on_disconnected(reasons.append)
            async with running(framework):
                await master.called("SUBSCRIBE", 2)
                del master.answers["SUBSCRIBE"]
                await framework.revive()
            assert "503: No leader elected" in reasons[0]

    run(work())


@pytest.mark.parametrize(("status_code", "text"), [(401, "who are you"), (403, "not you"), (400, "no name")])
def test_a_refused_subscription_ends_the_run_with_what_the_master_says(status_code: int, text: str) -> None:
    async def work() -> None:
        async with FakeMaster() as master:
            master.answer("SUBSCRIBE", plain(status_code, text))
            with pytest.raises(FrameworkError, match=text):
                await Framework("f", master=master.address).run()

    run(work())


def test_an_error_event_ends_the_run_with_what_the_master_says() -> None:
    async def work() -> None:
        async with FakeMaster() as master:
            following = asyncio.create_task(Framework("f", master=master.address).run())
            await master.called("SUBSCRIBE")
            master.send(type="ERROR", error={"message": "Framework failed over"})
            with pytest.raises(FrameworkError, match="Framework failed over"):
                await following

    run(work())


def test_calls_wait_until_the_framework_is_subscribed_again() -> None:
    async def work() -> None:
        async with FakeMaster() as master:
            framework = Framework("f", master=master.address)
            async with running(framework):
                await master.called("SUBSCRIBE")
                master.drop()
                await framework.kill("t", grace_s=1.5)
            kill = master.of("KILL")[-1]["kill"]
            assert kill == {"task_id": {"value": "t"}, "kill_policy": {"grace_period": {"nanoseconds": 1_500_000_000}}}

    run(work())


def test_a_framework_says_who_it_is() -> None:
    async def work() -> None:
        async with FakeMaster() as master:
            framework = Framework(
                "f", master=master.address, roles=["a", "b"], user="u", principal="p", secret="s", failover_timeout_s=9
            )
            async with running(framework):
                info = (await master.called("SUBSCRIBE"))["subscribe"]["framework_info"]
            assert {name: info[name] for name in ("name", "user", "roles", "principal", "failover_timeout")} == {
                "name": "f", "user": "u", "roles": ["a", "b"], "principal": "p", "failover_timeout": 9.0,
            }  # fmt: skip

    run(work())
