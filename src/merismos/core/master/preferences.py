"""What a framework tells about its wishes: SUPPRESS, REVIVE, REQUEST, UPDATE_FRAMEWORK."""

from __future__ import annotations

from typing import TYPE_CHECKING

from merismos.core.allocator import validate_constraints
from merismos.core.master import counters, frameworks, offers, publish
from merismos.core.master.effects import Respond, SendToAgent
from merismos.core.master.validate.framework import (
    roles_of,
    validate_framework,
    validate_role_whitelist,
    validate_suppressed_roles,
    validate_update,
)
from merismos.model.rejection import Rejection
from merismos.model.resource_protocol import from_protocol
from merismos.protocol import link

if TYPE_CHECKING:
    from merismos.core.master.state import Framework, Master
    from merismos.protocol.thin import ThinCall
    from merismos.protocol.v1 import scheduler


def _own(framework: Framework, named: list[str]) -> list[str]:
    own = dict.fromkeys(framework.roles)
    return [role for role in dict.fromkeys(named) if role in own]


def on_suppress(master: Master, framework: Framework, call: ThinCall, request: int, now: float) -> None:  # noqa: ARG001 - the signature is given
    """No more offers for these roles (all where none is named); roles that it doesn't have are ignored, as in Mesos."""
    counters.count(master, "master/messages_suppress_offers")
    named = [] if call.suppress is None else call.suppress.roles
    roles = _own(framework, named)
    master.effects.append(Respond(request, 202))
    if named and not roles:
        return
    for role in roles or framework.roles:
        framework.suppressed[role] = None
    master.allocator.suppress(framework.id, roles)


def on_revive(master: Master, framework: Framework, call: ThinCall, request: int, now: float) -> None:  # noqa: ARG001 - the signature is given
    """Offers again for these roles (all where none is named), and no filter stands in the way."""
    counters.count(master, "master/messages_revive_offers")
    named = [] if call.revive is None else call.revive.roles
    roles = _own(framework, named)
    master.effects.append(Respond(request, 202))
    if named and not roles:
        return
    for role in roles or framework.roles:
        framework.suppressed.pop(role, None)
    master.allocator.revive(framework.id, roles)


def on_request(master: Master, framework: Framework, call: ThinCall, request: int, now: float) -> None:  # noqa: ARG001 - the signature is given
    """Noted for "why" and nothing more: this allocator, like Mesos' own, doesn't act on requests."""
    counters.count(master, "master/messages_resource_request")
    requests = [] if call.request is None else call.request.requests
    demand = from_protocol(resource for one in requests for resource in one.resources)
    framework.demand = None if isinstance(demand, Rejection) else demand or None
    master.effects.append(Respond(request, 202))


def on_update_framework(master: Master, framework: Framework, call: ThinCall, request: int, now: float) -> None:
    """Take over a changed FrameworkInfo, or refuse the change."""
    update = call.update_framework
    assert update is not None
    fault = _fault_of_update(master, framework, update)
    if fault is not None:
        master.effects.append(Respond(request, 400, fault))
        return
    kept = dict.fromkeys(roles_of(update.framework_info))
    framework.offer_constraints = update.offer_constraints
    frameworks.adopt(framework, update.framework_info)
    framework.suppressed = dict.fromkeys(update.suppressed_roles)
    for offer in [offer for offer in framework.offers.values() if offer.role not in kept]:
        offers.rescind(master, offer, now, "rescinded", "the framework left the role that the offer was made to")
    frameworks.update_in_allocator(master, framework)
    master.effects.append(Respond(request, 200))
    message = link.UpdateFramework(framework.info_json)
    for agent in frameworks.agents_of(master, framework):
        if agent.link is not None:
            master.effects.append(SendToAgent(agent.link, message))
    publish.framework_updated(master, framework)


def _fault_of_update(master: Master, framework: Framework, update: scheduler.Call_UpdateFramework) -> str | None:
    info = update.framework_info
    if info.id is None or info.id.value != framework.id:
        return "Failed to validate scheduler::Call: 'framework_id' differs from 'update_framework.framework_info.id'"
    if info.principal is None:
        info.principal = framework.principal
    roles = roles_of(info)
    rejection = validate_framework(info) or validate_role_whitelist(roles, master.config.roles)
    if rejection is not None:
        return f"Supplied FrameworkInfo is not valid: {rejection.message}"
    rejection = validate_update(framework.info, info)
    if rejection is not None:
        return f"FrameworkInfo update is not valid: {rejection.message}"
    rejection = validate_suppressed_roles(roles, update.suppressed_roles)
    if rejection is not None:
        return f"Supplied suppressed roles are not valid: {rejection.message}"
    rejection = validate_constraints(update.offer_constraints, roles)
    return None if rejection is None else rejection.message
