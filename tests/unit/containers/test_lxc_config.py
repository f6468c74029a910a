"""What LXC is told of a container, line by line, and what its log says of ends."""

from __future__ import annotations

from typing import Any

import pytest

from merismos.core.containers.device_plan import DeviceNode
from merismos.core.containers.image_plan import DEFAULT_CAPABILITIES, RLIMIT_INFINITY, RLimit, RootPlan
from merismos.core.containers.lxc_config import UNKNOWN, LxcPlace, build_config, build_seccomp, read_status
from merismos.core.containers.oci_spec import BoundMount, ContainerUser

STARTED = 'lxc-start c 2026 NOTICE start - start.c:post_start:2205 - Started "/bin/sh" with pid "23526"\n'
ENDED = "lxc-start c 2026 DEBUG network - network.c:lxc_delete_network:4173 - Deleted network devices\n"
LOG_OF = "lxc-start c 2026 INFO     error - ../src/lxc/error.c:lxc_error_set_and_log:31 - Child <23526> ended on "


def plan(**fields: Any) -> RootPlan:  # noqa: ANN401 - fields of RootPlan
    return RootPlan(
        **{"layers": [], "working_dir": "/w", "sandbox_directory": "/s", "bounding": ["CHOWN", "NET_RAW"], **fields}
    )


def config(
    user: ContainerUser | None = None,
    environment: tuple[str, ...] = (),
    place: dict[str, Any] | None = None,
    **fields: Any,  # noqa: ANN401 - fields of RootPlan
) -> list[str]:
    about = LxcPlace(
        **{
            "container_id": "c1",
            "rootfs": "/r",
            "hostname": "h",
            "network": "/n",
            "seccomp": "/b/seccomp",
            **(place or {}),
        }
    )
    return build_config(plan(**fields), user or ContainerUser(), environment, about).splitlines()


def test_a_container_joins_its_network() -> None:
    assert 'lxc.namespace.share.net = "/run/n"' in config(place={"network": "/run/n"})


def test_values_are_taken_as_they_are_and_line_breaks_are_refused() -> None:
    lines = config(environment=('A=" # b  ', "B="), hostname="mine")
    assert 'lxc.environment = "A=" # b  "' in lines
    assert 'lxc.environment = "B="' in lines
    assert 'lxc.uts.name = "mine"' in lines
    for odd in ("A=b\nlxc.cap.keep = sys_admin", "A=\rb"):
        with pytest.raises(ValueError, match=r"one in lxc\.environment"):
            config(environment=(odd,))


def test_mounts_are_escaped_and_say_what_is_made_for_them() -> None:
    mounts = (BoundMount("/a b/#c", "/m\\n o"), BoundMount("/f", "/etc/hosts", read_only=True))
    lines = config(place={"mounts": mounts, "files": frozenset(["/f"]), "optional": frozenset(["/f"])})
    assert r'lxc.mount.entry = "/m\134n\040o a\040b/\043c none rbind,nosuid,nodev,create=dir 0 0"' in lines
    assert 'lxc.mount.entry = "/etc/hosts f none rbind,nosuid,nodev,create=file,ro,optional 0 0"' in lines


def test_rights_are_written_out_in_full() -> None:
    lines = config(
        ContainerUser(5, 6, (7, 8)),
        effective=["CHOWN", "SYS_ADMIN"],
        rlimits=[RLimit("RLIMIT_CORE", 0, RLIMIT_INFINITY)],
    )
    expected = [
        'lxc.init.uid = "5"', 'lxc.init.gid = "6"', 'lxc.init.groups = "7,8"', 'lxc.cap.keep = "chown"', 'lxc.no_new_privs = "1"',
        'lxc.prlimit.core = "0:unlimited"', 'lxc.seccomp.profile = "/b/seccomp"', 'lxc.init.cwd = "/w"',
    ]  # fmt: skip
    assert [one for one in expected if one not in lines] == []
    assert 'lxc.cap.keep = "none"' in config(bounding=[])
    assert not [line for line in config(confined=False) if "seccomp" in line]


def test_devices_are_refused_but_for_the_usual_ones_and_those_that_are_its_own() -> None:
    gpu = DeviceNode("/dev/gpu0", "c", 195, 0, "rw")
    lines = config(place={"devices": "cgroup"}, devices=[gpu])
    devices = [line for line in lines if "devices" in line]
    assert devices[0] == 'lxc.cgroup.devices.deny = "a"'
    assert 'lxc.cgroup.devices.allow = "c 1:3 rwm"' in devices
    assert 'lxc.cgroup.devices.allow = "c 195:0 rw"' in devices
    assert 'lxc.mount.entry = "/dev/gpu0 dev/gpu0 none bind,nosuid,create=file 0 0"' in lines
    assert not [line for line in config() if ".devices." in line]


def test_its_cgroups_lie_in_that_of_its_agent_and_memory_is_counted_there() -> None:
    lines = config(place={"join": "/sys/it's/cgroup.procs"})
    assert 'lxc.cgroup.relative = "1"' in lines
    assert 'lxc.cgroup.dir.container = "lxc.payload.c1"' in lines
    assert 'lxc.cgroup.dir.monitor.pivot = "lxc.pivot.c1"' in lines
    assert """lxc.hook.start-host = "/bin/sh -c 'echo $LXC_PID >"$0"' '/sys/it'\\''s/cgroup.procs'\"""" in lines


def test_system_calls_are_refused_but_for_what_a_capability_is_for() -> None:
    usual = build_seccomp(plan(bounding=list(DEFAULT_CAPABILITIES))).splitlines()
    assert usual[:2] == ["2", "denylist"]
    assert "mount errno 1" in usual
    assert "clone errno 1 [0,268435456,SCMP_CMP_MASKED_EQ,268435456]" in usual
    assert "clone3 errno 38" in usual
    free = build_seccomp(plan(bounding=["SYS_ADMIN"])).splitlines()
    assert "kexec_load errno 1" in free
    assert not [line for line in free if line.startswith(("mount errno", "clone"))]


@pytest.mark.parametrize(
    ("log", "status", "found"),
    [
        (STARTED + ENDED + LOG_OF + "error (42)\n", 0, 42 << 8),
        (STARTED + LOG_OF + "signal Killed(9)\n" + ENDED, 0, 9),
        (STARTED + LOG_OF + "signal (11)\n", 0, 11),
        (STARTED + ENDED, 0, 0),
        (STARTED + "... DEBUG - Container init process 23526 exited\n", 0, 0),
        (STARTED, 0, UNKNOWN),
        ("", 0, UNKNOWN),
        (STARTED + ENDED, 9, 9),
        (STARTED + ENDED, 1 << 8, 1 << 8),
        (LOG_OF + "error (1)\n" + LOG_OF + "error (2)\n", 0, 2 << 8),
    ],
)
def test_how_a_container_ended_is_in_the_log_and_nothing_there_is_no_success(log: str, status: int, found: int) -> None:
    assert read_status(log, status) == found
