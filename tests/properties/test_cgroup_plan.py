"""From what a task asks for to what is written: whatever is asked for, the kernel is asked for something it takes."""

from __future__ import annotations

import math

from hypothesis import given
from hypothesis import strategies as st

from merismos.core.containers.cgroup_plan import (
    MEM_MB_MIN,
    OOM_SCORE_MAX,
    PERIOD_US,
    QUOTA_US_MIN,
    SHARES_MAX,
    SHARES_MIN,
    WEIGHT_MAX,
    WEIGHT_MIN,
    CgroupSettings,
    CgroupWrite,
    Demand,
    add_demands,
    cpu_quota_us,
    cpu_shares,
    cpu_weight,
    demand_of,
    memory_bytes,
    oom_score,
    plan_cgroup,
    plan_update,
)
from merismos.protocol.v1 import mesos

ISOLATORS = ("blkio", "cpu", "cpuset", "devices", "mem", "pids")
MB = 1 << 20
numbers = st.floats(0, 1e6, allow_nan=False)
limits = st.one_of(st.none(), numbers, st.just(math.inf))
demands = st.builds(Demand, numbers, numbers, limits, limits, st.booleans())
settings = st.builds(
    CgroupSettings,
    version=st.sampled_from([1, 2]),
    isolators=st.lists(st.sampled_from(ISOLATORS), unique=True).map(tuple),
    enable_cfs=st.booleans(),
    limit_swap=st.booleans(),
    revocable_cpu_low_priority=st.booleans(),
    pids_max=st.integers(0, 100_000),
    cpuset_cpus=st.sampled_from(["", "0", "0-1"]),
    mem_total_mb=st.integers(0, 1 << 20),
)


def values(writes: list[CgroupWrite]) -> dict[str, str]:
    return {write.file: write.value for write in writes}


@given(demands, st.booleans())
def test_shares_and_weights_are_within_what_the_kernel_takes(demand: Demand, low: bool) -> None:
    assert SHARES_MIN <= cpu_shares(demand, revocable_low_priority=low) <= SHARES_MAX
    assert WEIGHT_MIN <= cpu_weight(demand, revocable_low_priority=low) <= WEIGHT_MAX


@given(demands, numbers)
def test_who_requests_more_cpus_never_gets_a_smaller_share(demand: Demand, more: float) -> None:
    greater = demand._replace(cpus=demand.cpus + more)
    for low in (True, False):
        assert cpu_shares(greater, revocable_low_priority=low) >= cpu_shares(demand, revocable_low_priority=low)
        assert cpu_weight(greater, revocable_low_priority=low) >= cpu_weight(demand, revocable_low_priority=low)


@given(settings, demands)
def test_cpu_time_ends_at_the_limit_or_where_cfs_is_on_at_the_request(asked: CgroupSettings, demand: Demand) -> None:
    quota = cpu_quota_us(asked, demand)
    wanted = demand.cpus_limit if demand.cpus_limit is not None else demand.cpus if asked.enable_cfs else math.inf
    assert (quota is None) == math.isinf(wanted)
    if quota is not None:
        assert quota == max(math.floor(wanted * PERIOD_US), QUOTA_US_MIN)


@given(demands)
def test_memory_has_a_floor_and_its_limit_is_never_below_the_request(demand: Demand) -> None:
    soft, hard = memory_bytes(demand)
    assert soft >= MEM_MB_MIN * MB
    assert hard is None or hard >= soft
    assert (hard is None) == (demand.mem_mb_limit == math.inf)


@given(settings, demands)
def test_only_what_may_outgrow_its_request_is_an_earlier_victim(asked: CgroupSettings, demand: Demand) -> None:
    score = oom_score(asked, demand)
    assert 0 <= score < OOM_SCORE_MAX
    if demand.mem_mb_limit is None or demand.mem_mb_limit <= demand.mem_mb or "mem" not in asked.isolators:
        assert score == 0


@given(settings, demands)
def test_only_active_isolators_write_and_no_file_gets_two_values(asked: CgroupSettings, demand: Demand) -> None:
    writes = plan_cgroup(asked, "c", demand).writes
    home = {"mem": "memory"}
    assert {write.controller for write in writes} <= {home.get(one, one) for one in asked.isolators}
    files = [write.file for write in writes if write.file != "devices.allow"]
    assert len(files) == len(set(files))


@given(settings, demands)
def test_an_update_to_the_same_demand_writes_what_the_launch_did(asked: CgroupSettings, demand: Demand) -> None:
    launched, updated = values(plan_cgroup(asked, "c", demand).writes), values(plan_update(asked, demand))
    assert {name: launched[name] for name in updated if name in launched} == {
        name: value for name, value in updated.items() if name in launched
    }
    assert not any(name.startswith(("pids", "cpuset", "devices")) for name in updated)


@given(settings, demands)
def test_memory_with_swap_is_limited_after_memory_and_raised_before_it(asked: CgroupSettings, demand: Demand) -> None:
    swap = "memory.memsw.limit_in_bytes"
    launched = [write.file for write in plan_cgroup(asked, "c", demand).writes]
    updated = [write.file for write in plan_update(asked, demand)]
    if swap in launched:
        assert launched.index("memory.limit_in_bytes") < launched.index(swap)
        assert updated.index(swap) < updated.index("memory.limit_in_bytes")


@given(st.lists(demands, min_size=1))
def test_several_need_the_sum_of_what_each_needs(several: list[Demand]) -> None:
    total = add_demands(several)
    assert math.isclose(total.mem_mb, math.fsum(one.mem_mb for one in several), rel_tol=1e-9, abs_tol=1e-9)
    assert total.mem_mb_limit is None or total.mem_mb_limit >= total.mem_mb or any(
        one.mem_mb_limit is not None and one.mem_mb_limit < one.mem_mb for one in several
    )  # fmt: skip
    assert (total.cpus_limit is None) == all(one.cpus_limit is None for one in several)


def test_resources_of_several_roles_are_added_up_and_revocable_cpus_are_known() -> None:
    def scalar(name: str, value: float, **fields: mesos.Resource_RevocableInfo) -> mesos.Resource:
        kind = mesos.Value_Type.SCALAR
        return mesos.Resource(name=name, type=kind, scalar=mesos.Value_Scalar(value=value), **fields)

    some = [scalar("cpus", 0.1), scalar("cpus", 0.2, revocable=mesos.Resource_RevocableInfo()), scalar("mem", 64.0)]
    found = demand_of([*some, scalar("disk", 9.0)], {"mem": mesos.Value_Scalar(value=math.inf)})
    assert found == Demand(0.3, 64.0, None, math.inf, revocable=True)
