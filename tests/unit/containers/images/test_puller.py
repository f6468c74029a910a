"""An image is pulled once however many want it, and what is wrong with one is said to all of them."""

from __future__ import annotations

import asyncio
from collections import Counter
from pathlib import Path

import pytest

from linux.image_builder import BuiltImage, digest_of, entry, layer_of
from linux.loops import in_a_loop
from merismos.containers.images.documents import ImageError
from merismos.containers.images.puller import Puller
from merismos.containers.images.source import Blob, FoundImage
from merismos.containers.images.store import ImageStore
from merismos.model.image_reference import ImageReference

LIMIT_S = 30.0


class FakeSource:
    """Images in memory; layers arrive once `gate` is open."""

    def __init__(self, **images: BuiltImage) -> None:
        self.images = images
        self.asked: Counter[str] = Counter()
        self.gate = asyncio.Event()
        self.gate.set()

    async def find(self, reference: ImageReference) -> FoundImage:
        self.asked["find"] += 1
        if reference.repository not in self.images:
            raise ImageError(f"no {reference.text}")
        image = self.images[reference.repository]
        return FoundImage(image.digest, image.config, [Blob(digest_of(blob), len(blob), "") for blob in image.blobs])

    async def bring(self, reference: ImageReference, blob: Blob, target: Path) -> None:
        self.asked[blob.digest] += 1
        await self.gate.wait()
        blobs = self.images[reference.repository].blobs
        target.write_bytes(next(one for one in blobs if digest_of(one) == blob.digest))  # noqa: ASYNC240 - a few bytes


class Refusing(FakeSource):
    """Has images, and gives no layer of them."""

    async def bring(self, reference: ImageReference, blob: Blob, target: Path) -> None:
        del reference, blob, target
        await self.gate.wait()
        raise ImageError("not from me")


def puller_of(tmp_path: Path, source: FakeSource) -> tuple[Puller, ImageStore]:
    store = ImageStore(tmp_path / "store", str(tmp_path))
    store.open()
    return Puller(store, source, "registry.example"), store


BASE = layer_of(entry("etc/"), entry("etc/release", b"base\n"))
ONE = BuiltImage(BASE, layer_of(entry("one", b"1")), config={"Cmd": ["/one"]})
TWO = BuiltImage(BASE, layer_of(entry("two", b"2")))


@in_a_loop
async def test_an_image_that_many_want_is_pulled_once_and_held_for_each(tmp_path: Path) -> None:
    source = FakeSource(one=ONE)
    puller, store = puller_of(tmp_path, source)
    async with asyncio.timeout(LIMIT_S):
        images = await asyncio.gather(*(puller.pull("one", f"c{number}") for number in range(5)))
    assert source.asked == {"find": 1, **{digest_of(blob): 1 for blob in ONE.blobs}}
    assert {image.config.cmd[0] for image in images} == {"/one"}
    assert store.holders() == [f"c{number}" for number in range(5)]
    assert (store.rootfs_of(ONE.diff_ids[0]) / "etc/release").read_text() == "base\n"


@in_a_loop
async def test_images_pulled_at_the_same_time_share_the_layer_that_they_share(tmp_path: Path) -> None:
    source = FakeSource(one=ONE, two=TWO)
    puller, _ = puller_of(tmp_path, source)
    async with asyncio.timeout(LIMIT_S):
        await asyncio.gather(puller.pull("one", "a"), puller.pull("two", "b"))
    assert source.asked[digest_of(ONE.blobs[0])] == 1


@in_a_loop
async def test_an_image_whose_layer_another_s_source_fails_to_give_asks_its_own(tmp_path: Path) -> None:
    source, other = FakeSource(one=ONE), Refusing(bad=ONE)
    puller, store = puller_of(tmp_path, source)
    other.gate.clear()
    async with asyncio.timeout(LIMIT_S):
        first = asyncio.create_task(puller.pull("bad", "a", source=other))
        while not other.asked:
            await asyncio.sleep(0)
        second = asyncio.create_task(puller.pull("one", "b"))
        while not source.asked:
            await asyncio.sleep(0)
        other.gate.set()
        with pytest.raises(ImageError, match="not from me"):
            await first
        assert (await second).digest == ONE.digest
    assert store.holders() == ["b"]


