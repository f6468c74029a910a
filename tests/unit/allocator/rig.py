"""A cluster in miniature: an allocator, a clock, and schedulers that answer their offers by rule."""

from __future__ import annotations

from collections.abc import Sequence

from merismos.core.allocator import Allocator, AllocatorSettings, Grant
from merismos.model.attributes import parse_attributes
from merismos.model.rejection import Rejection
from merismos.model.resource_notation import parse_resources
from merismos.model.resources import Resources
from merismos.protocol.v1 import mesos, scheduler

ALL = (
    "MULTI_ROLE",
    "GPU_RESOURCES",
    "SHARED_RESOURCES",
    "REVOCABLE_RESOURCES",
    "REGION_AWARE",
    "RESERVATION_REFINEMENT",
)
PLAIN = ("MULTI_ROLE", "RESERVATION_REFINEMENT")


def res(text: str) -> Resources:
    parsed = parse_resources(text)
    assert not isinstance(parsed, Rejection), parsed
    return parsed


def attributes(text: str) -> list[mesos.Attribute]:
    parsed = parse_attributes(text)
    assert not isinstance(parsed, Rejection), parsed
    return parsed


def constraint(
    name: str | None = "rack", *, pseudo: str | None = None, **predicate: object
) -> scheduler.AttributeConstraint:
    """`constraint(text_equals="r1")`; a predicate without text is given as True."""
    kinds = scheduler.AttributeConstraint_Selector_PseudoattributeType
    made: dict[str, object] = {}
    for kind, argument in predicate.items():
        title = kind.title().replace("_", "")
        struct = getattr(scheduler, f"AttributeConstraint_Predicate_{title}")
        field = "regex" if kind.endswith("matches") else "value"
        made[kind] = struct() if argument is True else struct(**{field: argument})
    return scheduler.AttributeConstraint(
        selector=scheduler.AttributeConstraint_Selector(
            attribute_name=None if pseudo else name, pseudoattribute_type=None if pseudo is None else kinds(pseudo)
        ),
        predicate=scheduler.AttributeConstraint_Predicate(**made),  # type: ignore[arg-type]
    )


def constraints(role: str, *groups: Sequence[scheduler.AttributeConstraint]) -> scheduler.OfferConstraints:
    group = scheduler.OfferConstraints_RoleConstraints_Group
    return scheduler.OfferConstraints(
        role_constraints={
            role: scheduler.OfferConstraints_RoleConstraints(
                groups=[group(attribute_constraints=list(one)) for one in groups]
            )
        }
    )


class Rig:
    """An allocator with a clock."""

    def __init__(self, **settings: object) -> None:
        self.allocator = Allocator(AllocatorSettings(**settings))  # type: ignore[arg-type]
        self.now = 10.0
        self.agents = 0

    def agent(self, text: str = "cpus:4;mem:4096", **more: object) -> str:
        agent_id = f"S{self.agents}"
        self.agents += 1
        marks = str(more.pop("marks", ""))
        more.setdefault("hostname", f"host{self.agents - 1}")
        self.allocator.add_agent(agent_id, res(text), attributes(marks), **more)  # type: ignore[arg-type]
        return agent_id

    def framework(self, name: str, *roles: str, capabilities: Sequence[str] = PLAIN, **more: object) -> str:
        self.allocator.add_framework(name, list(roles) or ["eng"], capabilities, **more)  # type: ignore[arg-type]
        return name

    def cycle(self, after_s: float = 0.0) -> list[Grant]:
        self.now += after_s
        return self.allocator.allocate(self.now)

    def offered(self, after_s: float = 0.0) -> list[tuple[str, str]]:
        """Run a cycle; return (framework, agent) of each grant."""
        return [(grant.framework_id, grant.agent_id) for grant in self.cycle(after_s)]

    def decline(self, grant: Grant, refuse_s: float | None = 5.0) -> None:
        self.answer(grant, None, refuse_s)

    def answer(self, grant: Grant, used: Resources | None, refuse_s: float | None = 5.0) -> None:
        """Use a part of an offer (None for nothing) and give the rest back."""
        self.allocator.answered(grant.framework_id, grant.role, grant.agent_id)
        rest = grant.resources if used is None else grant.resources - used
        self.free(grant, rest, refuse_s)

    def free(self, grant: Grant, resources: Resources, refuse_s: float | None = None) -> None:
        self.allocator.recover(
            grant.framework_id, grant.role, grant.agent_id, resources, now=self.now, refuse_s=refuse_s
        )
