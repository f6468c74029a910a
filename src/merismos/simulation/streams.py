"""Event streams, and offers as those at their far end see them."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import msgspec

from merismos.core.master import events
from merismos.simulation.network import Pipe

if TYPE_CHECKING:
    from collections.abc import Callable

    from merismos.simulation.masters import MasterHost
    from merismos.simulation.world import World


class OfferView(msgspec.Struct):
    """An offer as a scheduler sees it."""

    id: str
    agent_id: str
    role: str
    left: dict[str, int]  # thousandths
    ports: list[tuple[int, int]]


class Stream:
    """One event stream and what each end knows of it; an operator's has no `deliver`."""

    def __init__(self, world: World, master: MasterHost, deliver: Callable[[Stream, str, Any], None] | None) -> None:
        world.next_token += 1
        self.world = world
        self.master = master
        self.master_run = master.run
        self.token = world.next_token
        self.stream_id = f"stream-{self.token}"
        self.master_open = False
        self.client_open = True
        self._deliver = deliver
        self.pipe: Pipe[tuple[str, Any]] = Pipe(world.agenda, world.weather, self._arrive)

    def _arrive(self, item: tuple[str, Any]) -> None:
        if self.client_open and self._deliver is not None:
            if item[0] == "CLOSED":
                self.client_open = False
            self._deliver(self, *item)

    def lose(self) -> None:
        """Break the connection; each end notices in its own time."""
        world = self.world
        self.pipe.cut()
        world.agenda.after(world.weather.notice_s(), self.closed_at_master)
        world.agenda.after(world.weather.notice_s(), lambda: self._arrive(("CLOSED", None)))

    def refused(self, status: int, text: str) -> None:
        """Take note that there will be no stream."""
        self.world.note(self.master.name, None, b"%d %s" % (status, text.encode()))
        self.world.streams.pop(self.token, None)
        self.pipe.send(("CLOSED", None))

    def closed_at_master(self) -> None:
        """Tell the master that the stream is no more."""
        self.master.when_awake(self._closed_at_master)

    def _closed_at_master(self) -> None:
        if self.master_open and self.master.run == self.master_run:
            self.master_open = False
            self.world.streams.pop(self.token, None)
            self.master.handle(events.StreamClosed(self.token))


def view_of(offer: Any) -> OfferView:  # noqa: ANN401 - the core's Offer; the checker sees the record, a scheduler this
    """Return what a scheduler learns of an offer."""
    unreserved = offer.resources.unreserved()
    return OfferView(offer.id, offer.agent.id, offer.role, dict(unreserved.quantities()), list(unreserved.ports))
