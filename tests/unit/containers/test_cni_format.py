"""CNI's documents: what files and plugins say, what plugins are given."""

from __future__ import annotations

import json
from typing import Any

import pytest

from merismos.core.containers.cni_format import (
    Attachment,
    Dns,
    NetworkConfig,
    configs_for,
    input_of,
    parse_config,
    parse_result,
    read_attachment,
    read_error,
)
from merismos.core.containers.network_plan import (
    DnsDefaults,
    choose_dns,
    format_hosts,
    format_resolvers,
    told_network,
    with_address,
)
from merismos.model.rejection import Rejection
from merismos.protocol.v1 import mesos

PORTS = [mesos.NetworkInfo_PortMapping(host_port=8080, container_port=80, protocol="TCP")]


def parsed(config: object) -> NetworkConfig:
    found = parse_config(json.dumps(config).encode())
    assert isinstance(found, NetworkConfig), found
    return found


def test_a_file_holds_a_plugin_or_a_list_of_them() -> None:
    one = parsed({"name": "net", "type": "bridge", "ipam": {"type": "host-local"}})
    assert (one.version, one.types()) == ("0.2.0", ["bridge", "host-local"])
    several = parsed({"cniVersion": "1.0.0", "name": "net", "plugins": [{"type": "ptp"}, {"type": "portmap"}]})
    assert (several.version, several.types()) == ("1.0.0", ["ptp", "portmap"])


def test_the_port_mapper_of_mesos_means_what_it_delegates_to_and_portmap() -> None:
    config = parsed({"name": "net", "type": "mesos-cni-port-mapper", "chain": "C", "delegate": {"type": "bridge"}})
    assert (config.version, config.types()) == ("0.3.1", ["bridge", "portmap"])
    first, second = configs_for(config, mesos.NetworkInfo(name="net", port_mappings=PORTS))
    assert "runtimeConfig" not in first
    assert second["runtimeConfig"] == {"portMappings": [{"hostPort": 8080, "containerPort": 80, "protocol": "tcp"}]}


def test_a_plugin_is_told_of_labels_and_ports_as_by_mesos() -> None:
    labels = mesos.Labels(labels=[mesos.Label(key="app", value="web")])
    info = mesos.NetworkInfo(name="net", labels=labels, port_mappings=PORTS)
    config = parsed({"name": "net", "type": "bridge", "args": {"own": 1}, "capabilities": {"bandwidth": True}})
    (given,) = configs_for(config, info)
    told = {
        "name": "net",
        "labels": {"labels": [{"key": "app", "value": "web"}]},
        "port_mappings": [{"host_port": 8080, "container_port": 80, "protocol": "TCP"}],
    }
    assert given == {
        "cniVersion": "0.2.0",
        "name": "net",
        "type": "bridge",
        "args": {"own": 1, "org.apache.mesos": {"network_info": told}},
    }


def test_a_result_goes_to_the_next_plugin_and_to_del_where_the_version_knows_it() -> None:
    for version, in_del in (("0.3.1", False), ("0.4.0", True), ("1.0.0", True)):
        document = {"cniVersion": version, "type": "portmap"}
        assert json.loads(input_of(document, "ADD", {"ips": []}))["prevResult"] == {"ips": []}
        assert ("prevResult" in json.loads(input_of(document, "DEL", {"ips": []}))) is in_del
    assert "prevResult" not in json.loads(input_of(document, "ADD", None))


