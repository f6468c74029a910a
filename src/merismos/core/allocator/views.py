"""What the allocator shows of itself: roles with their shares and how many filters they have."""

from __future__ import annotations

from typing import TYPE_CHECKING

from merismos.core.allocator.settings import RoleView

if TYPE_CHECKING:
    from collections.abc import Iterable

    from merismos.core.allocator.cluster import Cluster


def role_views(cluster: Cluster) -> list[RoleView]:
    """Return every role of the tree, by name."""
    tree = cluster.tree
    planes = _bit_planes(_filtered(cluster))
    views: list[RoleView] = []
    for path, role in sorted(tree.roles.items()):
        members = 0
        for slot in role.slots.values():
            members |= slot.bit
        views.append(
            RoleView(
                role=path,
                weight=role.weight,
                share=tree.share(role),
                allocated_milli=tree.quantities(role.allocated),
                frameworks=[slot.framework.id for slot in role.slots.values() if slot.subscribed],
                filters=sum((plane & members).bit_count() << weight for weight, plane in enumerate(planes)),
            )
        )
    return views


def _filtered(cluster: Cluster) -> Iterable[int]:
    for agent in cluster.agents.values():
        mask = 0
        for refusal in agent.refusals:
            mask |= refusal.mask
        if mask:
            yield mask


def _bit_planes(masks: Iterable[int]) -> list[int]:
    """Return, bit by bit of the count, how many masks have each bit: adding a mask costs two operations, not one a pair."""
    planes: list[int] = []
    for mask in masks:
        carry = mask
        for weight, plane in enumerate(planes):
            planes[weight] = plane ^ carry
            carry &= plane
            if not carry:
                break
        if carry:
            planes.append(carry)
    return planes
