"""An agent in a network namespace of its own, with CNI's real plugins, and a look at what its containers leave behind there.

Rules: the agent's machine is a namespace with a loopback interface only, and so is its master's address; bridges, rules and addresses of
the plugins are of that namespace and the test's folder.
"""

from __future__ import annotations

import asyncio
import itertools
import json
import os
import shutil
import signal
import socket
import subprocess
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import aiohttp
from aiohttp.connector import AddrInfoType

from linux.cgroup_agent import LIMIT_S, eventually
from merismos.adapters.linux import netns
from merismos.adapters.linux.mounts import mounts_below, unmount_below
from merismos.protocol import link
from process.agent_process import AgentUnderTest
from process.link_master import link_master, task

PLUGINS = Path("/usr/lib/cni")
_NUMBERS = itertools.count()


def why_not() -> str:
    """Return why containers can't join networks here; empty where they can."""
    if os.geteuid() != 0:
        return "network namespaces need root"
    if not (PLUGINS / "bridge").is_file():
        return f"there is no {PLUGINS}/bridge: apt-get install containernetworking-plugins"
    missing = [name for name in ("ip", "tc", "nsenter", "iptables") if shutil.which(name) is None]
    return f"there is no {missing[0]}: apt-get install iproute2 util-linux iptables" if missing else ""


def bridge(name: str, folder: Path, subnet: str, **more: Any) -> dict[str, Any]:  # noqa: ANN401 - JSON
    """Return the configuration of a network on a bridge."""
    ipam = {"type": "host-local", "subnet": subnet, "dataDir": str(folder / "leases")}
    ipam |= {"routes": [{"dst": "0.0.0.0/0"}]}
    plugin = {"type": "bridge", "bridge": f"b-{name}", "isGateway": True, "ipam": ipam, **more}
    return {"cniVersion": "0.4.0", "name": name, **plugin}


def chained(config: dict[str, Any], *plugins: dict[str, Any]) -> dict[str, Any]:
    """Return a list of a network's plugin and others after it."""
    first = {key: value for key, value in config.items() if key not in {"cniVersion", "name"}}
    return {"cniVersion": config["cniVersion"], "name": config["name"], "plugins": [first, *plugins]}


class Machine:
    """A namespace with a loopback interface, in which an agent may live."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.configs = folder / "net.d"
        self.configs.mkdir()
        self.namespaces = folder / "machine"
        netns.open_directory(self.namespaces)
        self.namespace = self.namespaces / "net"
        netns.create(self.namespace)

    def close(self) -> None:
        unmount_below(self.folder)

    def command(self, *words: str) -> tuple[str, ...]:
        return ("nsenter", f"--net={self.namespace}", "--", *words)

    def run(self, *words: str) -> str:
        done = subprocess.run(self.command(*words), capture_output=True, text=True, timeout=30, check=False)
        assert done.returncode == 0, f"{' '.join(words)}: {done.stderr.strip()}"
        return done.stdout

    def add(self, config: dict[str, Any]) -> None:
        """Give the agent one more network."""
        (self.configs / f"{next(_NUMBERS):03}-{config['name']}.conf").write_text(json.dumps(config))

    def listen(self) -> socket.socket:
        listener = netns.socket_in(self.namespace, socket.AF_INET, socket.SOCK_STREAM)
        listener.bind(("127.0.0.1", 0))
        listener.listen()
        listener.setblocking(False)
        return listener

    async def ask(self, ip: str, port: int) -> bytes:
        """Return what a port says to this machine; nothing where it isn't open."""
        loop = asyncio.get_running_loop()
        with netns.socket_in(self.namespace, socket.AF_INET, socket.SOCK_STREAM) as connection:
            connection.setblocking(False)
            try:
                async with asyncio.timeout(5.0):
                    await loop.sock_connect(connection, (ip, port))
                    return await loop.sock_recv(connection, 100)
            except (OSError, TimeoutError):
                return b""

    @staticmethod
    def signal(pid: int) -> None:
        """End a process."""
        os.kill(pid, signal.SIGKILL)

    def leases(self) -> list[str]:
        """Return the addresses that are taken."""
        return sorted(path.name for path in (self.folder / "leases").glob("*/*") if path.name[0].isdigit())

    def links(self) -> list[str]:
        """Return the interfaces that containers may have left."""
        rows = json.loads(self.run("ip", "-j", "link"))
        return sorted(row["ifname"] for row in rows if not row["ifname"].startswith(("lo", "b-")))

    def rules(self) -> list[str]:
        """Return the rules of single containers."""
        rows = self.run("iptables", "-t", "nat", "-S").splitlines()
        return [row for row in rows if "-A" in row and "-DN-" in row]


