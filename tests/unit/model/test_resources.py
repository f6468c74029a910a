from __future__ import annotations

import copy
import gc
import pickle
import weakref

from merismos.model.identity import (
    CPUS,
    MEM,
    Disk,
    DiskSource,
    Identity,
    IdentityKey,
    Reservation,
    Root,
    SourceType,
    Value,
    VolumeDetails,
    identity_of,
    is_had_whole,
)
from merismos.model.ranges import parse_ranges
from merismos.model.rejection import Rejection
from merismos.model.resource_notation import parse_resources
from merismos.model.resources import EMPTY, Resources, resources_of, sum_of


def res(text: str) -> Resources:
    parsed = parse_resources(text)
    assert not isinstance(parsed, Rejection), parsed
    return parsed


def disk(
    value: Value,
    *,
    source: SourceType | None = None,
    source_id: str | None = None,
    persistence_id: str | None = None,
    shared: bool = False,
    details: VolumeDetails | None = None,
) -> Resources:
    made = Disk(None if source is None else DiskSource(source, mount=Root("/m"), id=source_id), persistence_id)
    whole = value if is_had_whole(made, shared=shared) else None
    key = IdentityKey(
        "disk", "SCALAR", (Reservation("DYNAMIC", "eng"),), made, None, revocable=False, shared=shared, whole=whole
    )
    return resources_of([(identity_of(key, details), value if whole is None else 1)])


def revocable(name: str, milli: int) -> Resources:
    return resources_of([(identity_of(IdentityKey(name, "SCALAR", revocable=True)), milli)])


AGENT = res("cpus:4;mem:2048;disk:4096;ports:[31000-31999]")
TASK = res("cpus:0.1;mem:32;ports:[31005-31006]")


def test_what_is_taken_and_given_back_restores_the_total_exactly() -> None:
    assert AGENT - TASK + TASK == AGENT


def test_ten_tasks_of_a_tenth_of_a_cpu_use_exactly_one() -> None:
    tenths = [res("cpus:0.1")] * 10
    assert sum_of(tenths) == res("cpus:1")
    left = res("cpus:1")
    for tenth in tenths:
        assert left.contains(tenth)
        left -= tenth
    assert left == EMPTY


def test_order_of_entries_neither_matters_to_equality_nor_to_the_hash() -> None:
    one, other = res("cpus:1;mem:2"), res("mem:2;cpus:1")
    assert one == other
    assert hash(one) == hash(other)


def test_entries_keep_the_order_in_which_they_came() -> None:
    assert (AGENT - TASK).names() == ["cpus", "mem", "disk", "ports"]


def test_subtracting_what_is_not_there_leaves_nothing_negative() -> None:
    assert res("cpus:1;mem:32") - res("cpus:2;disk:5") == res("mem:32")


def test_the_result_of_taking_everything_is_the_empty_singleton() -> None:
    assert AGENT - AGENT is EMPTY
    assert not EMPTY
    assert AGENT + EMPTY is AGENT
    assert EMPTY + AGENT is AGENT


def test_operations_leave_their_operands_alone() -> None:
    before = dict(AGENT.amounts)
    for result in (AGENT + TASK, AGENT - TASK, sum_of([AGENT, TASK]), AGENT.filter(lambda identity: identity is CPUS)):
        assert result != AGENT
    assert dict(AGENT.amounts) == before


def test_a_name_in_two_types_is_two_things() -> None:
    scalar = resources_of([(identity_of(IdentityKey("x", "SCALAR")), 1000)])
    ranges = resources_of([(identity_of(IdentityKey("x", "RANGES")), parse_ranges("[0-9]"))])
    assert not scalar.contains(ranges)
    assert len(scalar + ranges) == 2


def test_reservations_keep_amounts_apart() -> None:
    mixed = res("cpus:1;cpus(eng):2;cpus(eng/web):3;cpus(ops):4")
    assert mixed.unreserved() == res("cpus:1")
    assert mixed.reserved() == res("cpus(eng):2;cpus(eng/web):3;cpus(ops):4")
    assert mixed.reserved_to("eng") == res("cpus(eng):2")
    assert mixed.reserved_by_role() == {role: mixed.reserved_to(role) for role in ("eng", "eng/web", "ops")}
    assert not mixed.contains(res("cpus:2"))
    assert mixed.cpus_milli == 10_000


