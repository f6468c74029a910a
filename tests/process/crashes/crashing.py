"""One agent that is killed again and again, what was asked of it, and what must be so in the end."""

from __future__ import annotations

import asyncio
import contextlib
import json
import random
from pathlib import Path
from typing import Any

import aiohttp

from linux.cni_agent import Machine
from merismos.adapters.linux import netns
from merismos.protocol import link
from process.agent_process import AgentUnderTest
from process.crashes.kinds import ENDS, SLEEPS, Kind
from process.crashes.leaks import Leaks
from process.link_master import TERMINAL, task

LIMIT_S = 60.0
POLL_S = 0.05
INSTANT_S_MAX = 0.6
LIVE_MAX = 2  # of a kind
_EXITED = {"true": 0, "sleep 0.1": 0, "exit 3": 3 << 8, SLEEPS: 9}


class Call:
    """A container that an operator asked for."""

    def __init__(self, container_id: dict[str, Any], line: str) -> None:
        self.container_id = container_id
        self.line = line
        self.answered = False


class Crashing:
    """An agent, the kinds of containers that it runs, and what is known of each of them."""

    def __init__(
        self, agent: AgentUnderTest, kinds: tuple[Kind, ...], marks: Path, seed: int, machine: Machine | None
    ) -> None:
        self.agent = agent
        self.kinds = kinds
        self.marks = marks
        self.dice = random.Random(seed)
        self.lines: dict[str, str] = {}
        self.kind_of: dict[str, Kind] = {}
        self.may_be_killed: dict[str, None] = {}
        self.together: list[list[str]] = []
        self.calls: dict[str, Call] = {}
        self.number = 0
        self.parent = ""
        self.kind = kinds[0]
        factory = None if machine is None else lambda info: netns.socket_in(machine.namespace, *info[:3])
        self.session = aiohttp.ClientSession(connector=aiohttp.TCPConnector(socket_factory=factory))
        self._asking: set[asyncio.Task[None]] = set()

    # ------------------------------------------------------------------ what is asked for

    def expect(self, name: str, line: str = "") -> str:
        """Choose what `name` does; return the line of shell for it."""
        line = line or self.dice.choice(list(ENDS))
        self.lines[name] = line
        self.kind_of[name] = self.kind
        return self.marking(name, line)

    def marking(self, name: str, line: str) -> str:
        return f"echo $$ >> {self.marks / name}; {line}"

    def call(self, kind: str, name: str, container_id: dict[str, Any]) -> None:
        one = self.calls[name] = Call(container_id, self.dice.choice(list(ENDS)))
        command = {"value": self.marking(name, one.line)}

        async def ask() -> None:
            with contextlib.suppress(aiohttp.ClientError):
                status, text = await self.ask(kind, container_id, command=command)
                assert status == 200, text
                one.answered = True

        asking = asyncio.create_task(ask())
        self._asking.add(asking)
        asking.add_done_callback(self._asking.discard)

    async def ask(self, kind: str, container_id: dict[str, Any], **fields: object) -> tuple[int, Any]:
        master = self.agent.master
        pid = next(
            one.pid for one in reversed(master.heard) if isinstance(one, link.RegisterAgent | link.ReregisterAgent)
        )
        body = {"type": kind, kind.lower(): {"container_id": container_id, **fields}}
        async with (
            asyncio.timeout(LIMIT_S),
            self.session.post(f"http://{pid.partition('@')[2]}/api/v1", json=body) as answer,
        ):
            text = await answer.text()
            return answer.status, json.loads(text) if answer.content_type == "application/json" else text

    def launch_some(self) -> None:
        for kind in self.kinds:
            self.kind = kind
            for _ in range(self.dice.randint(0, kind.at_once)):
                self.number += 1
                kind.ask(self, f"{kind.name}-{self.number}")

    def kill_some(self) -> None:
        for kind in self.kinds:
            live = [name for name in self.live_sleepers() if self.kind_of[name] is kind]
            for name in live[LIVE_MAX:] or live[: self.dice.randint(0, 1)]:
                self.agent.master.send(link.KillTask("F", name))

    def live_sleepers(self) -> list[str]:
        told = self.agent.master.told
        return [name for name, line in self.lines.items() if line == SLEEPS and not TERMINAL.intersection(told(name))]

    # ------------------------------------------------------------------ what happens

    async def begin(self) -> None:
        """Run one of each kind to its end, and a task that lasts, in which others nest."""
        self.agent.master.run(task("parent", SLEEPS))
        await self.agent.pid_of("parent")
        self.parent = self.agent.master.statuses("parent")[-1]["container_status"]["container_id"]["value"]
        for kind in self.kinds:
            self.kind = kind
            kind.ask(self, f"{kind.name}-first")
        await self.finish()

    async def crash(self) -> None:
        """Kill the agent at some instant, start it again, and drop what it never took."""
        process = self.agent.process
        assert process is not None
        asyncio.get_running_loop().call_later(self.dice.uniform(0.0, INSTANT_S_MAX), process.kill)
        await self.agent.ended()
        while self._asking:
            await asyncio.wait(self._asking)
        running = {name: birth_of(pid) for name, pid in self.running_pids().items()}
        await self.agent.start()
        for name, pid in self.running_pids().items():
            assert running.get(name, "") in {"", birth_of(pid)}, f"process {pid} of {name} ended with its agent"
        back = self.agent.master.of(link.ReregisterAgent)[-1]
        known = {json.loads(record.task)["name"] for record in back.tasks}
        for name in list(self.lines):
            if name not in known and not TERMINAL.intersection(self.agent.master.told(name)):
                assert not (self.marks / name).exists(), f"{name} ran, and is forgotten"
                assert not self.agent.master.told(name), f"{name} was told of, and is forgotten"
                del self.lines[name]
        for names in self.together:
            assert sum(name in self.lines for name in names) in {0, len(names)}, f"half a group was taken: {names}"

    def running_pids(self) -> dict[str, int]:
        """Return the pids of tasks that run until they are killed, and which nobody has killed."""
        master = self.agent.master
        killed = {one.task_id for one in master.sent if isinstance(one, link.KillTask)}
        for names in self.together:
            if killed.intersection(names):
                killed.update(names)
        found = {}
        for name in ("parent", *self.live_sleepers()):
            if master.told(name)[-1:] == ["TASK_RUNNING"] and name not in killed and name not in self.may_be_killed:
                found[name] = master.statuses(name)[-1].get("container_status", {}).get("executor_pid")
        return {name: pid for name, pid in found.items() if pid}

    async def finish(self) -> None:
        """Let everything end but the task in which others nest."""
        for name in self.live_sleepers():
            self.agent.master.send(link.KillTask("F", name))
        for name in self.lines:
            await self.end_of(name)
        while self._asking:
            await asyncio.wait(self._asking)
        for name, call in list(self.calls.items()):
            await self.finish_call(name, call)
        for executor_id in self.executors():
            self.agent.master.send(link.ShutdownExecutor("F", executor_id))

    def executors(self) -> list[str]:
        """Return the custom executors that were ever asked for."""
        sent = [one for one in self.agent.master.sent if isinstance(one, link.RunTasks)]
        return list(dict.fromkeys(name for one in sent for name in one.executors))

    async def end_of(self, name: str) -> None:
        try:
            await self.agent.master.end_of(name)
        except TimeoutError as error:
            text = f"{name} ({self.lines[name]}) never ends: {self.agent.master.told(name)}"
            raise AssertionError(f"{text}\n{self.agent.said()}") from error

    async def finish_call(self, name: str, call: Call) -> None:
        """Wait for the end of what an operator asked for, and remove it."""
        kinds = "NESTED_CONTAINER" if "parent" in call.container_id else "CONTAINER"
        runs = self.runs_of(name)
        assert len(runs) <= 1, f"{name} ran {len(runs)} times"
        if call.line == SLEEPS:
            await self.ask(f"KILL_{kinds}", call.container_id)
        status, answer = await self.ask(f"WAIT_{kinds}", call.container_id)
        if status == 404:
            assert not runs, f"{name} ran, and is forgotten"
            assert not call.answered, f"{name} was answered for, and is forgotten"
        else:
            assert status == 200, answer
            exited = answer[f"wait_{kinds.lower()}"].get("exit_status")
            runs = self.runs_of(name)
            never = not runs and not call.answered and exited == 9
            assert never or exited == _EXITED[call.line], (name, call.line, exited, runs)
            assert (await self.ask(f"REMOVE_{kinds}", call.container_id))[0] == 200
        del self.calls[name]

    def runs_of(self, name: str) -> list[str]:
        mark = self.marks / name
        return mark.read_text().split() if mark.exists() else []

    # ------------------------------------------------------------------ what must be so

    def check(self) -> None:
        """Each task ran once at most, and its story was told in order, with one end."""
        for name, line in self.lines.items():
            told, runs, kind = self.agent.master.told(name), self.runs_of(name), self.kind_of[name]
            assert len(runs) <= 1, f"{name} ran {len(runs)} times"
            assert [one for one in told if one in TERMINAL] == told[-1:], f"{name}: {told}"
            assert told[:-1] == list(kind.story[: len(told) - 1]), f"{name}: {told}"
            last = self.agent.master.statuses(name)[-1]
            if told[-1] == "TASK_KILLED" and (line == SLEEPS or name in self.may_be_killed):
                continue
            if not runs and last.get("reason") in kind.may_miss:
                continue
            assert told[-1] == ENDS[line], f"{name} ({line}): {told}, {last}"
            assert len(runs) == 1, f"{name} never ran: {last}"

    async def until_clean(self, leaks: Leaks, before: list[str] | None = None) -> list[str]:
        """Wait until nothing is listed but what was before; return what is."""
        nobody = asyncio.Event()

        def listed() -> list[str]:
            own = {*self.agent.supervisors()}
            if self.agent.process is not None:
                own.add(self.agent.process.pid)
            own |= {pid for pid in map(int, self.runs_of("parent")) if pid}
            own.add(self.agent.master.statuses("parent")[-1]["container_status"]["executor_pid"])
            return leaks.listed(but=own)

        found = await asyncio.to_thread(listed)
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(LIMIT_S):
                while not is_clean(found, before):
                    with contextlib.suppress(TimeoutError):
                        await asyncio.wait_for(nobody.wait(), POLL_S)
                    found = await asyncio.to_thread(listed)
        return found


def is_clean(found: list[str], before: list[str] | None) -> bool:
    """Say whether nothing is there but what was before; without that, whether nothing that lives is there."""
    kept = ("file", "cgroup", "docker network")
    return all(one.startswith(kept) for one in found) if before is None else found == before


def birth_of(pid: int) -> str:
    """Return when a process began, empty where it is gone."""
    try:
        raw = Path(f"/proc/{pid}/stat").read_text()
    except OSError:
        return ""
    fields = raw.rpartition(")")[2].split()
    return "" if fields[0] in {"Z", "X"} else fields[19]