@pytest.mark.parametrize(
    ("raw", "why"),
    [
        (b"{", "it is no JSON"),
        (b"[]", "it is no JSON object"),
        (b'{"name": "../up", "type": "bridge"}', "its name '../up' must be"),
        (b'{"name": "net"}', "a plugin's type None must be"),
        (b'{"name": "net", "type": "../bin/sh"}', "a plugin's type '../bin/sh' must be"),
        (b'{"name": "net", "type": "b", "cniVersion": "new"}', "its cniVersion 'new' is no version"),
        (b'{"name": "net", "plugins": []}', "its plugins must be a list of at least one"),
        (b'{"name": "net", "plugins": [1]}', "a plugin of it is no JSON object"),
        (b'{"name": "net", "type": "b", "args": 1}', "must be JSON objects"),
        (b'{"name": "net", "type": "b", "args": {"org.apache.mesos": {}}}', "it is reserved"),
        (b'{"name": "net", "type": "mesos-cni-port-mapper"}', "mesos-cni-port-mapper delegates to"),
    ],
)
def test_a_file_that_describes_no_network_says_why(raw: bytes, why: str) -> None:
    found = parse_config(raw)
    assert isinstance(found, Rejection)
    assert why in found.message


@pytest.mark.parametrize(
    "result",
    [
        {"ip4": {"ip": "10.1.0.2/24"}, "ip6": {"ip": "fd00::2/64"}},
        {
            "cniVersion": "0.4.0",
            "ips": [{"version": "4", "address": "10.1.0.2/24"}, {"version": "6", "address": "fd00::2/64"}],
        },
        {"cniVersion": "1.0.0", "ips": [{"address": "10.1.0.2/24"}, {"address": "fd00::2/64"}]},
    ],
)
def test_a_result_of_any_version_names_addresses(result: dict[str, Any]) -> None:
    attachment = read_attachment(result)
    assert isinstance(attachment, Attachment)
    told = told_network(mesos.NetworkInfo(name="net"), attachment)
    assert [(one.protocol.value, one.ip_address) for one in told.ip_addresses] == [
        ("IPv4", "10.1.0.2"),
        ("IPv6", "fd00::2"),
    ]


def test_nothing_is_a_result_and_garbage_is_none() -> None:
    assert parse_result(b"") == {}
    for raw in (b"no", b"[]", b'{"ips": 1}', b'{"ips": [{}]}', b'{"dns": {"nameservers": "one"}}', b"\xff"):
        found = parse_result(raw)
        assert isinstance(found, Rejection), raw
        assert "is no CNI result" in found.message


def test_the_words_of_a_plugin_that_fails_are_its_own_and_not_too_many() -> None:
    assert read_error(b'{"code": 7, "msg": "no", "details": "more"}', "noise") == "no: more"
    assert read_error(b"", "") == "it said nothing"
    assert read_error(b"", "boom\n") == "it said nothing (boom)"
    assert len(read_error(b"x" * 10_000, "")) < 400


def test_resolvers_are_the_networks_else_the_flags() -> None:
    own = Attachment(dns=Dns(["10.0.0.1"], "a.test", ["b.test"], ["ndots:2"]))
    defaults = DnsDefaults({"named": Dns(["10.0.0.2"])}, Dns(["10.0.0.3"]))
    found = choose_dns([("x", own), ("named", Attachment()), ("y", Attachment())], defaults)
    assert format_resolvers(found).splitlines() == [
        "domain a.test", "search b.test", "options ndots:2", "nameserver 10.0.0.1", "nameserver 10.0.0.2", "nameserver 10.0.0.3",
    ]  # fmt: skip
    assert choose_dns([("y", Attachment())], DnsDefaults()).nameservers == []


def test_hosts_name_the_container_by_each_address() -> None:
    info = told_network(mesos.NetworkInfo(name="net"), Attachment(["10.1.0.2", "fd00::2"]))
    assert format_hosts("me", [info]).splitlines()[2:] == ["10.1.0.2\tme", "fd00::2\tme"]


def test_a_container_is_not_told_the_address_of_its_agent() -> None:
    given = ["PATH=/bin", "LIBPROCESS_IP=192.0.2.1", "MESOS_CONTAINER_IP=192.0.2.1", "LIBPROCESS_IP=mine"]
    assert with_address(given, "10.1.0.2") == [
        "PATH=/bin", "LIBPROCESS_IP=0.0.0.0", "MESOS_CONTAINER_IP=10.1.0.2", "LIBPROCESS_IP=mine",
    ]  # fmt: skip
