"""The networks of containers: joined before their first process starts, left after the last has ended, exactly once each.

Rules: what is joined is written down before a plugin is asked, and forgotten once every plugin has let go; so a restart knows what to
leave, whatever came between. Networks are joined in the order asked for and left in the reverse. A container is over only once its
networks were left, or a first attempt failed: nobody waits for a plugin that can't, it is asked again and again, in the end
without the namespace, whose interfaces go with it.
Source: Mesos, docs/cni.md.
"""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from pathlib import Path

import msgspec
import structlog

from merismos.adapters.linux.netns import Traffic, traffic_in
from merismos.containers.cni import CniNetworks, CniPlugins, NetworkError
from merismos.containers.network_records import NAMESPACE, Joining, NetworkRecords
from merismos.core.agent.events import HeldContainer
from merismos.core.containers.cni_format import configs_for, input_of, parse_result
from merismos.core.containers.network_plan import (
    DnsDefaults,
    NetworkPlan,
    choose_dns,
    format_hosts,
    format_resolvers,
)
from merismos.model.rejection import Rejection
from merismos.protocol import json
from merismos.protocol.v1 import mesos

_AGAIN_S = (1.0, 5.0, 30.0)
_RESOLVERS = Path("/etc/resolv.conf")


class ContainerNetworks:
    """The networks of one agent's containers."""

    def __init__(
        self, records: NetworkRecords, networks: CniNetworks, plugins: CniPlugins, defaults: DnsDefaults
    ) -> None:
        self._records = records
        self._networks = networks
        self._plugins = plugins
        self._defaults = defaults
        self._joined: dict[str, list[mesos.NetworkInfo]] = {}
        self._joining: dict[str, asyncio.Task[None]] = {}
        self._leaving: dict[str, asyncio.Task[bool]] = {}
        self._retrying: dict[str, asyncio.Task[None]] = {}

    async def recover(self, held: Sequence[HeldContainer]) -> None:
        """Keep the networks of containers that are held and run, and leave all others, beside the loop; each is told of what it had.

        Errors: OSError where the directory can't be had.
        """
        running = dict.fromkeys(owner_of(one.container_id) for one in held if one.status is None)
        await asyncio.to_thread(self._records.open)
        told = {owner: tuple(networks) for owner, networks in self._joined.items()}
        for container_id in self._records.containers():
            if self.has(container_id) or container_id in self._retrying:
                continue
            networks = [one.told() for one in self._records.read(container_id)]
            told[container_id] = tuple(networks)
            if container_id in running:
                self._joined[container_id] = networks
            else:
                structlog.get_logger().info("leaving the networks of a container that is gone", container=container_id)
                self._leave(container_id)
        for one in held:
            one.networks = told.get(owner_of(one.container_id), ())

    def told(self, container_id: str) -> tuple[mesos.NetworkInfo, ...]:
        """Return what a status says of the networks of a container, or of the one that it is nested in."""
        return tuple(self._joined.get(owner_of(container_id), ()))

    def namespace_of(self, owner: str) -> Path | None:
        """Return the namespace of a container that has joined its networks."""
        return self._records.path(owner, NAMESPACE) if owner in self._joined else None

    def traffic_of(self, owner: str) -> Traffic | None:
        """Return what went through the networks of a container, None where that isn't known."""
        namespace = self.namespace_of(owner)
        if namespace is None:
            return None
        try:
            return traffic_in(namespace)
        except OSError:
            return None

    def file_of(self, owner: str, name: str) -> Path:
        """Return the path of a file that a container sees in /etc."""
        return self._records.path(owner, name)

    @property
    def directory(self) -> Path:
        """Where the namespaces are mounted."""
        return self._records.directory

    async def join(self, plan: NetworkPlan) -> None:
        """Have a container's networks joined.

        Errors: NetworkError; then nothing of them is left.
        """
        owner = plan.owner
        while (leaving := self._leaving.get(owner)) is not None:
            await asyncio.wait({leaving})
        if owner in self._joined:
            return
        if plan.joins:
            raise NetworkError("the network of its container is gone")
        if owner in self._retrying:
            raise NetworkError("what this container had joined before can't be left; the agent's log says why")
        joining = self._joining.get(owner)
        if joining is None:
            joining = self._joining[owner] = asyncio.get_running_loop().create_task(self._join(plan))
            joining.add_done_callback(lambda _: self._joining.pop(owner, None))
        await asyncio.shield(joining)

    def abort(self, owner: str) -> None:
        """Let what a container is joining be left: whoever waits for it is cancelled."""
        joining = self._joining.get(owner)
        if joining is not None:
            joining.cancel()

    async def leave(self, owner: str) -> None:
        """Leave the networks of a container, if it has some; a plugin that can't is asked again later."""
        joining = self._joining.get(owner)
        if joining is not None:
            await asyncio.wait({joining})
        if owner in self._joined:
            self._leave(owner)
        leaving = self._leaving.get(owner)
        if leaving is not None:
            await asyncio.wait({leaving})

    def has(self, container_id: str) -> bool:
        """Say whether there is something to leave."""
        return container_id in self._joined or container_id in self._joining or container_id in self._leaving

    def owners(self) -> list[str]:
        """Return the containers that have joined networks, or are about to."""
        return [*self._joined, *self._joining]

    async def close(self, *, end: bool) -> None:
        """Let go; with `end` every network is left, as far as its plugins can."""
        for joining in list(self._joining.values()):
            joining.cancel()
        await asyncio.gather(*self._joining.values(), return_exceptions=True)
        if end:
            await asyncio.gather(*map(self.leave, list(self._joined)))
            await asyncio.gather(*self._leaving.values())
        stopping = [*self._leaving.values(), *self._retrying.values()]
        for task in stopping:
            task.cancel()
        await asyncio.gather(*stopping, return_exceptions=True)
        if end:
            await asyncio.to_thread(self._records.close)

    # ------------------------------------------------------------------ joining

    async def _join(self, plan: NetworkPlan) -> None:
        owner = plan.owner
        wanted = self._wanted(plan.networks)
        try:
            await asyncio.to_thread(self._records.begin, owner)
            for joining in wanted:
                await self._attach(owner, joining)
            await asyncio.to_thread(self._write_files, plan, wanted)
        except BaseException as error:
            self._leave(owner)
            if isinstance(error, OSError):
                raise NetworkError(str(error)) from error
            raise
        self._joined[owner] = [one.told() for one in wanted]

    def _wanted(self, networks: list[mesos.NetworkInfo]) -> list[Joining]:
        found = []
        for number, info in enumerate(networks):
            config = self._networks.find(info.name or "")
            for kind in config.types():
                self._plugins.find(kind)
            raw = msgspec.Raw(json.encode(info))
            found.append(Joining(config.name, f"eth{number}", raw, configs_for(config, info)))
        return found

    async def _attach(self, owner: str, joining: Joining) -> None:
        self._records.write(owner, joining)
        for document in joining.plugins:
            answer = await self._ask("ADD", owner, joining, document)
            result = parse_result(answer)
            if isinstance(result, Rejection):
                raise NetworkError(f"CNI network '{joining.name}': the plugin '{document['type']}': {result.message}")
            joining.result = result
            self._records.write(owner, joining)

    async def _ask(self, command: str, owner: str, joining: Joining, document: dict[str, object]) -> bytes:
        try:
            return await self._plugins.run(
                command,
                str(document["type"]),
                input_of(document, command, joining.result),
                container_id=owner,
                netns=self._records.path(owner, NAMESPACE),
                interface=joining.interface,
            )
        except NetworkError as error:
            raise NetworkError(f"CNI network '{joining.name}': {error}") from error

    def _write_files(self, plan: NetworkPlan, joined: list[Joining]) -> None:
        dns = choose_dns([(one.name, one.attachment()) for one in joined], self._defaults)
        contents = {
            "hostname": f"{plan.hostname}\n",
            "hosts": format_hosts(plan.hostname, [one.told() for one in joined]),
            "resolv.conf": format_resolvers(dns) if dns.nameservers else _RESOLVERS.read_text(errors="replace"),
        }
        self._records.write_files(plan.owner, contents)

    # ------------------------------------------------------------------ leaving

    def _leave(self, owner: str) -> None:
        self._joined.pop(owner, None)
        leaving = self._leaving[owner] = asyncio.get_running_loop().create_task(self._detach(owner))
        leaving.add_done_callback(lambda done: self._after_first(owner, done))

    def _after_first(self, owner: str, leaving: asyncio.Task[bool]) -> None:
        del self._leaving[owner]
        if not leaving.cancelled() and not leaving.result():
            retrying = self._retrying[owner] = asyncio.get_running_loop().create_task(self._retry(owner))
            retrying.add_done_callback(lambda _: self._retrying.pop(owner, None))

    async def _retry(self, owner: str) -> None:
        attempts = 0
        done = False
        while not done:
            await asyncio.sleep(_AGAIN_S[min(attempts, len(_AGAIN_S) - 1)])
            attempts += 1
            if attempts == len(_AGAIN_S):
                await asyncio.to_thread(self._records.release, owner)
            done = await self._detach(owner)

    async def _detach(self, owner: str) -> bool:
        """Leave every network that is left of a container; False where a plugin can't."""
        try:
            failures = []
            for joining in self._records.read(owner)[::-1]:
                failures += await self._detach_one(owner, joining)
            if not failures:
                await asyncio.to_thread(self._records.forget, owner)
        except OSError as error:
            failures = [str(error)]
        for why in failures:
            what = "the plugin is asked again; what it holds (addresses, rules) stays taken until it lets go"
            structlog.get_logger().error("a network can't be left", container=owner, why=why, what=what)
        return not failures

    async def _detach_one(self, owner: str, joining: Joining) -> list[str]:
        failures = []
        for document in joining.plugins[::-1]:
            try:
                await self._ask("DEL", owner, joining, document)
            except NetworkError as error:
                failures.append(str(error))
        if not failures:
            await asyncio.to_thread(self._records.forget_network, owner, joining.name)
        return failures


def owner_of(container_id: str) -> str:
    """Return the container that a container's network was made for: what is nested has that of the outermost."""
    return container_id.partition(".")[0]
