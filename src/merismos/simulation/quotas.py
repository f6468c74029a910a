"""What must hold of quotas, from an account of its own: what each master read, wrote and was told is durable.

| checker | what it finds                                                                                           |
|---------|---------------------------------------------------------------------------------------------------------|
| quota   | an offer that takes a role past its limit, or stands after the limit was lowered below what it has;      |
|         | a master whose quotas aren't those of its registry; allocators' accounts that don't match the records     |

Rules: a limit below what is in use is legal, and so is an agent that comes back with more than the limit: only offers may not.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import msgspec

from merismos.core.master import events
from merismos.core.master.effects import StoreRegistry
from merismos.model.roles import is_in_subtree
from merismos.model.scalars import to_milli
from merismos.model.task_states import TERMINAL

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from merismos.core.kernel import Effect, Event
    from merismos.core.master.state import Master, Offer
    from merismos.model.resources import Resources
    from merismos.simulation.masters import MasterHost

Quantities = dict[str, int]


class QuotaFault(Exception):
    """Quota doesn't hold."""


class QuotaAccount:
    """The quotas of one process of a master, as it has to know them."""

    def __init__(self) -> None:
        self.stored: dict[str, bytes] = {}
        self._asked: dict[int, dict[str, bytes]] = {}

    def follow(self, event: Event, done: Sequence[Effect]) -> bool:
        """Take note of what was read, asked for and made durable; return whether a quota changed."""
        for effect in done:
            if isinstance(effect, StoreRegistry):
                changes = {key: content for table, key, content in effect.changes if table == "quota"}
                if changes:
                    self._asked[effect.sequence] = changes
        if isinstance(event, events.Started):
            self.stored = {key: content for table, key, content in event.registry if table == "quota"}
        elif isinstance(event, events.RegistryStored) and event.sequence in self._asked:
            self.stored |= self._asked.pop(event.sequence)
            self.stored = {role: content for role, content in self.stored.items() if content}
            return True
        return False

    def quotas(self) -> dict[str, dict[str, Quantities]]:
        """Return guarantees and limits by role."""
        return {
            role: {
                field: {name: to_milli(one["value"]) for name, one in config.get(field, {}).items()}
                for field in ("guarantees", "limits")
            }
            for role, content in self.stored.items()
            for config in [msgspec.json.decode(content)]
        }


class QuotaChecker:
    """The accounts of all masters, and what they are compared with."""

    def __init__(self) -> None:
        self._accounts: dict[tuple[str, int], QuotaAccount] = {}

    def _account(self, host: MasterHost) -> QuotaAccount:
        return self._accounts.setdefault((host.name, host.run), QuotaAccount())

    def after_master(self, host: MasterHost, master: Master, event: Event, done: Sequence[Effect]) -> None:
        """Follow a master; once a quota changed, no offer may stand that a limit forbids.

        Errors: QuotaFault.
        """
        changed = self._account(host).follow(event, done)
        if changed and not master.suspended and not master.kept:
            self.check_offers(host, master, list(master.offers.values()))

    def check_offers(self, host: MasterHost, master: Master, offers: Sequence[Offer]) -> None:
        """Check that no role is past its limit in what these offers have.

        Errors: QuotaFault.
        """
        for role, quota in self._account(host).quotas().items():
            holding = [offer for offer in offers if is_in_subtree(offer.role, role)]
            if not quota["limits"] or not holding:
                continue
            consumed = consumption(master, role)
            for offer in holding:
                for name, _ in _charged(role, offer.resources):
                    most = quota["limits"].get(name)
                    if most is not None and consumed.get(name, 0) > most:
                        raise QuotaFault(
                            f"offer {offer.id} of {offer.resources} to {offer.role}: {role} then has"
                            f" {consumed[name]} of {name}, its limit is {most}"
                        )

    def sweep(self, host: MasterHost, master: Master) -> None:
        """Check a master's quotas, and its allocator's accounts of them.

        Errors: QuotaFault.
        """
        if master.kept:
            return  # suspended, it has yet to hear which of its writes are durable
        expected = self._account(host).quotas()
        known = {
            role: {"guarantees": quota.guarantees, "limits": quota.limits} for role, quota in master.quotas.items()
        }
        accounts = master.allocator._cluster.quotas
        if known != expected or accounts.quotas != master.quotas:
            raise QuotaFault(f"{host.name} knows {known}, its allocator {accounts.quotas}; its registry has {expected}")
        for role, one in accounts.roles.items():
            counted = {name: milli for name, milli in one.consumed.items() if milli}
            if counted != consumption(master, role):
                raise QuotaFault(f"{role} has {consumption(master, role)}, the allocator counts {counted}")


def consumption(master: Master, role: str) -> Quantities:
    """Return what a role has by the records: used, offered, and reserved to it."""
    total: Quantities = {}
    for agent in master.agents.values():
        reserved = agent.total.filter(
            lambda one: one.reservation_role is not None and is_in_subtree(one.reservation_role, role)
        )
        for name, milli in _scalars(reserved):
            total[name] = total.get(name, 0) + milli
        holders = [(offer.role, offer.resources) for offer in agent.offers.values()]
        holders += [(executor.role, executor.resources) for executor in agent.executors.values()]
        holders += [
            (task.role, task.resources) for task in (*agent.tasks, *agent.strays.values()) if task.state not in TERMINAL
        ]
        for holder, resources in holders:
            if is_in_subtree(holder, role):
                for name, milli in _charged(role, resources):
                    total[name] = total.get(name, 0) + milli
    return {name: milli for name, milli in total.items() if milli}


def _charged(role: str, resources: Resources) -> Iterator[tuple[str, int]]:
    """Yield what counts for `role` of something that it has, its reservations apart."""
    return _scalars(
        resources.filter(lambda one: one.reservation_role is None or not is_in_subtree(one.reservation_role, role))
    )


def _scalars(resources: Resources) -> Iterator[tuple[str, int]]:
    scalars = resources.filter(lambda one: one.type == "SCALAR" and not one.revocable)
    return iter(scalars.quantities().items())