@in_a_loop
async def test_a_cached_image_needs_no_source_unless_it_is_wanted_anew(tmp_path: Path) -> None:
    source = FakeSource(one=ONE)
    puller, _ = puller_of(tmp_path, source)
    async with asyncio.timeout(LIMIT_S):
        await puller.pull("one", "a")
        await puller.pull("registry.example/one:latest", "b")
        assert source.asked["find"] == 1
        source.images["one"] = TWO
        assert (await puller.pull("one", "c", cached=False)).digest == TWO.digest
        assert (await puller.pull("one", "d")).digest == TWO.digest
    assert source.asked["find"] == 2


@in_a_loop
async def test_who_stops_waiting_leaves_the_pull_to_the_others(tmp_path: Path) -> None:
    source = FakeSource(one=ONE)
    source.gate.clear()
    puller, store = puller_of(tmp_path, source)
    first = asyncio.create_task(puller.pull("one", "a"))
    second = asyncio.create_task(puller.pull("one", "b"))
    async with asyncio.timeout(LIMIT_S):
        while len(source.asked) < 3:
            await asyncio.sleep(0)
        first.cancel()
        with pytest.raises(asyncio.CancelledError):
            await first
        source.gate.set()
        assert (await second).digest == ONE.digest
    assert store.holders() == ["b"]


@in_a_loop
async def test_a_pull_that_nobody_waits_for_ends_and_leaves_nothing(tmp_path: Path) -> None:
    source = FakeSource(one=ONE)
    source.gate.clear()
    puller, store = puller_of(tmp_path, source)
    lonely = asyncio.create_task(puller.pull("one", "a"))
    async with asyncio.timeout(LIMIT_S):
        while len(source.asked) < 3:
            await asyncio.sleep(0)
        lonely.cancel()
        await asyncio.wait({lonely})
        assert store.holders() == []
        assert not list((tmp_path / "store").glob("staging/*/*/*"))
        source.gate.set()
        await puller.pull("one", "b")
    await puller.close()


@pytest.mark.parametrize(
    ("image", "why"),
    [
        (BuiltImage(layer_of(entry("../up", b""))), "leads out of the image"),
        (BuiltImage(b"nonsense" * 200), "is refused: "),
    ],
)
@in_a_loop
async def test_a_layer_that_is_refused_says_so_and_leaves_nothing(tmp_path: Path, image: BuiltImage, why: str) -> None:
    puller, store = puller_of(tmp_path, FakeSource(bad=image))
    async with asyncio.timeout(LIMIT_S):
        with pytest.raises(ImageError, match=why):
            await puller.pull("bad", "a")
    assert store.holders() == []
    assert not list((tmp_path / "store").glob("layers/*"))
    assert not list((tmp_path / "store").glob("staging/*/*/*"))


@in_a_loop
async def test_a_name_that_is_none_and_an_image_that_is_not_there_are_refused(tmp_path: Path) -> None:
    puller, _ = puller_of(tmp_path, FakeSource())
    with pytest.raises(ImageError, match="can't be the name of an image"):
        await puller.pull("../etc", "a")
    with pytest.raises(ImageError, match=r"no registry.example/absent:latest"):
        await puller.pull("absent", "a")


@in_a_loop
async def test_pruning_takes_names_as_tasks_write_them(tmp_path: Path) -> None:
    puller, store = puller_of(tmp_path, FakeSource(one=ONE, two=TWO))
    async with asyncio.timeout(LIMIT_S):
        await puller.pull("one", "a")
        await puller.pull("two", "b")
    store.release("a")
    store.release("b")
    assert puller.prune(["one", "no name"]) == ["registry.example/two:latest"]
