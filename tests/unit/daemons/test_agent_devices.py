"""From an agent's flags to the GPUs that it hands out."""

from __future__ import annotations

import pytest

from merismos.core.containers.gpu_plan import GpuSettings
from merismos.daemons.agent_devices import allowed_nodes, gpus_of, image_devices_of
from merismos.model.resource_notation import parse_resources
from merismos.model.resources import Resources
from merismos.shell import flag_tables
from merismos.shell.flags import FlagError, Flags, parse

TWO = '--gpu_devices={"1":["/dev/zero"],"0":["/dev/null","/dev/full"],"all":["/dev/tty"]}'
ISOLATORS = ("gpu/nvidia", "cgroups/devices")


def flags(*given: str) -> Flags:
    return parse(flag_tables.AGENT, list(given), {}, effective=frozenset())


def gpus(*given: str, resources: str = "", isolators: tuple[str, ...] = ISOLATORS) -> GpuSettings | None:
    parsed = parse_resources(resources)
    assert isinstance(parsed, Resources)
    return gpus_of(flags(*given, f"--resources={resources}"), isolators, parsed)


def paths(found: GpuSettings | None) -> dict[int, list[str]]:
    assert found is not None
    return {gpu.index: [node.path for node in gpu.devices] for gpu in found.gpus}


def test_all_that_are_described_are_handed_out_unless_some_are_named() -> None:
    found = gpus(TWO)
    assert paths(found) == {0: ["/dev/null", "/dev/full"], 1: ["/dev/zero"]}
    assert found is not None
    assert [node.entry() for node in found.control] == ["c 5:0 rwm"]
    assert paths(gpus(TWO, "--nvidia_gpu_devices=1", resources="gpus:1")) == {1: ["/dev/zero"]}
    assert paths(gpus(TWO, resources="gpus:0")) == {}


def test_without_the_isolator_there_are_none() -> None:
    assert gpus(resources="gpus:4", isolators=()) is None


@pytest.mark.parametrize(
    ("given", "resources", "isolators", "why"),
    [
        ((TWO,), "", (), "need --isolation"),
        ((TWO,), "gpus:1.5", ISOLATORS, "GPUs are whole"),
        ((TWO,), "gpus:2", ISOLATORS, "--resources names GPUs and --nvidia_gpu_devices doesn't"),
        ((TWO, "--nvidia_gpu_devices=0"), "", ISOLATORS, "--nvidia_gpu_devices names GPUs and --resources doesn't"),
        ((TWO, "--nvidia_gpu_devices=0"), "gpus:0", ISOLATORS, "can't be given together"),
        ((TWO, "--nvidia_gpu_devices=0"), "gpus:2", ISOLATORS, "must be as many"),
        ((TWO, "--nvidia_gpu_devices=0,0"), "gpus:2", ISOLATORS, "names a GPU twice"),
        ((TWO, "--nvidia_gpu_devices=0,7"), "gpus:2", ISOLATORS, "there is no GPU 7"),
        ((TWO, "--nvidia_gpu_devices=x"), "gpus:2", ISOLATORS, "is no list of numbers"),
        (('--gpu_devices={"0":["/dev/nothing"]}',), "", ISOLATORS, "/dev/nothing is no device"),
        (('--gpu_devices={"a":[]}',), "", ISOLATORS, "its keys are the numbers"),
        (("--gpu_devices=[1]",), "", ISOLATORS, "no JSON object"),
        ((), "", ISOLATORS, "libnvidia-ml.so.1 of the NVIDIA driver is not here"),
    ],
)
def test_what_does_not_fit_together_is_said(
    given: tuple[str, ...], resources: str, isolators: tuple[str, ...], why: str
) -> None:
    with pytest.raises(FlagError, match=why.replace("(", r"\(")):
        gpus(*given, resources=resources, isolators=isolators)


def test_containers_of_images_have_nodes_of_what_is_allowed_only_with_the_isolator() -> None:
    allowed = flags('--allowed_devices={"allowed_devices":[{"device":{"path":"/dev/full"},"access":{"read":true}}]}')
    assert [node.entry() for node in allowed_nodes(allowed)] == ["c 1:7 r"]
    assert image_devices_of(allowed, ()) == ()
    (node,) = image_devices_of(allowed, ("linux/devices",))
    assert (node.path, node.rights) == ("/dev/full", "r")
