"""What is read from CNI's configuration files and said to its plugins, as documents of its specification.

Rules: a file holds one plugin (`type`) or a list (`plugins`), which run one after the other, each with the result of those before it.
What belongs to one container (labels, ports) goes into what a plugin is given: all of it as `args` of `org.apache.mesos`, ports also as
`runtimeConfig` of a plugin with the capability. Mesos' own port mapper means what it delegates to, followed by `portmap`.
A result is of any version of the specification from 0.1 to 1.0; one that is none is refused with what is wrong.
Source: the CNI specification 0.4.0 and 1.0.0; Mesos, docs/cni.md, for the arguments and the port mapper.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any

import msgspec

from merismos.model.rejection import Rejection
from merismos.protocol import json
from merismos.protocol.v1 import mesos

RESERVED = "org.apache.mesos"
PORT_MAPPER = "mesos-cni-port-mapper"
_PORTMAP = "portmap"
_PORTS = "portMappings"
_NAME = re.compile(r"[a-zA-Z0-9][a-zA-Z0-9_.\-]*")
_ADDRESS = re.compile(r"[0-9a-fA-F:.]+")
_WORD = re.compile(r"[!-~]+")
_OLDEST = "0.2.0"
_LISTS_SINCE = (0, 3)
_RESULTS_IN_DEL_SINCE = (0, 4)

Document = dict[str, Any]


class Dns(msgspec.Struct, frozen=True):
    """Resolvers, as a plugin or a flag names them."""

    nameservers: list[str] = []
    domain: str = ""
    search: list[str] = []
    options: list[str] = []


class NetworkConfig(msgspec.Struct, frozen=True):
    """One network: its plugins in the order in which they attach."""

    name: str
    version: str
    plugins: list[Document]

    def types(self) -> list[str]:
        """Return the programs that it needs, those of address management among them."""
        found = [str(plugin["type"]) for plugin in self.plugins]
        return found + [plugin["ipam"]["type"] for plugin in self.plugins if plugin.get("ipam")]


class Attachment(msgspec.Struct, frozen=True):
    """What came of joining a network: addresses without their prefixes, resolvers."""

    addresses: list[str] = []
    dns: Dns = Dns()


# ------------------------------------------------------------------ configuration


def parse_config(raw: bytes) -> NetworkConfig | Rejection:
    """Return the network that a file describes, or why it describes none."""
    try:
        document = msgspec.json.decode(raw)
    except (msgspec.DecodeError, UnicodeDecodeError) as error:
        return _invalid(f"it is no JSON: {error}")
    if not isinstance(document, dict):
        return _invalid("it is no JSON object")
    name, version = document.get("name"), document.get("cniVersion", _OLDEST)
    if not isinstance(name, str) or _NAME.fullmatch(name) is None:
        return _invalid(f"its name {name!r} must be letters, digits, '.', '_' and '-'")
    if not isinstance(version, str) or _numbers(version) is None:
        return _invalid(f"its cniVersion {version!r} is no version")
    plugins = document.get("plugins", [document])
    if not isinstance(plugins, list) or not plugins:
        return _invalid("its plugins must be a list of at least one")
    found: list[Document] = []
    for plugin in plugins:
        chain = _chain_of(plugin)
        if isinstance(chain, Rejection):
            return chain
        found += chain
    if len(found) > 1 and (_numbers(version) or ()) < _LISTS_SINCE:
        version = "0.3.1"
    return NetworkConfig(name, version, found)


def _chain_of(plugin: object) -> list[Document] | Rejection:
    """Return what a plugin's document means, itself but for Mesos' port mapper."""
    if not isinstance(plugin, dict):
        return _invalid("a plugin of it is no JSON object")
    if not isinstance(plugin.get("args", {}), dict) or not isinstance(plugin.get("capabilities", {}), dict):
        return _invalid("args and capabilities of a plugin must be JSON objects")
    if RESERVED in plugin.get("args", {}):
        return _invalid(f"'{RESERVED}' in 'args' should not be set in a CNI network configuration; it is reserved")
    if plugin.get("type") == PORT_MAPPER:
        delegate = plugin.get("delegate")
        inner = _chain_of(delegate)
        if isinstance(inner, Rejection):
            return _invalid(f"what {PORT_MAPPER} delegates to: {inner.message}")
        return [*inner, {"type": _PORTMAP, "capabilities": {_PORTS: True}, "snat": True}]
    ipam = plugin.get("ipam") or {}
    if not isinstance(ipam, dict):
        return _invalid("the ipam of a plugin must be a JSON object")
    for kind in (plugin.get("type"), *([ipam.get("type")] if ipam else [])):
        if not isinstance(kind, str) or _NAME.fullmatch(kind) is None:
            return _invalid(f"a plugin's type {kind!r} must be the name of a program in --network_cni_plugins_dir")
    return [plugin]


def configs_for(config: NetworkConfig, info: mesos.NetworkInfo) -> list[Document]:
    """Return what each plugin is given to let a container join as `info` says."""
    about = msgspec.json.decode(json.encode(info))
    ports = [_port_of(one) for one in info.port_mappings]
    documents = []
    for plugin in config.plugins:
        kept = {
            key: value for key, value in plugin.items() if key not in {"capabilities", "name", "cniVersion", "delegate"}
        }
        document: Document = {"cniVersion": config.version, "name": config.name, **kept}
        document["args"] = {**plugin.get("args", {}), RESERVED: {"network_info": about}}
        if ports and plugin.get("capabilities", {}).get(_PORTS) is True:
            document["runtimeConfig"] = {_PORTS: ports}
        documents.append(document)
    return documents


def maps_ports(config: NetworkConfig) -> bool:
    """Say whether a plugin of a network takes port mappings."""
    return any(plugin.get("capabilities", {}).get(_PORTS) is True for plugin in config.plugins)


def input_of(document: Document, command: str, previous: Document | None) -> bytes:
    """Return what a plugin reads: its configuration with what the plugins before it, or an earlier ADD, came to."""
    if previous is not None and (command == "ADD" or (_numbers(document["cniVersion"]) or ()) >= _RESULTS_IN_DEL_SINCE):
        document = {**document, "prevResult": previous}
    return msgspec.json.encode(document)


def _port_of(port: mesos.NetworkInfo_PortMapping) -> Document:
    protocol = (port.protocol or "tcp").lower()
    return {"hostPort": port.host_port, "containerPort": port.container_port, "protocol": protocol}


# ------------------------------------------------------------------ results


def parse_result(raw: bytes) -> Document | Rejection:
    """Return what a plugin that succeeded wrote, or what is wrong with it."""
    try:
        document = msgspec.json.decode(raw or b"{}")
    except (msgspec.DecodeError, UnicodeDecodeError):
        return _garbage(raw, "no JSON")
    if not isinstance(document, dict):
        return _garbage(raw, "no JSON object")
    attachment = read_attachment(document)
    return attachment if isinstance(attachment, Rejection) else document


def read_attachment(document: Document) -> Attachment | Rejection:
    """Return the addresses and resolvers of a result, or what is wrong with it."""
    rows = document.get("ips") or [document[key] for key in ("ip4", "ip6") if document.get(key) is not None]
    if not isinstance(rows, list):
        return _garbage(document, "ips is no list")
    addresses = []
    for row in rows:
        given = row.get("address", row.get("ip")) if isinstance(row, dict) else None
        address = str(given).partition("/")[0]
        if _ADDRESS.fullmatch(address) is None:
            return _garbage(document, f"{given!r} is no address")
        addresses.append(address)
    dns = parse_dns(document.get("dns") or {})
    return _garbage(document, f"dns: {dns.message}") if isinstance(dns, Rejection) else Attachment(addresses, dns)


def parse_dns(given: object) -> Dns | Rejection:
    """Return resolvers from a document."""
    try:
        dns = msgspec.convert(given, Dns)
    except msgspec.ValidationError as error:
        return Rejection("dns_invalid", str(error))
    words = (*dns.nameservers, *dns.search, *dns.options, *([dns.domain] if dns.domain else []))
    wrong = [word for word in words if _WORD.fullmatch(word) is None]
    return Rejection("dns_invalid", f"{wrong[0]!r} is no word of a resolv.conf") if wrong else dns


def read_error(raw: bytes, stderr: str) -> str:
    """Return why a plugin failed: its own words where it has some."""
    try:
        document = msgspec.json.decode(raw)
    except (msgspec.DecodeError, UnicodeDecodeError):
        document = None
    told = ""
    if isinstance(document, dict):
        parts = [
            str(document[key]) for key in ("msg", "details") if isinstance(document.get(key), str) and document[key]
        ]
        told = ": ".join(parts)
    text = told or raw.decode(errors="replace").strip() or "it said nothing"
    return _shortened(f"{text} ({stderr.strip()})" if stderr.strip() and not told else text)


def _garbage(answer: object, what: str) -> Rejection:
    shown = answer.decode(errors="replace") if isinstance(answer, bytes) else msgspec.json.encode(answer).decode()
    return Rejection("cni_result_invalid", f"what it answered is no CNI result ({what}): {_shortened(shown)}")


def _shortened(text: str, characters_max: int = 300) -> str:
    return text if len(text) <= characters_max else f"{text[:characters_max]}..."


def _numbers(version: str) -> tuple[int, ...] | None:
    parts = version.split(".")
    return tuple(map(int, parts)) if all(part.isdigit() for part in parts) else None


def _invalid(text: str) -> Rejection:
    return Rejection("cni_config_invalid", text)


def describe_unknown(name: str, known: Mapping[str, object], directory: str) -> str:
    """Return the words for a network that nobody knows."""
    there = f"known are {', '.join(sorted(known))}" if known else "there is none"
    return f"Unknown CNI network '{name}': {there} in {directory}"
