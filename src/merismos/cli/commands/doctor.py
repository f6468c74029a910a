"""`merismos doctor`: is this machine fit, is the cluster well?

Rules: each finding is ok, a warning or a problem, and says what to do; what is absent is not needed, but for what it says. The exit code is 1 where there is a problem.
"""

from __future__ import annotations

import argparse
import os
import platform
import resource
import shutil
import socket
import sys
import tempfile
import time
from collections.abc import Sequence
from email.utils import parsedate_to_datetime
from pathlib import Path

from merismos.adapters.linux import cgroup_detection, isolator_detection, nvml
from merismos.cli import cluster, output
from merismos.cli.client import Client, find_master
from merismos.cli.errors import CommandError
from merismos.containers.lxc_programs import LXC_PATH, names_of_roots, obstacle_of_lxc
from merismos.containers.oci_runtimes import choose, obstacle_of_images
from merismos.sdk import address, local_cluster

OK, ABSENT, WARNING, PROBLEM = "ok", "absent", "warning", "problem"
PYTHON_MIN = (3, 11)
FILES_MIN = 4096
DISK_FREE_MB_MIN = 1024
CLOCK_DRIFT_S_MAX = 5.0
_MB = 1 << 20

Finding = dict[str, str]


def run(arguments: argparse.Namespace) -> int:
    """Check, and say what was found."""
    findings = [*check_machine(), *check_cluster(arguments.master)]
    if arguments.output == "json":
        output.show_json(findings)
    else:
        rows = [[one["state"], one["what"], one["finding"]] for one in findings]
        output.show_table(["STATE", "WHAT", "FINDING"], rows)
    return int(any(one["state"] == PROBLEM for one in findings))


def check_machine() -> list[Finding]:
    """Look at this machine."""
    return [
        _python(),
        _open_files(),
        *_cgroups(),
        *_isolators(),
        _images(),
        check_lxc(),
        check_docker(),
        check_networks(),
        check_gpus(),
        _temporary_folder(),
        _local_cluster(),
    ]


def check_cluster(given: str | None) -> list[Finding]:
    """Look at the master and its agents."""
    try:
        master = find_master(given)
        asked_at = time.time()
        answer = master.ask("GET", "/version")
        agents = cluster.agents(master)
    except CommandError as error:
        return [_finding("master", PROBLEM, f"{error.what}. {error.todo}")]
    return [
        _finding("master", OK, f"{master.address} answers in {(time.time() - asked_at) * 1000:.0f} ms"),
        _clock(answer.headers.get("date", "")),
        _agents(agents),
        *[check_agent(master, agent, _client_of(agent)) for agent in agents],
    ]


def _finding(what: str, state: str, finding: str) -> Finding:
    return {"what": what, "state": state, "finding": finding}


def _python() -> Finding:
    version = platform.python_version()
    if sys.version_info < PYTHON_MIN:
        return _finding("python", PROBLEM, f"{version} is too old: install Python 3.11 or newer")
    if not __debug__:
        return _finding("python", PROBLEM, "-O or PYTHONOPTIMIZE is set, and daemons refuse it: unset it")
    return _finding("python", OK, f"{version} on {platform.system()} {platform.release()}")


def _open_files() -> Finding:
    hard = resource.getrlimit(resource.RLIMIT_NOFILE)[1]
    if hard != resource.RLIM_INFINITY and hard < FILES_MIN:
        return _finding("open files", WARNING, f"at most {hard} a process; a big cluster needs more: ulimit -Hn 65536")
    return _finding("open files", OK, f"up to {'any number' if hard == resource.RLIM_INFINITY else hard} a process")


