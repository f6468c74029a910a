"""DockerInfo.parameters: options of `docker run`, and where each goes in a request to create a container.

Rules: an option is written without its dashes. One that isn't known, that this agent sets itself or whose value can't be read is a
`Rejection`: a container is never started with less than was asked for. An option that may be repeated adds up; any other replaces
what the task's own fields said.
Source: the Docker Engine API, ContainerCreate; `docker run --help`.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import Any, Final

from merismos.model.rejection import Rejection

Body = dict[str, Any]
_Apply = Callable[[Body, str], None]

_UNITS: Final = {"b": 1, "k": 1 << 10, "m": 1 << 20, "g": 1 << 30, "t": 1 << 40}
_BYTES = re.compile(r"(\d+(?:\.\d+)?)([bkmgt])?b?", re.IGNORECASE)
_NANOS = 1_000_000_000
_OURS: Final = {
    "name": "the agent names its containers",
    "rm": "the agent removes a container after --docker_remove_delay",
    "detach": "a task's container is always detached",
    "d": "a task's container is always detached",
    "restart": "a framework decides what is started again",
    "tty": "a task's output goes to files",
    "t": "a task's output goes to files",
    "interactive": "a task has no input",
    "i": "a task has no input",
    "network": "give docker.network, and network_infos for a network of your own",
    "net": "give docker.network, and network_infos for a network of your own",
    "publish": "give docker.port_mappings, whose ports are among the task's resources",
    "p": "give docker.port_mappings, whose ports are among the task's resources",
    "publish-all": "give docker.port_mappings, whose ports are among the task's resources",
    "P": "give docker.port_mappings, whose ports are among the task's resources",
}


def apply_parameter(body: Body, key: str, value: str) -> Rejection | None:
    """Put one option into the request `body`; return why that can't be."""
    if key in _OURS:
        return _invalid(f"'{key}' is not allowed: {_OURS[key]}")
    apply = _OPTIONS.get(_SHORT.get(key, key))
    if apply is None:
        return _invalid(f"'{key}' is not supported; supported are {', '.join(sorted(_OPTIONS))}")
    try:
        apply(body, value)
    except ValueError as error:
        return _invalid(f"'{key}={value}' can't be read: {error}")
    return None


def parse_bytes(text: str) -> int:
    """Return an amount of memory such as 64m.

    Errors: ValueError.
    """
    match = _BYTES.fullmatch(text)
    if match is None:
        raise ValueError("write a number with b, k, m or g, such as 64m")
    return int(float(match[1]) * _UNITS[(match[2] or "b").lower()])


def _invalid(text: str) -> Rejection:
    return Rejection("docker_parameter_invalid", f"docker parameter {text}")


def _split(value: str, separator: str = "=") -> tuple[str, str]:
    name, found, rest = value.partition(separator)
    if not name or not found:
        raise ValueError(f"write NAME{separator}VALUE")
    return name, rest


def _whole(value: str) -> int:
    try:
        return int(value)
    except ValueError:
        raise ValueError("it is no whole number") from None


def _switch(value: str) -> bool:
    if value.lower() not in {"true", "false", "1", "0", ""}:
        raise ValueError("write true or false")
    return value.lower() in {"true", "1", ""}


def _host(name: str, read: Callable[[str], object] = str) -> _Apply:
    def apply(body: Body, value: str) -> None:
        body["HostConfig"][name] = read(value)

    return apply


def _config(name: str, read: Callable[[str], object] = str) -> _Apply:
    def apply(body: Body, value: str) -> None:
        body[name] = read(value)

    return apply


def _hosts(name: str, read: Callable[[str], object] = str) -> _Apply:
    def apply(body: Body, value: str) -> None:
        body["HostConfig"].setdefault(name, []).append(read(value))

    return apply


def _host_map(name: str) -> _Apply:
    def apply(body: Body, value: str) -> None:
        key, text = _split(value)
        body["HostConfig"].setdefault(name, {})[key] = text

    return apply


def _device(value: str) -> Body:
    parts = value.split(":")
    inside = parts[1] if len(parts) > 1 and parts[1].startswith("/") else parts[0]
    rights = parts[-1] if len(parts) > 1 and not parts[-1].startswith("/") else "rwm"
    return {"PathOnHost": parts[0], "PathInContainer": inside, "CgroupPermissions": rights}


def _ulimit(value: str) -> Body:
    name, text = _split(value)
    soft, _, hard = text.partition(":")
    return {"Name": name, "Soft": _whole(soft), "Hard": _whole(hard or soft)}


def _cpus(value: str) -> int:
    try:
        return int(float(value) * _NANOS)
    except (ValueError, OverflowError):
        raise ValueError("it is no number of CPUs") from None


