"""Which networks a container joins, and what it finds there: names, resolvers, addresses.

Rules: a container with named networks has a network of its own, and no other way out; without one it shares its agent's, and port
mappings of what has no name are passed over, as in Mesos (task-processing always sends one). What is nested
shares its parent's: tasks of a group are in their executor's network, checks and sessions in their task's. What can't be is refused
in words before anything is started, but for a network that nobody knows: its file may come later, so that is said at the launch.
Source: Mesos, docs/cni.md.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import TYPE_CHECKING

import msgspec

from merismos.core.containers.cni_format import Attachment, Dns
from merismos.model.rejection import Rejection
from merismos.protocol.v1 import mesos

if TYPE_CHECKING:
    from merismos.core.agent.state import AgentSettings, Task

_ANY_ADDRESS = "0.0.0.0"  # noqa: S104 - Mesos' word for whoever can't know the address yet
_PORT_MAX = 65535
_HOSTNAME = re.compile(r"[A-Za-z0-9]([A-Za-z0-9.-]{0,61}[A-Za-z0-9])?")
_PROTOCOLS = ("tcp", "udp", "sctp")


class NetworkPlan(msgspec.Struct, frozen=True):
    """The network of a container.

    Shapes: `owner` is the container that the network is made for; with `joins` it is there already, else the first to come makes it.
    """

    owner: str
    networks: list[mesos.NetworkInfo] = []
    hostname: str = ""
    joins: bool = False


class DnsDefaults(msgspec.Struct, frozen=True):
    """The resolvers of --default_container_dns: by network, and for all others."""

    by_network: dict[str, Dns] = {}
    otherwise: Dns | None = None

    def of(self, name: str) -> Dns | None:
        """Return the resolvers of a network, None where nothing is said of it."""
        return self.by_network.get(name, self.otherwise)


def named_networks(container: mesos.ContainerInfo | None) -> list[mesos.NetworkInfo]:
    """Return the networks that a container asks for by name; the others mean its agent's."""
    if container is None or container.type is not mesos.ContainerInfo_Type.MESOS:
        return []
    return [network for network in container.network_infos if network.name]


def plan_network(container: mesos.ContainerInfo | None, container_id: str) -> NetworkPlan | None:
    """Return the network of a container of its own, None where it has its agent's."""
    networks = named_networks(container)
    if container is None or not networks:
        return None
    return NetworkPlan(container_id, networks, container.hostname or container_id)


def join_network(owner: str) -> NetworkPlan | None:
    """Return the network of a process that joins a container's; empty: the agent's."""
    return NetworkPlan(owner, joins=True) if owner else None


def network_of_task(task: Task) -> NetworkPlan | None:
    """Return the network of a task: its own, or the one of the executor that it is nested in."""
    executor = task.executor
    if executor is None:
        return plan_network(task.info.container, task.container_id)
    return plan_network(executor.info.container, executor.container_id)


def owner_of_network(task: Task) -> str:
    """Return the container that a task's network was made for, empty where it is the agent's."""
    plan = network_of_task(task)
    return "" if plan is None else plan.owner


def validate_networks(settings: AgentSettings, container: mesos.ContainerInfo | None) -> Rejection | None:
    """Say why this agent can't have a container join its networks, None where it can."""
    networks = named_networks(container)
    if not networks:
        return None
    if not settings.networks:
        what = "start it with --isolation=network/cni, --network_cni_config_dir and --network_cni_plugins_dir"
        return _refused(f"network '{networks[0].name}': this agent joins none; {what}")
    names = [network.name for network in networks]
    twice = [name for name in names if names.count(name) > 1]
    if twice:
        return _refused(f"Attempted to join CNI network '{twice[0]}' multiple times")
    hostname = None if container is None else container.hostname
    if hostname and _HOSTNAME.fullmatch(hostname) is None:
        return _refused(f"the hostname '{hostname}' must be at most 63 letters, digits, '.' and '-'")
    return next((fault for network in networks for fault in map(_fault_of_port, network.port_mappings) if fault), None)


def _fault_of_port(port: mesos.NetworkInfo_PortMapping) -> Rejection | None:
    if not (0 < port.host_port <= _PORT_MAX and 0 < port.container_port <= _PORT_MAX):
        return _refused(f"a port mapping of {port.host_port} to {port.container_port}: ports are 1 to {_PORT_MAX}")
    if (port.protocol or "tcp").lower() not in _PROTOCOLS:
        return _refused(f"a port mapping's protocol '{port.protocol}' is not known; known are {', '.join(_PROTOCOLS)}")
    return None


def told_network(asked: mesos.NetworkInfo, attachment: Attachment) -> mesos.NetworkInfo:
    """Return what a status says of a network that was joined."""
    kinds = mesos.NetworkInfo_Protocol
    addresses = [
        mesos.NetworkInfo_IPAddress(protocol=kinds.IPv6 if ":" in one else kinds.IPv4, ip_address=one)
        for one in attachment.addresses
    ]
    return msgspec.structs.replace(asked, ip_addresses=addresses)


def first_address(networks: Sequence[mesos.NetworkInfo]) -> str:
    """Return the address by which a container is known, the first; empty where it has none."""
    return next((one.ip_address or "" for network in networks for one in network.ip_addresses), "")


def with_address(environment: list[str], address: str) -> list[str]:
    """Return the environment of a container with a network of its own: what it was told of the agent's address isn't its own."""
    changed = list(environment)
    for name, value in (("LIBPROCESS_IP", _ANY_ADDRESS), ("MESOS_CONTAINER_IP", address)):
        at = next((index for index, one in enumerate(changed) if one.startswith(f"{name}=")), None)
        if at is not None:
            changed[at] = f"{name}={value}"
    return changed


# ------------------------------------------------------------------ its files


def format_hosts(hostname: str, networks: Sequence[mesos.NetworkInfo]) -> str:
    """Return the /etc/hosts of a container."""
    addresses = [one.ip_address for network in networks for one in network.ip_addresses]
    lines = ["127.0.0.1\tlocalhost", "::1\tlocalhost ip6-localhost ip6-loopback"]
    return "".join(f"{line}\n" for line in [*lines, *(f"{address}\t{hostname}" for address in addresses)])


def choose_dns(joined: Sequence[tuple[str, Attachment]], defaults: DnsDefaults) -> Dns:
    """Return the resolvers of a container: those that its networks gave, else those of the flag; without servers, the machine's.

    Shapes: `joined` are the names of the networks with what came of each, in order.
    """
    found = Dns()
    for name, attachment in joined:
        given = attachment.dns
        if not given.nameservers:
            given = defaults.of(name) or Dns()
        found = Dns(
            [*found.nameservers, *given.nameservers],
            given.domain or found.domain,
            [*found.search, *given.search],
            [*found.options, *given.options],
        )
    return found


def format_resolvers(dns: Dns) -> str:
    """Return a resolv.conf."""
    lines = [f"domain {dns.domain}"] if dns.domain else []
    lines += [f"search {' '.join(dns.search)}"] if dns.search else []
    lines += [f"options {' '.join(dns.options)}"] if dns.options else []
    return "".join(f"{line}\n" for line in [*lines, *(f"nameserver {one}" for one in dns.nameservers)])


def _refused(text: str) -> Rejection:
    return Rejection("container_unsupported", text)