def _cgroups(hierarchy: Path = Path("/sys/fs/cgroup")) -> list[Finding]:
    """Say which isolators an agent may have here, and what it lacks for the others."""
    if platform.system() != "Linux":
        return [_finding("cgroups", ABSENT, "not on this system; tasks run without limits")]
    version = cgroup_detection.version_of(hierarchy)
    obstacles = {one: cgroup_detection.obstacle(hierarchy, version, one) for one in cgroup_detection.ISOLATORS}
    ready = [f"cgroups/{one}" for one, why in obstacles.items() if why is None]
    if not ready:
        why = cgroup_detection.obstacle_of_launcher(hierarchy, version) or obstacles["cpu"]
        return [_finding("cgroups", WARNING, f"an agent started here can't limit its tasks: {why}")]
    able = _finding("cgroups", OK, f"version {version}; an agent may have --isolation={','.join(ready)}")
    missing = [(one, why) for one, why in obstacles.items() if why is not None]
    return [
        able,
        *[
            _finding(f"cgroups/{one}", ABSENT if one in cgroup_detection.OPTIONAL else WARNING, why)
            for one, why in missing
        ],
    ]


def _isolators() -> list[Finding]:
    """Say which other isolators an agent may have here, and what it lacks for the rest."""
    obstacles = {one: isolator_detection.obstacle(one) for one in isolator_detection.ISOLATORS}
    ready = [one for one, why in obstacles.items() if why is None]
    able = _finding("isolators", OK, f"an agent may have --isolation={','.join(ready)}")
    return [able, *[_finding(one, WARNING, f"not here: {why}") for one, why in obstacles.items() if why is not None]]


def _images() -> Finding:
    """Say whether an agent may run containers of images here."""
    obstacle = obstacle_of_images()
    if obstacle is not None:
        return _finding("images", WARNING, f"an agent can't run containers of images here: {obstacle}")
    how = "" if os.geteuid() == 0 else "; without root each copies its image's files, and is one user"
    with tempfile.TemporaryDirectory() as folder:
        try:
            chosen = choose(Path(folder))
        except LookupError as error:
            return _finding("images", WARNING, str(error))
    return _finding("images", OK, f"an agent may have --image_providers=docker, by {chosen.program}{how}")


def check_lxc(obstacle: str | None = None, path: str = LXC_PATH) -> Finding:
    """Say whether an agent may have --containerizers=mesos,lxc here, and of what its containers could be made."""
    obstacle = obstacle or obstacle_of_lxc()
    if obstacle is not None:
        return _finding("lxc", OK, f"an agent can't run containers of LXC here: {obstacle}")
    names = ", ".join(names_of_roots(path)) or "none yet, make one: lxc-create -n NAME -t busybox"
    return _finding("lxc", OK, f"an agent may have --containerizers=mesos,lxc; root filesystems in {path}: {names}")


def check_docker(path: str = "/var/run/docker.sock", within_s: float = 2.0) -> Finding:
    """Say whether an agent may have --containerizers=mesos,docker here."""
    if not os.path.exists(path):  # noqa: PTH110 - one system call, no Path to build
        return _finding("docker", ABSENT, f"no {path}; tasks of type DOCKER need a Docker Engine")
    with socket.socket(socket.AF_UNIX) as connection:
        connection.settimeout(within_s)
        try:
            connection.connect(path)
            connection.sendall(b"GET /_ping HTTP/1.0\r\nHost: docker\r\n\r\n")
            answers = b" 200 " in connection.recv(64)
        except TimeoutError:
            return _finding("docker", WARNING, f"{path} does not answer within {within_s:g} s: restart Docker")
        except OSError as error:
            return _finding("docker", WARNING, f"{path} can't be used: {error.strerror or error}")
    if not answers:
        return _finding("docker", WARNING, f"what answers at {path} is no Docker Engine")
    return _finding("docker", OK, "answers; an agent may have --containerizers=mesos,docker")