def _set_cpus(body: Body, value: str) -> None:
    nano_cpus = _cpus(value)
    for name in ("CpuQuota", "CpuPeriod"):
        body["HostConfig"].pop(name, None)
    body["HostConfig"]["NanoCpus"] = nano_cpus


def _add_env(body: Body, value: str) -> None:
    _split(value)
    body["Env"].append(value)


def _add_label(body: Body, value: str) -> None:
    name, _, text = value.partition("=")
    body["Labels"].setdefault(name, text)  # ours, by which we find our containers again, stay


def _add_exposed(body: Body, value: str) -> None:
    body.setdefault("ExposedPorts", {})[value if "/" in value else f"{value}/tcp"] = {}


def _add_tmpfs(body: Body, value: str) -> None:
    path, _, options = value.partition(":")
    body["HostConfig"].setdefault("Tmpfs", {})[path] = options


def _add_log_option(body: Body, value: str) -> None:
    name, text = _split(value)
    body["HostConfig"].setdefault("LogConfig", {}).setdefault("Config", {})[name] = text


def _set_log_driver(body: Body, value: str) -> None:
    body["HostConfig"].setdefault("LogConfig", {})["Type"] = value


def _add_alias(body: Body, value: str) -> None:
    endpoints = body.get("NetworkingConfig", {}).get("EndpointsConfig", {})
    if not endpoints:
        raise ValueError("aliases need a network of your own (docker.network USER)")
    for endpoint in endpoints.values():
        endpoint.setdefault("Aliases", []).append(value)


_SHORT: Final = {
    "c": "cpu-shares", "e": "env", "h": "hostname", "l": "label", "m": "memory", "u": "user", "v": "volume",
    "w": "workdir", "dns-option": "dns-opt", "net-alias": "network-alias",
}  # fmt: skip
_OPTIONS: Final[dict[str, _Apply]] = {
    "add-host": _hosts("ExtraHosts"),
    "blkio-weight": _host("BlkioWeight", _whole),
    "cap-add": _hosts("CapAdd"),
    "cap-drop": _hosts("CapDrop"),
    "cgroup-parent": _host("CgroupParent"),
    "cgroupns": _host("CgroupnsMode"),
    "cpu-period": _host("CpuPeriod", _whole),
    "cpu-quota": _host("CpuQuota", _whole),
    "cpu-shares": _host("CpuShares", _whole),
    "cpus": _set_cpus,
    "cpuset-cpus": _host("CpusetCpus"),
    "cpuset-mems": _host("CpusetMems"),
    "device": _hosts("Devices", _device),
    "device-cgroup-rule": _hosts("DeviceCgroupRules"),
    "dns": _hosts("Dns"),
    "dns-opt": _hosts("DnsOptions"),
    "dns-search": _hosts("DnsSearch"),
    "domainname": _config("Domainname"),
    "entrypoint": _config("Entrypoint", lambda value: [value] if value else [""]),
    "env": _add_env,
    "expose": _add_exposed,
    "group-add": _hosts("GroupAdd"),
    "hostname": _config("Hostname"),
    "init": _host("Init", _switch),
    "ipc": _host("IpcMode"),
    "label": _add_label,
    "link": _hosts("Links"),
    "log-driver": _set_log_driver,
    "log-opt": _add_log_option,
    "mac-address": _config("MacAddress"),
    "memory": _host("Memory", parse_bytes),
    "memory-reservation": _host("MemoryReservation", parse_bytes),
    "memory-swap": _host("MemorySwap", lambda value: -1 if value == "-1" else parse_bytes(value)),
    "memory-swappiness": _host("MemorySwappiness", _whole),
    "network-alias": _add_alias,
    "oom-kill-disable": _host("OomKillDisable", _switch),
    "oom-score-adj": _host("OomScoreAdj", _whole),
    "pid": _host("PidMode"),
    "pids-limit": _host("PidsLimit", _whole),
    "privileged": _host("Privileged", _switch),
    "read-only": _host("ReadonlyRootfs", _switch),
    "runtime": _host("Runtime"),
    "security-opt": _hosts("SecurityOpt"),
    "shm-size": _host("ShmSize", parse_bytes),
    "stop-signal": _config("StopSignal"),
    "storage-opt": _host_map("StorageOpt"),
    "sysctl": _host_map("Sysctls"),
    "tmpfs": _add_tmpfs,
    "ulimit": _hosts("Ulimits", _ulimit),
    "user": _config("User"),
    "userns": _host("UsernsMode"),
    "uts": _host("UTSMode"),
    "volume": _hosts("Binds"),
    "volume-driver": _host("VolumeDriver"),
    "volumes-from": _hosts("VolumesFrom"),
    "workdir": _config("WorkingDir"),
}
