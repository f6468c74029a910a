"""Whatever was pulled, held, let go of and pruned: what a container stands on is there, and what nobody needs is not kept over a prune."""

from __future__ import annotations

import shutil
import tempfile
from pathlib import Path

from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, rule

from merismos.containers.images.store import ImageStore, stored_image
from merismos.core.containers.image_config import ImageConfig

LAYERS = [f"sha256:{number:064x}" for number in range(6)]
NAMES = ["a:1", "b:1", "c:1"]
HOLDERS = ["x", "y", "z"]
some_layers = st.lists(st.sampled_from(LAYERS), min_size=1, max_size=4, unique=True)


class Stores(RuleBasedStateMachine):
    """Two agents that share a store, against sets of what each has."""

    def __init__(self) -> None:
        super().__init__()
        self.folder = Path(tempfile.mkdtemp())
        self.stores = [self._opened(number) for number in range(2)]
        self.there: set[str] = set()
        self.images: dict[str, list[str]] = {}
        self.held: dict[tuple[int, str], list[str]] = {}

    def _opened(self, number: int) -> ImageStore:
        work_dir = self.folder / f"w{number}"
        work_dir.mkdir(exist_ok=True)
        store = ImageStore(self.folder / "store", str(work_dir))
        store.open()
        return store

    @rule(agent=st.integers(0, 1), name=st.sampled_from(NAMES), layers=some_layers)
    def pull(self, agent: int, name: str, layers: list[str]) -> None:
        store = self.stores[agent]
        for layer in layers:
            if not store.has(layer):
                with store.stage() as staged:
                    (staged / "rootfs").mkdir()
                    (staged / "rootfs/file").write_bytes(b"x" * 1000)
                    store.add(layer, staged / "rootfs")
        store.keep(stored_image(name, "sha256:", layers, ImageConfig()))
        self.there |= set(layers)
        self.images[name] = layers

    @rule(agent=st.integers(0, 1), holder=st.sampled_from(HOLDERS), layers=some_layers)
    def hold(self, agent: int, holder: str, layers: list[str]) -> None:
        if self.stores[agent].lease(holder, layers):
            assert set(layers) <= self.there
            self.held[agent, holder] = layers
        else:
            assert not set(layers) <= self.there

    @rule(agent=st.integers(0, 1), holder=st.sampled_from(HOLDERS))
    def let_go(self, agent: int, holder: str) -> None:
        self.stores[agent].release(holder)
        self.held.pop((agent, holder), None)

    @rule(agent=st.integers(0, 1))
    def restart(self, agent: int) -> None:
        self.stores[agent].close()
        self.stores[agent] = self._opened(agent)

    @rule(agent=st.integers(0, 1), excluded=st.lists(st.sampled_from(NAMES), unique=True))
    def prune(self, agent: int, excluded: list[str]) -> None:
        before = self._bytes()
        removed = self.stores[agent].prune(excluded)
        leased = {layer for layers in self.held.values() for layer in layers}
        stays = {name: layers for name, layers in self.images.items() if name in excluded or set(layers) <= leased}
        assert sorted(removed) == sorted(set(self.images) - set(stays))
        needed = leased | {layer for layers in stays.values() for layer in layers}
        gone = self.there - needed
        assert before - self._bytes() == 1000 * len(gone), "the disk has what was taken away from it"
        self.images, self.there = stays, self.there & needed

    @invariant()
    def what_is_needed_is_there_and_whole(self) -> None:
        for layers in self.held.values():
            assert all((self.stores[0].rootfs_of(layer) / "file").stat().st_size == 1000 for layer in layers)
        for name, layers in self.images.items():
            found = self.stores[1].find(name)
            assert found is not None
            assert found.layers == layers

    def _bytes(self) -> int:
        return sum(path.stat().st_size for path in self.folder.glob("store/*/**/file"))

    def teardown(self) -> None:
        for store in self.stores:
            store.close()
        assert not list(self.folder.glob("store/staging/*"))
        shutil.rmtree(self.folder)


TestStores = Stores.TestCase
TestStores.settings = settings(max_examples=30, stateful_step_count=25, deadline=None)
