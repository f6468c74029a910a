"""What an agent has fetched and kept is there for the next agent too."""

from __future__ import annotations

import asyncio
import json
import urllib.request
from pathlib import Path

import pytest
from aiohttp import web

from process.agent_process import agent_under_test
from process.link_master import task

pytestmark = pytest.mark.process
SIZE = 8 << 20


def used(port: int) -> float:
    with urllib.request.urlopen(f"http://127.0.0.1:{port}/metrics/snapshot", timeout=10) as answer:
        return float(json.loads(answer.read())["containerizer/fetcher/cache_size_used_bytes"])


def test_a_kept_file_is_not_asked_for_again_after_its_agent_was_killed(tmp_path: Path) -> None:
    requests: list[str] = []

    async def serve(request: web.Request) -> web.Response:
        requests.append(request.path)
        return web.Response(body=bytes(SIZE))

    async def scenario() -> None:
        app = web.Application()
        app.router.add_get("/big", serve)
        runner = web.AppRunner(app, shutdown_timeout=0.0)
        await runner.setup()
        await web.TCPSite(runner, "127.0.0.1", 0).start()
        url = f"http://127.0.0.1:{runner.addresses[0][1]}/big"
        flags = (f"--fetcher_cache_dir={tmp_path}/cache", "--fetcher_cache_size=10MB", f"--port_file={tmp_path}/port")
        try:
            async with agent_under_test(tmp_path / "work", *flags) as agent:
                for name in ("before", "after"):
                    command = {"value": f"test $(wc -c < big) = {SIZE}", "uris": [{"value": url, "cache": True}]}
                    agent.master.run(task(name, command))
                    assert (await agent.master.end_of(name))["state"] == "TASK_FINISHED"
                    port = int(await asyncio.to_thread((tmp_path / "port").read_text))
                    assert await asyncio.to_thread(used, port) == SIZE
                    await agent.kill()
                    await agent.start()
        finally:
            await runner.cleanup()

    asyncio.run(scenario())
    assert requests == ["/big"]
