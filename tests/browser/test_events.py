"""What the page makes of events, whatever is in them; fed to it in a real browser, no cluster behind it but a bare master."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path

import pytest

from browser.chromium import Page
from browser.conftest import Visit
from process.sessions.cluster import Cluster

pytestmark = [pytest.mark.process, pytest.mark.xdist_group("browser")]

HOSTILE = "<img src=x onerror=\"document.title='owned'\"><script>document.title='owned'</script>"
Json = dict[str, object]


@pytest.fixture
def bare(tmp_path: Path) -> Iterator[Cluster]:
    """A master without agents."""
    with Cluster(tmp_path, agents=()) as running:
        yield running


async def open_page(page: Page, cluster: Cluster) -> None:
    await page.open(f"http://127.0.0.1:{cluster.port}/")
    # The master knows nothing of what is fed in: the page's own questions have to be over before.
    await page.wait("document.getElementById('live').classList.contains('on') && master && refreshedAt && !refreshing")
    await page.run("refreshSoon = () => {}")


async def feed(page: Page, *events: Json) -> None:
    await page.run(f"for (const event of {json.dumps(events)}) onEvent(event)")


def scalar(name: str, value: float, role: str) -> Json:
    return {"name": name, "type": "SCALAR", "scalar": {"value": value}, "allocation_info": {"role": role}}


def agent_added(number: int, hostname: str = "") -> Json:
    info = {"hostname": hostname or f"host-{number:04}", "port": 5051, "id": {"value": f"M-S{number}"}}
    resources = [scalar("cpus", 4, ""), scalar("mem", 4096, ""), scalar("disk", 8192, "")]
    agent = {"agent_info": info, "active": True, "pid": "slave(1)@127.0.0.1:1", "total_resources": resources}
    return {"type": "AGENT_ADDED", "agent_added": {"agent": agent}}


def framework_added(number: int, name: str = "", role: str = "*") -> Json:
    info = {"user": "root", "name": name or f"f-{number}", "id": {"value": f"M-{number:04}"}, "roles": [role]}
    framework = {"framework_info": info, "active": True, "connected": True}
    return {"type": "FRAMEWORK_ADDED", "framework_added": {"framework": framework}}


def task_added(name: str, *, framework: int = 0, agent: int = 0, cpus: float = 1, role: str = "*") -> Json:
    task = {
        "name": name, "task_id": {"value": name}, "framework_id": {"value": f"M-{framework:04}"},
        "agent_id": {"value": f"M-S{agent}"}, "state": "TASK_STAGING",
        "resources": [scalar("cpus", cpus, role), scalar("mem", 32, role)],
    }  # fmt: skip
    return {"type": "TASK_ADDED", "task_added": {"task": task}}


def task_updated(name: str, state: str, framework: int = 0) -> Json:
    status = {"task_id": {"value": name}, "state": state, "timestamp": 1795428607.7, "message": HOSTILE}
    updated = {"framework_id": {"value": f"M-{framework:04}"}, "status": status, "state": state}
    return {"type": "TASK_UPDATED", "task_updated": updated}


def test_what_others_wrote_is_shown_as_text(visit: Visit, bare: Cluster) -> None:
    async def test(page: Page) -> None:
        await open_page(page, bare)
        title = await page.run("document.title")
        await feed(
            page, agent_added(0, HOSTILE), framework_added(0, HOSTILE, HOSTILE), task_added(HOSTILE),
            task_updated(HOSTILE, "TASK_FAILED"), {"type": "NEVER_HEARD_OF", "never_heard_of": {}},
        )  # fmt: skip
        await page.wait("document.querySelector('#rows')?.innerText.includes('onerror')")
        await page.run("document.querySelector('#rows tr').click()")
        await page.wait("document.querySelector('#detail .story').innerText.includes('onerror')")
        await page.run("location.hash = '#framework=M-0000'")
        await page.wait("document.querySelector('#detail h2').innerText.includes('onerror')")
        assert (
            await page.run("document.querySelectorAll('main img, dialog img, main script, dialog script').length") == 0
        )
        assert await page.run("document.title") == title

    visit(test)


def test_tasks_are_newest_first_filtered_and_counted(visit: Visit, bare: Cluster) -> None:
    async def test(page: Page) -> None:
        await open_page(page, bare)
        await feed(page, agent_added(0), agent_added(1), framework_added(0, "alpha"), framework_added(1, "beta"))
        await feed(page, *(task_added(f"t-{number}", framework=number % 2, agent=number % 2) for number in range(250)))
        await feed(page, *(task_updated(f"t-{number}", "TASK_RUNNING", number % 2) for number in range(200)))
        await feed(page, task_updated("t-3", "TASK_FAILED", 1))
        names = "[...document.querySelectorAll('#rows td button')].map((name) => name.innerText)"
        await page.wait(f"{names}[0] === 't-249' && {names}.length === 100")
        await page.wait("document.querySelector('#chips').innerText === 'Running 199\\nWaiting 50\\nFailed 1'")
        assert await page.text("#more") == "Show 100 more of 150"
        await page.run("document.getElementById('more').click()")
        await page.wait(f"{names}.length === 200")
        await page.call("Input.dispatchKeyEvent", type="keyDown", key="/", text="/")
        assert await page.run("document.activeElement.id") == "find"
        await page.call("Input.insertText", text="beta FAILED")
        await page.wait(f"{names}.join() === 't-3'")
        assert await page.text("#h-tasks small") == "1 of 250"
        await page.call("Input.insertText", text="x")
        await page.wait("document.getElementById('no-task').innerText.includes('No task matches')")
        await page.run("document.querySelector('#no-task button').click()")
        await page.run("document.querySelectorAll('.tile')[1].click()")
        await page.wait(f"{names}.length === 100 && {names}.every((name) => Number(name.slice(2)) % 2 === 1)")

    visit(test)


def test_shares_are_shown_by_role_where_roles_share(visit: Visit, bare: Cluster) -> None:
    async def test(page: Page) -> None:
        await open_page(page, bare)
        await feed(page, agent_added(0), framework_added(0, "ads", "a"), framework_added(1, "web", "b"))
        await feed(page, task_added("one", cpus=1, role="a"), task_added("two", framework=1, cpus=2, role="b"))
        await page.wait("document.querySelector('#meters dd').innerText === '3 of 4'")
        assert await page.text("#legend") == "Dominant shares\nrole b 50 %\nrole a 25 %"
        meter = "document.querySelector('#meters [role=meter]').getAttribute"
        assert await page.run(f"{meter}('aria-valuenow')") == "3"
        assert await page.run(f"{meter}('aria-valuetext')") == "CPUs: 3 of 4 used"
        await feed(page, task_updated("two", "TASK_FINISHED", 1))
        await page.wait("document.querySelector('#meters dd').innerText === '1 of 4'")

    visit(test)


def test_a_thousand_agents_and_many_events_are_drawn_in_bounded_time(visit: Visit, bare: Cluster) -> None:
    async def test(page: Page) -> None:
        await open_page(page, bare)
        await feed(page, framework_added(0), *(agent_added(number) for number in range(1000)))
        await page.wait("document.querySelectorAll('#tiles.dense .tile').length === 1000")
        fill = "for (let n = 0; n < 7000; n += 1) { const name = `t-${n}`; onEvent(JSON.parse(added.replaceAll('NAME', name))); "
        fill += "onEvent(JSON.parse(over.replaceAll('NAME', name))); }"
        added, over = json.dumps(task_added("NAME", agent=5)), json.dumps(task_updated("NAME", "TASK_FINISHED"))
        took = await page.run(
            f"(() => {{ const added = {json.dumps(added)}, over = {json.dumps(over)}, start = performance.now(); {fill} "
            "draw(); return performance.now() - start; })()"
        )
        assert took < 10_000
        assert 5000 <= await page.run("tasks.size") <= 5500, "the page keeps only the latest of what is over"

    visit(test)


def test_records_are_told_apart_wherever_the_network_cuts_them(visit: Visit, bare: Cluster) -> None:
    async def test(page: Page) -> None:
        await open_page(page, bare)
        texts = [{"type": "A", "text": "Mü 😀"}, {"type": "B", "text": "x" * 300}, {"type": "C"}]
        encoded = [json.dumps(text, ensure_ascii=False).encode() for text in texts]
        stream = list(b"".join(b"%d\n%b" % (len(one), one) for one in encoded))
        for step in (1, 2, 7, len(stream)):
            script = f"""(async () => {{
                const bytes = new Uint8Array({stream}), found = [];
                let at = 0;
                const reader = {{ read: async () => {{ const value = bytes.subarray(at, at + {step}); at += {step}; return {{ value, done: !value.length }}; }} }};
                await records(reader, (record) => found.push(record));
                return found;
            }})()"""
            assert await page.run(script) == texts

    visit(test)


def test_the_page_can_be_used_with_the_keyboard_alone(visit: Visit, bare: Cluster) -> None:
    async def press(page: Page, key: str, code: int) -> None:
        for kind in ("rawKeyDown", "keyUp"):
            await page.call("Input.dispatchKeyEvent", type=kind, key=key, code=key, windowsVirtualKeyCode=code)
        if key == "Enter":
            await page.call("Input.dispatchKeyEvent", type="char", key=key, text="\r")

    async def test(page: Page) -> None:
        await open_page(page, bare)
        await feed(page, agent_added(0), framework_added(0), task_added("one"))
        await page.wait("document.querySelectorAll('#rows tr').length === 1")
        reached: list[str] = []
        for _ in range(12):
            await press(page, "Tab", 9)
            reached.append(await page.run("document.activeElement.innerText || document.activeElement.id"))
        assert {"Skip to tasks", "theme", "find", "one"} <= set(reached)
        await page.run("document.querySelector('#rows button').focus()")
        await page.call("Input.dispatchKeyEvent", type="keyDown", key="Enter", text="\r", windowsVirtualKeyCode=13)
        await page.wait("document.getElementById('detail').open")
        await press(page, "Escape", 27)
        await page.wait("!document.getElementById('detail').open && location.hash === ''")
        assert await page.run("document.activeElement.innerText") == "one"
        unnamed = "[...document.querySelectorAll('button, input, a, [role=meter]')].filter((one) => !(one.innerText || one.ariaLabel || one.labels?.length))"
        assert await page.run(f"{unnamed}.length") == 0

    visit(test)