def test_a_role_may_be_offered_what_it_or_an_ancestor_has_reserved() -> None:
    mixed = res("cpus:1;cpus(eng):2;cpus(eng/web):3;cpus(engine):4")
    assert mixed.allocatable_to("eng/web") == res("cpus:1;cpus(eng):2;cpus(eng/web):3")
    assert mixed.allocatable_to("eng") == res("cpus:1;cpus(eng):2")
    assert mixed.allocatable_to("*") == res("cpus:1")


def test_revocable_resources_are_told_apart() -> None:
    mixed = res("cpus:1") + revocable("cpus", 500)
    assert mixed.revocable() == revocable("cpus", 500)
    assert mixed.nonrevocable() == res("cpus:1")
    assert not mixed.is_plain


def test_a_mount_disk_is_only_taken_whole() -> None:
    whole, half = disk(100_000, source="MOUNT"), disk(50_000, source="MOUNT")
    assert not whole.contains(half)
    assert whole - half == whole
    assert whole - whole == EMPTY
    assert (whole + whole).disk_milli == 200_000
    assert not whole.contains(whole + whole)


def test_a_path_disk_is_taken_in_parts() -> None:
    assert disk(100_000, source="PATH") - disk(40_000, source="PATH") == disk(60_000, source="PATH")


def test_a_raw_disk_is_whole_once_it_has_an_id() -> None:
    assert disk(100_000, source="RAW").contains(disk(1_000, source="RAW"))
    assert not disk(100_000, source="RAW", source_id="r").contains(disk(1_000, source="RAW", source_id="r"))


def test_a_volume_is_the_same_however_it_is_mounted() -> None:
    created = disk(64_000, persistence_id="v1", details=VolumeDetails("alice"))
    used = disk(64_000, persistence_id="v1", details=VolumeDetails("bob"))
    assert created.contains(used)
    assert created == used
    assert created - used == EMPTY
    assert not created.contains(disk(64_000, persistence_id="v2"))
    assert next(entry.identity.details for entry in created + used) == VolumeDetails("alice")


def test_a_shared_volume_is_counted_in_copies_and_its_size_once() -> None:
    one = disk(64_000, persistence_id="v1", shared=True)
    two = one + one
    assert two != one
    assert two.contains(one)
    assert not one.contains(two)
    assert two - one == one
    assert two.disk_milli == one.disk_milli == 64_000
    assert [entry.copies for entry in two] == [2]
    assert two.shared() == two
    assert two.nonshared() is EMPTY
    assert two.persistent_volumes() == two


def test_quantities_count_members_of_ranges_and_sets() -> None:
    assert res("cpus:1.5;cpus(eng):1;ports:[1-10];bugs:{a,b}").quantities() == {
        "cpus": 2500,
        "ports": 10_000,
        "bugs": 2000,
    }


def test_ports_of_all_reservations_are_seen_together() -> None:
    assert res("ports:[1-4];ports(eng):[5-9]").ports == parse_ranges("[1-9]")
    assert not EMPTY.ports


def test_entries_of_one_name_can_be_picked() -> None:
    assert AGENT.named("mem") == res("mem:2048")
    assert AGENT.named("nothing") is EMPTY


def test_a_copy_or_a_pickle_means_the_same_resources() -> None:
    mixed = AGENT + res("cpus(eng):1") + disk(5_000, persistence_id="v", details=VolumeDetails("p"))
    for twin in (copy.deepcopy(mixed), pickle.loads(pickle.dumps(mixed))):
        assert twin == mixed
        assert twin - mixed == EMPTY


def test_identities_that_nobody_uses_are_forgotten() -> None:
    key = IdentityKey("once-only", "SCALAR")
    used = resources_of([(identity_of(key), 1000)])
    watched = weakref.ref(identity_of(key))
    assert watched() is identity_of(key)
    del used
    gc.collect()
    assert watched() is None


def test_an_identity_is_found_by_its_value() -> None:
    assert identity_of(IdentityKey("cpus", "SCALAR")) is CPUS
    assert identity_of(MEM.key) is MEM
    assert isinstance(CPUS, Identity)
    assert CPUS.plain


def test_the_innermost_reservation_says_who_may_use_it() -> None:
    stack = (Reservation("STATIC", "eng"), Reservation("DYNAMIC", "eng/web", "alice"))
    identity = identity_of(IdentityKey("cpus", "SCALAR", stack))
    assert identity.reservation_role == "eng/web"
    assert identity.is_dynamically_reserved
    assert identity.is_allocatable_to("eng/web/api")
    assert not identity.is_allocatable_to("eng")
