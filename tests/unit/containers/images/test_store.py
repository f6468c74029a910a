"""Layers are kept while an image or a container needs them, and no longer."""

from __future__ import annotations

from pathlib import Path

import pytest

from merismos.containers.images.documents import ImageError
from merismos.containers.images.store import ImageStore, check_ownership, stored_image
from merismos.core.containers.image_config import ImageConfig


def layer(number: int) -> str:
    return f"sha256:{number:064x}"


def opened(directory: Path, work_dir: Path) -> ImageStore:
    work_dir.mkdir(exist_ok=True)
    store = ImageStore(directory / "store", str(work_dir))
    store.open()
    return store


def put(store: ImageStore, name: str, *numbers: int) -> None:
    for number in numbers:
        with store.stage() as staged:
            (staged / "rootfs").mkdir()
            (staged / "rootfs/file").write_text(str(number))
            store.add(layer(number), staged / "rootfs")
    store.keep(stored_image(name, layer(99), [layer(number) for number in numbers], ImageConfig(cmd=["x"])))


def layers_in(directory: Path) -> list[int]:
    return sorted(int(path.name, 16) for path in (directory / "store/layers").iterdir())


def test_an_image_is_found_again_by_the_next_agent(tmp_path: Path) -> None:
    put(opened(tmp_path, tmp_path / "work"), "a:1", 1, 2)
    found = opened(tmp_path, tmp_path / "other").find("a:1")
    assert found is not None
    assert found.config == ImageConfig(cmd=["x"])
    assert found.layers == [layer(1), layer(2)]


def test_an_image_that_lacks_a_layer_is_not_there(tmp_path: Path) -> None:
    store = opened(tmp_path, tmp_path / "work")
    put(store, "a:1", 1, 2)
    (tmp_path / "store/layers" / f"{2:064x}").rename(tmp_path / "away")
    assert store.find("a:1") is None
    assert not store.lease("c", [layer(1), layer(2)])


def test_a_layer_that_came_twice_stays_as_it_was(tmp_path: Path) -> None:
    store = opened(tmp_path, tmp_path / "work")
    put(store, "a:1", 1)
    before = store.rootfs_of(layer(1)).stat().st_ino
    put(store, "b:1", 1)
    assert store.rootfs_of(layer(1)).stat().st_ino == before


def test_pruning_leaves_what_is_excluded_or_held_and_what_they_share(tmp_path: Path) -> None:
    store = opened(tmp_path, tmp_path / "work")
    put(store, "kept:1", 1, 2)
    put(store, "held:1", 1, 3)
    put(store, "gone:1", 1, 4)
    assert store.lease("container", [layer(1), layer(3)])
    assert store.prune(["kept:1"]) == ["gone:1"]
    assert layers_in(tmp_path) == [1, 2, 3]
    store.release("container")
    assert store.prune([]) == ["kept:1", "held:1"]
    assert layers_in(tmp_path) == []
    assert store.find("kept:1") is None


def test_what_another_agent_s_container_stands_on_is_not_pruned(tmp_path: Path) -> None:
    one, other = opened(tmp_path, tmp_path / "one"), opened(tmp_path, tmp_path / "other")
    put(one, "a:1", 1)
    assert other.lease("container", [layer(1)])
    assert one.prune([]) == []
    (tmp_path / "other").rmdir()
    assert one.prune([]) == ["a:1"], "an agent whose work directory is gone holds nothing"


def test_a_layer_that_is_on_its_way_is_not_pruned(tmp_path: Path) -> None:
    store = opened(tmp_path, tmp_path / "work")
    store.reserve("pull", [layer(1)])
    with store.stage() as staged:
        (staged / "rootfs").mkdir()
        store.add(layer(1), staged / "rootfs")
    assert store.prune([]) == []
    assert layers_in(tmp_path) == [1]


def test_what_a_dead_agent_staged_is_removed_and_what_a_live_one_does_is_not(tmp_path: Path) -> None:
    live = opened(tmp_path, tmp_path / "live")
    dead = tmp_path / "store/staging/dead"
    dead.mkdir()
    (dead / "alive").touch()
    with live.stage() as staged:
        opened(tmp_path, tmp_path / "next")
        assert staged.is_dir()
        assert not dead.exists()
    live.close()


def test_a_store_that_others_may_write_to_is_refused(tmp_path: Path) -> None:
    shared = tmp_path / "shared"
    shared.mkdir()
    shared.chmod(0o777)
    with pytest.raises(ImageError, match="others may write to"):
        check_ownership(shared)
    below = shared / "store"
    below.mkdir(mode=0o700)
    with pytest.raises(ImageError, match="others may write to"):
        check_ownership(below)
    shared.chmod(0o1777)
    check_ownership(below)


def test_an_index_that_is_damaged_is_as_none(tmp_path: Path) -> None:
    store = opened(tmp_path, tmp_path / "work")
    put(store, "a:1", 1)
    (tmp_path / "store/images.json").write_text("{")
    assert store.find("a:1") is None
    assert layers_in(tmp_path) == [1]
