"""A headless Chromium that a test drives over its debugging protocol: open a page, wait for what it shows, act on it.

Rules: nothing is timed. A wait is a promise in the page that ends when its condition holds, looked at whenever the page changes; it
has a bound. A request to any other machine than this one has no way out: the page has to work offline.
"""

from __future__ import annotations

import asyncio
import base64
import contextlib
import json
import os
import shutil
import signal
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import aiohttp

NAMES = ("chromium", "chromium-browser", "google-chrome", "google-chrome-stable")
START_S_MAX = 30.0
WAIT_S_MAX = 20.0
FLAGS = (
    "--headless=new", "--no-sandbox", "--disable-gpu", "--disable-dev-shm-usage", "--hide-scrollbars", "--no-first-run",
    "--disable-background-networking", "--disable-component-update", "--disable-default-apps", "--disable-sync",
    "--disable-extensions", "--metrics-recording-only", "--mute-audio", "--remote-debugging-port=0", "--window-size=1280,1400",
    "--force-color-profile=srgb", "--host-resolver-rules=MAP * ~NOTFOUND , EXCLUDE 127.0.0.1 , EXCLUDE localhost",
)  # fmt: skip
_WAIT = """new Promise((resolve, reject) => {
  const look = () => { const found = (() => { try { return %(condition)s; } catch { return false; } })(); if (found) { done(); resolve(found); } };
  const seen = new MutationObserver(look), late = setTimeout(() => { done(); reject(new Error("never: " + %(quoted)s)); }, %(ms)d);
  const again = setInterval(look, 200), done = () => { seen.disconnect(); clearTimeout(late); clearInterval(again); };
  seen.observe(document, { subtree: true, childList: true, attributes: true, characterData: true });
  look();
})"""


def installed() -> str | None:
    """The path of a Chromium on this machine."""
    return next((path for name in NAMES if (path := shutil.which(name))), None)


class PageError(AssertionError):
    """What a script in the page threw, or what a wait waited for in vain."""


class Page:
    """One page of a browser."""

    def __init__(self, socket: aiohttp.ClientWebSocketResponse) -> None:
        self.errors: list[str] = []
        self.requests: list[str] = []
        self._socket = socket
        self._answers: dict[int, asyncio.Future[Any]] = {}
        self._number = 0
        self._reading = asyncio.create_task(self._read())

    async def _read(self) -> None:
        async for message in self._socket:
            told = json.loads(message.data)
            if "id" in told:
                self._answers.pop(told["id"]).set_result(told)
            elif told["method"] == "Runtime.exceptionThrown":
                details = told["params"]["exceptionDetails"]
                self.errors.append(details.get("exception", {}).get("description") or details["text"])
            elif told["method"] == "Network.requestWillBeSent":
                self.requests.append(told["params"]["request"]["url"])

    async def call(self, method: str, **parameters: Any) -> Any:  # noqa: ANN401 - JSON
        """Call the debugging protocol."""
        self._number += 1
        answer: asyncio.Future[Any] = asyncio.get_running_loop().create_future()
        self._answers[self._number] = answer
        await self._socket.send_json({"id": self._number, "method": method, "params": parameters})
        told = await asyncio.wait_for(answer, WAIT_S_MAX + 5)
        if "error" in told:
            raise PageError(f"{method}: {told['error']}")
        return told["result"]

    async def open(self, url: str) -> None:
        """Go to a page."""
        await self.call("Page.enable")
        await self.call("Runtime.enable")
        await self.call("Network.enable")
        await self.call("Page.navigate", url=url)
        await self.wait(f"location.href.startsWith({json.dumps(url)}) && document.readyState === 'complete'")

    async def run(self, script: str) -> Any:  # noqa: ANN401 - JSON
        """Return the value of an expression, a promise's too."""
        told = await self.call("Runtime.evaluate", expression=script, awaitPromise=True, returnByValue=True)
        if "exceptionDetails" in told:
            details = told["exceptionDetails"]
            raise PageError(details.get("exception", {}).get("description") or details["text"])
        return told["result"].get("value")

    async def wait(self, condition: str, *, bound_s: float = WAIT_S_MAX) -> Any:  # noqa: ANN401 - JSON
        """Return the value of an expression once it is true."""
        fill = {"condition": condition, "quoted": json.dumps(condition), "ms": int(bound_s * 1000)}
        try:
            return await self.run(_WAIT % fill)
        except PageError as error:
            shown = await self.run("document.body.innerText")
            raise PageError(f"{error}\n--- the page shows ---\n{shown}\n--- its errors ---\n{self.errors}") from None

    async def text(self, selector: str) -> str:
        """Return what an element shows."""
        return str(await self.run(f"document.querySelector({json.dumps(selector)}).innerText"))

    async def screenshot(self, path: Path) -> None:
        """Write a picture of the page."""
        told = await self.call("Page.captureScreenshot", format="png")
        await asyncio.to_thread(path.write_bytes, base64.b64decode(told["data"]))

    async def close(self) -> None:
        """Let go of the page."""
        await self._socket.close()
        await self._reading


@contextlib.asynccontextmanager
async def browser(folder: Path) -> AsyncIterator[Page]:
    """Start a Chromium whose profile lies in `folder`; gone, all its processes, at the end."""
    program = installed()
    assert program is not None
    process = await asyncio.create_subprocess_exec(
        program, *FLAGS, f"--user-data-dir={folder}", "about:blank",
        stdin=asyncio.subprocess.DEVNULL, stdout=asyncio.subprocess.DEVNULL, stderr=asyncio.subprocess.PIPE,
        env={**os.environ, "HOME": str(folder), "XDG_CONFIG_HOME": str(folder), "XDG_CACHE_HOME": str(folder)},
        start_new_session=True,
    )  # fmt: skip
    assert process.stderr is not None
    draining: asyncio.Task[bytes] | None = None
    try:
        port = await asyncio.wait_for(_port(process.stderr), START_S_MAX)
        draining = asyncio.create_task(process.stderr.read())
        async with aiohttp.ClientSession(f"http://127.0.0.1:{port}", trust_env=False) as session:
            async with session.get("/json/list") as answer:
                targets = await answer.json(content_type=None)
            target = next(target for target in targets if target["type"] == "page")
            async with session.ws_connect(target["webSocketDebuggerUrl"], max_msg_size=0) as socket:
                page = Page(socket)
                yield page
                await page.close()
    finally:
        with contextlib.suppress(ProcessLookupError):
            os.killpg(process.pid, signal.SIGKILL)
        await process.wait()
        if draining is not None:
            await draining


async def _port(stderr: asyncio.StreamReader) -> int:
    said = ""
    while line := (await stderr.readline()).decode(errors="replace"):
        if line.startswith("DevTools listening on ws://"):
            return int(line.split(":")[2].partition("/")[0])
        said += line
    raise PageError(f"Chromium ended before it listened: {said}")