def check_networks(
    directories: Sequence[str] = ("/usr/lib/cni", "/opt/cni/bin"), configs: str = "/etc/cni/net.d"
) -> Finding:
    """Say whether containers may join networks of CNI here."""
    found = next((one for one in directories if os.path.exists(f"{one}/bridge")), None)  # noqa: PTH110 - one system call, no Path to build
    if found is None:
        how = "for networks of containers: apt-get install containernetworking-plugins"
        return _finding("networks", ABSENT, f"no CNI plugins are in {' and '.join(directories)}; {how}")
    plugins = ", ".join(sorted(path.name for path in Path(found).iterdir()))
    if shutil.which("iptables") is None:
        what = "but no iptables, without which ports can't be mapped: apt-get install iptables"
        return _finding("networks", WARNING, f"CNI plugins are in {found} ({plugins}), {what}")
    how = f"an agent that is root may have --network_cni_plugins_dir={found} --network_cni_config_dir={configs}"
    lacks = "" if os.path.isdir(configs) else ", once there are networks"  # noqa: PTH112 - one system call, no Path to build
    return _finding("networks", OK, f"{how}{lacks}; plugins: {plugins}")


def check_gpus(library: str = nvml.LIBRARY) -> Finding:
    """Say which GPUs an agent finds here."""
    try:
        found = nvml.find_gpus(library)
    except nvml.NvmlError as error:
        return _finding("gpus", WARNING, f"{error}")
    if found is None:
        return _finding("gpus", ABSENT, f"no NVIDIA driver ({library}); GPUs of others: --gpu_devices, as root")
    names = ", ".join(gpu.uuid for gpu in found)
    how = "an agent may have --isolation=cgroups/devices,gpu/nvidia"
    return _finding("gpus", OK, f"{len(found)} of NVIDIA, {names}; {how}")


def _temporary_folder() -> Finding:
    folder = tempfile.gettempdir()
    free_mb = shutil.disk_usage(folder).free // _MB
    if not os.access(folder, os.W_OK):
        return _finding("sandboxes", PROBLEM, f"{folder} can't be written: set TMPDIR to a folder that can")
    if free_mb < DISK_FREE_MB_MIN:
        return _finding("sandboxes", WARNING, f"only {free_mb} MB are free in {folder}: make room, or set TMPDIR")
    return _finding("sandboxes", OK, f"{output.megabytes(float(free_mb))} are free in {folder}")


def _local_cluster() -> Finding:
    record = local_cluster.read_record()
    if record is None:
        return _finding("merismos up", ABSENT, "no cluster of yours runs here")
    if local_cluster.is_locked():
        return _finding("merismos up", OK, f"runs at http://{record.master}, process {record.pid}")
    return _finding(
        "merismos up", WARNING, "a cluster was killed and left things behind; take them away: merismos down"
    )


def _clock(date: str) -> Finding:
    try:
        drift_s = abs(parsedate_to_datetime(date).timestamp() - time.time())
    except ValueError:
        return _finding("clock", OK, "the master doesn't tell the time")
    if drift_s > CLOCK_DRIFT_S_MAX:
        return _finding(
            "clock", WARNING, f"the master's differs from this machine's by {drift_s:.0f} s: run NTP on both"
        )
    return _finding("clock", OK, "the same as the master's")


def _agents(agents: list[cluster.Row]) -> Finding:
    active = sum(agent["state"] == "active" for agent in agents)
    if not active:
        return _finding(
            "agents", PROBLEM, "none is active, so nothing can run: merismos agent --master=HOST:PORT --work_dir=FOLDER"
        )
    state = OK if active == len(agents) else WARNING
    return _finding("agents", state, f"{active} of {len(agents)} active")


def check_agent(master: Client, agent: cluster.Row, direct: Client) -> Finding:
    """Look at an agent, from here and, where that fails, through its master."""
    how = ""
    try:
        flags = direct.get("/flags")["flags"]
    except CommandError as error:
        try:
            flags = master.get(f"/agent/{agent['id']}/flags")["flags"]
        except CommandError:
            text = f"{error.what}, nor through the master; logs and output of its tasks can't be shown here"
            return _finding(agent["id"], WARNING, text)
        how = " through the master only"
    isolation = flags.get("isolation", "")
    limits = "" if "cgroups" in isolation else ", which limits nothing"
    return _finding(agent["id"], OK, f"{agent['address']} answers{how}; its isolation is {isolation}{limits}")


def _client_of(agent: cluster.Row) -> Client:
    return Client(address.parse(agent["address"]), kind="agent", timeout_s=2.0)