class CniAgent:
    """An agent and its machine."""

    def __init__(self, agent: AgentUnderTest, machine: Machine) -> None:
        self.agent = agent
        self.master = agent.master
        self.machine = machine

    def run(self, task_id: str, command: object, *networks: object, **fields: Any) -> None:  # noqa: ANN401 - of TaskInfo
        infos = [{"name": one} if isinstance(one, str) else one for one in networks]
        container = {"type": "MESOS", "network_infos": infos, **fields.pop("container", {})}
        self.master.run(task(task_id, command, container=container, **fields))

    async def infos_of(self, task_id: str) -> list[dict[str, Any]]:
        """Return the networks that a running task says it has."""
        await self.agent.pid_of(task_id)
        infos: list[dict[str, Any]] = self.master.statuses(task_id)[-1]["container_status"]["network_infos"]
        return infos

    async def ip_of(self, task_id: str) -> str:
        ip: str = (await self.infos_of(task_id))[0]["ip_addresses"][0]["ip_address"]
        return ip

    async def end_of(self, task_id: str) -> dict[str, Any]:
        return await self.master.end_of(task_id)

    async def output_of(self, task_id: str, command: object, *networks: object, **fields: Any) -> str:  # noqa: ANN401 - of TaskInfo
        self.run(task_id, command, *networks, **fields)
        status = await self.end_of(task_id)
        assert status["state"] == "TASK_FINISHED", (status["message"], self.output(task_id), self.agent.said())
        return self.output(task_id)

    def output(self, task_id: str) -> str:
        home = self.agent.work_dir / f"slaves/S0/frameworks/F/executors/{task_id}/runs/latest"
        files = (home / "stdout", home / "stderr")
        return "".join(file.read_text() for file in files if file.exists())

    def kill(self, task_id: str) -> None:
        self.master.send(link.KillTask("F", task_id, 0.0))

    def container(self, task_id: str) -> str:
        name: str = self.master.statuses(task_id)[-1]["container_status"]["container_id"]["value"]
        return name

    async def until_served(self, ip: str, port: int) -> None:
        """Wait until somebody serves there."""
        async with asyncio.timeout(LIMIT_S):
            while await self.machine.ask(ip, port) != b"served":
                await asyncio.sleep(0)

    async def call(self, kind: str, **fields: object) -> dict[str, Any]:
        """Return what the agent answers to a call."""
        pid = (*self.master.of(link.RegisterAgent), *self.master.of(link.ReregisterAgent))[-1].pid

        def make(address: AddrInfoType) -> socket.socket:
            return netns.socket_in(self.machine.namespace, *address[:3])

        connector = aiohttp.TCPConnector(socket_factory=make)
        body = {"type": kind, **({kind.lower(): fields} if fields else {})}
        async with (
            aiohttp.ClientSession(connector=connector) as session,
            session.post(f"http://{pid.partition('@')[2]}/api/v1", json=body) as answer,
        ):
            text = await answer.text()
            assert answer.status == 200, text
            found: dict[str, Any] = json.loads(text or "{}")
            return found

    async def containers(self) -> list[dict[str, Any]]:
        """Return what the agent says of its containers."""
        rows: list[dict[str, Any]] = (await self.call("GET_CONTAINERS"))["get_containers"]["containers"]
        return rows

    def nested_output(self, task_id: str, name: str) -> str:
        home = self.agent.work_dir / f"slaves/S0/frameworks/F/executors/{task_id}/runs/latest/containers/{name}"
        return "".join((home / file).read_text() for file in ("stdout", "stderr"))

    def records(self) -> list[Path]:
        return [path for path in self.directory.glob("*") if path.is_dir()]

    @property
    def directory(self) -> Path:
        persists = "--network_cni_root_dir_persist" in self.agent.flags
        return self.agent.work_dir / ("" if persists else "meta") / "isolators/network/cni"

    async def until_clean(self) -> None:
        """Wait until nothing of a container's network is left."""
        await eventually(lambda: not (self.records() or self.machine.leases() or self.machine.links()))
        assert self.machine.rules() == []


class Watched:
    """Plugins that note each call before it is made: `ADD bridge CONTAINER`."""

    def __init__(self, folder: Path) -> None:
        self.directory = folder / "watched"
        self.log = folder / "calls"
        self.directory.mkdir()
        for name in ("bridge", "portmap", "host-local"):
            self.put(name, f"exec {PLUGINS}/{name}")

    def put(self, name: str, script: str) -> None:
        """Have a plugin do this instead."""
        plugin = self.directory / f".{name}"
        note = f'[ "$CNI_COMMAND" = VERSION ] || echo "$CNI_COMMAND {name} $CNI_CONTAINERID" >>{self.log}'
        plugin.write_text(f"#!/bin/sh\n{note}\n{script}\n")
        plugin.chmod(0o755)
        plugin.rename(self.directory / name)

    def calls(self, kind: str) -> list[list[str]]:
        """Return the calls of a plugin, each as command and container."""
        rows = [line.split() for line in self.log.read_text().splitlines()] if self.log.exists() else []
        return [[command, container] for command, name, container in rows if name == kind]


@asynccontextmanager
async def cni_agent(folder: Path, *flags: str, configs: list[dict[str, Any]]) -> AsyncIterator[CniAgent]:
    machine = Machine(folder)
    try:
        for config in configs:
            machine.add(config)
        given = [f"--network_cni_config_dir={machine.configs}"]
        if not any(flag.startswith("--network_cni_plugins_dir=") for flag in flags):
            given.append(f"--network_cni_plugins_dir={PLUGINS}")
        async with link_master(machine.listen()) as master:
            agent = AgentUnderTest(master, folder / "w", (*given, *flags))
            agent.launcher = machine.command()
            await agent.start()
            found = CniAgent(agent, machine)
            try:
                yield found
            finally:
                await agent.end()
        assert machine.links() == [], "interfaces are left behind"
        assert machine.leases() == [], "addresses are left behind"
        assert machine.rules() == [], "rules are left behind"
        assert mounts_below(folder / "w") == [], "mounts are left behind"
        assert found.records() == [], "records are left behind"
    finally:
        machine.close()
