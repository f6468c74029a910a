"""From an agent's flags to the networks of its containers."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from merismos.core.containers.cni_format import Dns
from merismos.daemons.agent_dns import ContainerDns, container_dns
from merismos.daemons.agent_networks import has_networks, networks_of
from merismos.shell import flag_tables
from merismos.shell.flags import FlagError, Flags, parse


def flags(*given: str) -> Flags:
    return parse(flag_tables.AGENT, list(given), {}, effective=frozenset())


def dns(document: object) -> ContainerDns:
    return container_dns(flags(f"--default_container_dns={json.dumps(document)}"))


def test_networks_are_on_where_both_directories_are_given() -> None:
    both = ("--network_cni_config_dir=/c", "--network_cni_plugins_dir=/p")
    assert not has_networks(flags())
    assert has_networks(flags(*both))
    assert has_networks(flags("--isolation=network/cni", *both))


@pytest.mark.parametrize(
    "given", ["--network_cni_config_dir=/c", "--network_cni_plugins_dir=/p", "--isolation=network/cni"]
)
def test_one_of_them_alone_is_a_mistake(given: str) -> None:
    with pytest.raises(FlagError, match="needs both --network_cni_config_dir and --network_cni_plugins_dir"):
        has_networks(flags(given))


def test_a_directory_that_is_not_there_is_named(tmp_path: Path) -> None:
    given = flags(f"--network_cni_config_dir={tmp_path}", f"--network_cni_plugins_dir={tmp_path}:{tmp_path}/none")
    with pytest.raises(FlagError, match=r"needs root|--network_cni_plugins_dir: there is no directory .*/none"):
        networks_of(given, str(tmp_path), tmp_path)


def test_resolvers_are_read_for_networks_of_cni_and_of_docker() -> None:
    found = dns(
        {
            "mesos": [
                {"network_mode": "CNI", "network_name": "net", "dns": {"nameservers": ["10.0.0.1"]}},
                {"network_mode": "CNI", "dns": {"nameservers": ["10.0.0.2"], "domain": "d.test"}},
            ],
            "docker": [
                {"network_mode": "BRIDGE", "dns": {"nameservers": ["10.0.0.3"]}},
                {"network_mode": "USER", "network_name": "own", "dns": {"nameservers": ["10.0.0.4"]}},
            ],
        }
    )
    assert found.cni.of("net") == Dns(["10.0.0.1"])
    assert found.cni.of("other") == Dns(["10.0.0.2"], "d.test")
    assert found.docker_bridge == Dns(["10.0.0.3"])
    assert (found.docker_user.of("own"), found.docker_user.of("other")) == (Dns(["10.0.0.4"]), None)


@pytest.mark.parametrize(
    ("document", "why"),
    [
        ({"mesos": [{"network_mode": "BRIDGE"}]}, "network_mode BRIDGE of mesos is not known; write CNI"),
        ({"docker": [{"network_mode": "CNI"}]}, "network_mode CNI of docker is not known; write BRIDGE or USER"),
        ({"mesos": [{"network_mode": "CNI", "dns": {"nameservers": ["a\nb"]}}]}, "is no word of a resolv.conf"),
        ({"mesos": 1}, "is no ContainerDNSInfo in JSON"),
    ],
)
def test_resolvers_that_make_no_sense_are_refused(document: object, why: str) -> None:
    with pytest.raises(FlagError, match=why):
        dns(document)
