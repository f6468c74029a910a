"""Offers as JSON, put together from pieces that outlive one offer.

Rules: what an agent's offers share (id, hostname, url, attributes) is rendered once an agent; resources once a collection, role
and format, kept while the same collection is offered again. Kept pieces are bounded. Protobuf offers are made of the same parts
as messages.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import msgspec

from merismos.model.resource_protocol import to_protocol
from merismos.protocol import json
from merismos.protocol.v1 import mesos

if TYPE_CHECKING:
    from merismos.core.master.state import Agent, Framework, Offer
    from merismos.model.identity import Identity
    from merismos.model.resources import Resources

AGENTS_MAX = 50_000
RESOURCES_MAX = 10_000
PREFIX = b'{"type":"OFFERS","offers":{"offers":['
SUFFIX = b"]}}"
_ENCODER = msgspec.json.Encoder()


def quoted(text: str) -> str:
    """Return a JSON string, ASCII only."""
    data = _ENCODER.encode(text)
    return (data if data.isascii() else json.to_ascii(data)).decode()


def url_of(agent: Agent) -> mesos.URL:
    """Return where an agent's HTTP server is, from its pid `slave(1)@ip:port`."""
    name, _, address = agent.pid.partition("@")
    ip, _, port = address.rpartition(":")
    return mesos.URL(
        scheme="http",
        address=mesos.Address(hostname=agent.info.hostname, ip=ip, port=int(port) if port.isdigit() else 0),
        path=f"/{name}",
    )


class _AgentPieces:
    """What all offers of one agent have in common."""

    __slots__ = ("after", "before", "info", "pid", "url")

    def __init__(self, agent: Agent) -> None:
        self.info = agent.info
        self.pid = agent.pid
        self.url = url_of(agent)
        before = f'"agent_id":{{"value":{quoted(agent.id)}}},"hostname":{quoted(agent.info.hostname)},"url":'
        self.before = before.encode() + json.encode(self.url)
        domain = agent.info.domain
        if domain is not None:
            self.before += b',"domain":' + json.encode(domain)
        attributes = b",".join(json.encode(attribute) for attribute in agent.info.attributes)
        self.after = b',"attributes":[' + attributes + b"]" if attributes else b""


class OfferPieces:
    """Renders OFFERS events."""

    __slots__ = ("_agents", "_names", "_resources", "_tails")

    def __init__(self) -> None:
        self._agents: dict[str, _AgentPieces] = {}
        self._resources: dict[tuple[int, str, bool, bool], tuple[Resources, bytes]] = {}
        self._tails: dict[tuple[str, bool, bool], tuple[str, bytes]] = {}
        self._names: dict[Identity, str] = {}

    def event(self, offers: list[Offer]) -> bytes:
        """Return one OFFERS event."""
        return PREFIX + b",".join([self._offer(offer) for offer in offers]) + SUFFIX

    def message(self, offer: Offer) -> mesos.Offer:
        """Return one offer as a message."""
        agent, framework = offer.agent, offer.framework
        role = offer.role if framework.multi_role else None
        return mesos.Offer(
            id=mesos.OfferID(value=offer.id),
            framework_id=mesos.FrameworkID(value=framework.id),
            agent_id=mesos.AgentID(value=agent.id),
            hostname=agent.info.hostname,
            url=self._pieces(agent).url,
            domain=agent.info.domain,
            resources=to_protocol(offer.resources, allocation_role=role, refinement=framework.refinement),
            attributes=agent.info.attributes,
            executor_ids=[mesos.ExecutorID(value=name) for name in _executor_ids(agent, framework)],
            unavailability=agent.unavailability,
            allocation_info=None if role is None else mesos.Resource_AllocationInfo(role=role),
        )

    def _offer(self, offer: Offer) -> bytes:
        agent, framework = offer.agent, offer.framework
        pieces = self._agents.get(agent.id)
        if pieces is None or pieces.info is not agent.info or pieces.pid != agent.pid:
            pieces = self._pieces(agent)
        tail, end = self._tail(offer.role, framework.multi_role, framework.refinement)
        more = b""
        if agent.executors and (names := _executor_ids(agent, framework)):
            more = ',"executor_ids":[{}]'.format(",".join(f'{{"value":{quoted(name)}}}' for name in names)).encode()
        if agent.unavailability is not None:
            more += b',"unavailability":' + json.encode(agent.unavailability)
        return b'{"id":{"value":"%b"},"framework_id":{"value":%b},%b,"resources":[%b]%b%b%b' % (
            offer.id.encode(),
            quoted(framework.id).encode(),
            pieces.before,
            self._rendered(offer.resources, offer.role, framework, tail),
            pieces.after,
            more,
            end,
        )

    def _pieces(self, agent: Agent) -> _AgentPieces:
        pieces = self._agents.get(agent.id)
        if pieces is None or pieces.info is not agent.info or pieces.pid != agent.pid:
            if len(self._agents) >= AGENTS_MAX:
                self._agents.clear()
            pieces = self._agents[agent.id] = _AgentPieces(agent)
        return pieces

    def _tail(self, role: str, multi_role: bool, refinement: bool) -> tuple[str, bytes]:  # noqa: FBT001 - a key's parts
        key = (role, multi_role, refinement)
        found = self._tails.get(key)
        if found is None:
            allocation = f',"allocation_info":{{"role":{quoted(role)}}}' if multi_role else ""
            if len(self._tails) >= RESOURCES_MAX:
                self._tails.clear()
            found = self._tails[key] = (
                ("" if refinement else ',"role":"*"') + allocation + "}",
                (allocation + "}").encode(),
            )
        return found

    def _rendered(self, resources: Resources, role: str, framework: Framework, tail: str) -> bytes:
        key = (id(resources), role, framework.multi_role, framework.refinement)
        found = self._resources.get(key)
        if found is not None and found[0] is resources:
            return found[1]
        if resources.is_plain:
            rendered = self._plain(resources, tail)
        else:
            allocated = role if framework.multi_role else None
            messages = to_protocol(resources, allocation_role=allocated, refinement=framework.refinement)
            rendered = b",".join([json.encode(message) for message in messages])
        if len(self._resources) >= RESOURCES_MAX:
            self._resources.clear()
        self._resources[key] = (resources, rendered)
        return rendered

    def _plain(self, resources: Resources, tail: str) -> bytes:
        """Render entries that are nothing but a name and a value."""
        names = self._names
        parts: list[str] = []
        for identity, value in resources.amounts.items():
            name = names.get(identity)
            if name is None:
                name = names[identity] = quoted(identity.name)
            if identity.type == "SCALAR":
                parts.append(f'{{"name":{name},"type":"SCALAR","scalar":{{"value":{value / 1000!r}}}{tail}')
            elif identity.type == "RANGES":
                spans = ",".join([f'{{"begin":{begin},"end":{end}}}' for begin, end in value])
                parts.append(f'{{"name":{name},"type":"RANGES","ranges":{{"range":[{spans}]}}{tail}')
            else:
                items = ",".join([quoted(item) for item in value])
                parts.append(f'{{"name":{name},"type":"SET","set":{{"item":[{items}]}}{tail}')
        return ",".join(parts).encode()


def _executor_ids(agent: Agent, framework: Framework) -> list[str]:
    return [executor for owner, executor in agent.executors if owner == framework.id]
