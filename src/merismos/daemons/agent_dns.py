"""From --default_container_dns to the resolvers of containers.

Errors: FlagError, with what to change.
Source: Mesos, docs/configuration/agent.md.
"""

from __future__ import annotations

from typing import NamedTuple

import msgspec

from merismos.core.containers.cni_format import Dns, parse_dns
from merismos.core.containers.network_plan import DnsDefaults
from merismos.model.rejection import Rejection
from merismos.shell.flags import FlagError, Flags


class _Row(msgspec.Struct):
    network_mode: str
    network_name: str | None = None
    dns: msgspec.Raw = msgspec.Raw(b"{}")


class _Rows(msgspec.Struct):
    mesos: list[_Row] = []
    docker: list[_Row] = []


class ContainerDns(NamedTuple):
    """The resolvers of containers in networks of CNI, in Docker's bridge, and in Docker's own networks."""

    cni: DnsDefaults = DnsDefaults()
    docker_bridge: Dns | None = None
    docker_user: DnsDefaults = DnsDefaults()


def container_dns(flags: Flags) -> ContainerDns:
    """Return what the flag says."""
    text = flags.text("default_container_dns")
    if not text:
        return ContainerDns()
    try:
        given = msgspec.json.decode(text, type=_Rows)
    except (msgspec.DecodeError, UnicodeDecodeError) as error:
        raise FlagError(f"--default_container_dns is no ContainerDNSInfo in JSON: {error}") from error
    _check_modes("mesos", given.mesos, ("CNI",))
    _check_modes("docker", given.docker, ("BRIDGE", "USER"))
    bridge = _defaults([row for row in given.docker if row.network_mode == "BRIDGE"]).otherwise
    user = _defaults([row for row in given.docker if row.network_mode == "USER"])
    return ContainerDns(_defaults(given.mesos), bridge, user)


def _check_modes(kind: str, rows: list[_Row], known: tuple[str, ...]) -> None:
    for row in rows:
        if row.network_mode not in known:
            what = f"network_mode {row.network_mode} of {kind} is not known; write {' or '.join(known)}"
            raise FlagError(f"--default_container_dns: {what}")


def _defaults(rows: list[_Row]) -> DnsDefaults:
    by_network = {row.network_name: _dns(row) for row in rows if row.network_name is not None}
    others = [_dns(row) for row in rows if row.network_name is None]
    return DnsDefaults(by_network, others[-1] if others else None)


def _dns(row: _Row) -> Dns:
    dns = parse_dns(msgspec.json.decode(row.dns))
    if isinstance(dns, Rejection):
        raise FlagError(f"--default_container_dns: {dns.message}")
    return dns
