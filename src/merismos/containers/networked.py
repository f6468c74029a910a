"""The life of containers with a network of their own, as far as it differs from that of others: joined before they start, left afterwards.

Rules: a container that is to end while its networks are being joined never starts. A process that enters a network gets a view of
the machine's files of its own, in which /etc has the container's resolvers, hosts and name, and no other container's network is to be seen.
"""

from __future__ import annotations

import asyncio
import shutil
from collections.abc import Callable, Coroutine

from merismos.containers.cni import NetworkError
from merismos.containers.network_records import FILES, NAMESPACE
from merismos.containers.networks import ContainerNetworks
from merismos.core.agent import effects
from merismos.core.containers.entry_plan import Rank, Step
from merismos.core.containers.isolation import CNI
from merismos.core.containers.network_plan import first_address, with_address

Spawn = Callable[[effects.LaunchContainer], None]
Fail = Callable[[effects.LaunchContainer, str], None]
PROGRAMS = ("nsenter", "unshare", "mount", "umount")
_UNWANTED = "ended before it started"
_ENTER = (
    '"$1" -l "$3" 2>/dev/null; '
    f'for f in {" ".join(FILES)}; do [ ! -e "/etc/$f" ] || "$2" --bind "$4/$f" "/etc/$f" || exit 125; done; '
    'read -r n <"$4/hostname" && echo "$n" >/proc/sys/kernel/hostname || exit 125; shift 4; '
)


class NetworkedContainers:
    """Starts containers in their networks."""

    def __init__(self, networks: ContainerNetworks, spawn: Spawn, fail: Fail) -> None:
        self.networks = networks
        self._spawn = spawn
        self._fail = fail
        self._programs = {name: shutil.which(name) or name for name in PROGRAMS}
        self._starting: dict[str, asyncio.Task[None]] = {}
        self._unwanted: dict[str, None] = {}
        self._leaving: dict[asyncio.Task[None], None] = {}

    def launch(self, effect: effects.LaunchContainer) -> None:
        """Have a container's networks joined, then have it started."""
        self._starting[effect.container_id] = asyncio.get_running_loop().create_task(self._launch(effect))

    def cancel(self, container_id: str) -> bool:
        """Let a container whose networks are being joined never start; False where it isn't so."""
        if container_id in self._starting:
            self._unwanted[container_id] = None
            self.networks.abort(container_id)
        return container_id in self._starting

    def enter(self, owner: str) -> list[Step]:
        """Return the steps into a network."""
        records = self.networks.directory
        named = self._programs
        into = (named["nsenter"], f"--net={records / owner / NAMESPACE}", "--")
        apart = (named["unshare"], "--mount", "--uts", "--propagation", "slave", "--")
        words = (named["umount"], named["mount"], str(records), str(records / owner))
        return [
            Step(Rank.NETWORK, CNI, into),
            Step(Rank.NETWORK, CNI, apart),
            Step(Rank.NETWORK, CNI, words, _ENTER),
        ]

    def leave(self, container_id: str) -> None:
        """Leave the networks of a container that is over, beside the loop."""
        self._start_leaving(self.networks.leave(container_id))

    def when_left(self, container_id: str, then: Callable[[], None]) -> None:
        """Call `then` once the networks of a container that is over are left, at once where it has none of its own."""
        if not self.networks.has(container_id):
            then()
            return

        async def leave() -> None:
            await self.networks.leave(container_id)
            then()

        self._start_leaving(leave())

    def _start_leaving(self, work: Coroutine[None, None, None]) -> None:
        task = asyncio.get_running_loop().create_task(work)
        self._leaving[task] = None
        task.add_done_callback(lambda done: self._leaving.pop(done, None))

    def on_all_lost(self) -> None:
        """What held the containers is gone, and they with it."""
        self._unwanted |= dict.fromkeys(self._starting)
        for owner in self.networks.owners():
            self.leave(owner)

    async def close(self, *, end: bool) -> None:
        """Let go; with `end` nothing is left."""
        self._unwanted |= dict.fromkeys(self._starting)
        await self.networks.close(end=end)
        await asyncio.gather(*self._starting.values(), *self._leaving)

    async def _launch(self, effect: effects.LaunchContainer) -> None:
        assert effect.network is not None
        why = ""
        try:
            await self.networks.join(effect.network)
            address = first_address(self.networks.told(effect.network.owner))
            effect.environment = with_address(effect.environment, address)
        except NetworkError as error:
            why = str(error)
        except asyncio.CancelledError:
            why = _UNWANTED
        finally:
            del self._starting[effect.container_id]
            if effect.container_id in self._unwanted:
                del self._unwanted[effect.container_id]
                why = why or _UNWANTED
        if why:
            self._fail(effect, why)
        else:
            self._spawn(effect)
