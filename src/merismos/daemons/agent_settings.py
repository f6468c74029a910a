"""From an agent's flags to the settings of its core.

Errors: FlagError, with what to change.
"""

from __future__ import annotations

import os
from pathlib import Path

import msgspec

from merismos.adapters.agent_http.domain_socket import NAME
from merismos.adapters.linux import detection
from merismos.core.agent.state import CAPABILITIES, AgentSettings
from merismos.core.containers.gpu_plan import GpuSettings
from merismos.core.containers.image_plan import DEFAULT_CAPABILITIES
from merismos.core.master.views.values import WIRE_VERSION
from merismos.daemons.agent_devices import gpus_of, image_devices_of
from merismos.daemons.agent_docker import containerizers_of, docker_settings
from merismos.daemons.agent_images import capabilities_of, has_images
from merismos.daemons.agent_isolation import cgroup_settings, isolation_of
from merismos.daemons.agent_isolators import isolator_settings
from merismos.daemons.agent_lxc import lxc_settings
from merismos.daemons.agent_networks import has_networks
from merismos.model.attributes import parse_attributes
from merismos.model.rejection import Rejection
from merismos.model.resource_notation import parse_resources
from merismos.model.resource_protocol import to_protocol
from merismos.model.resources import Resources
from merismos.protocol.v1 import mesos
from merismos.shell.flags import FlagError, Flags
from merismos.shell.quantities import format_duration

EFFECTIVE = frozenset(
    {
        "advertise_ip",
        "advertise_port",
        "attributes",
        "allowed_devices",
        "authenticate_http_executors",
        "cgroups_cpu_enable_pids_and_tids_count",
        "cgroups_cpuset_cpus",
        "cgroups_destroy_timeout",
        "cgroups_enable_cfs",
        "cgroups_hierarchy",
        "cgroups_io_max",
        "cgroups_limit_swap",
        "cgroups_net_cls_primary_handle",
        "cgroups_net_cls_secondary_handles",
        "cgroups_pids_max",
        "cgroups_root",
        "check_agent_port_range_only",
        "container_disk_watch_interval",
        "container_logger",
        "container_ports_isolated_range",
        "container_ports_watch_interval",
        "bounding_capabilities",
        "containerizers",
        "default_container_dns",
        "default_container_shm_size",
        "default_role",
        "disallow_sharing_agent_ipc_namespace",
        "disallow_sharing_agent_pid_namespace",
        "docker_call_timeout",
        "docker_config",
        "domain_socket_location",
        "docker_kill_orphans",
        "docker_mesos_image",
        "docker_registry",
        "docker_remove_delay",
        "docker_socket",
        "docker_stop_timeout",
        "docker_store_dir",
        "effective_capabilities",
        "enforce_container_disk_quota",
        "enforce_container_ports",
        "executor_environment_variables",
        "executor_registration_timeout",
        "executor_reregistration_timeout",
        "executor_shutdown_grace_period",
        "fetcher_cache_dir",
        "fetcher_cache_size",
        "fetcher_stall_timeout",
        "frameworks_home",
        "disk_watch_interval",
        "gc_delay",
        "gc_disk_headroom",
        "gpu_devices",
        "help",
        "hadoop_home",
        "hostname",
        "hostname_lookup",
        "http_executor_domain_sockets",
        "image_gc_config",
        "image_providers",
        "image_provisioner_backend",
        "ip",
        "isolation",
        "jwt_secret_key",
        "launcher",
        "log_dir",
        "logging_level",
        "lxc_path",
        "master",
        "master_detector",
        "max_completed_executors_per_framework",
        "modules",
        "modules_dir",
        "network_cni_config_dir",
        "network_cni_metrics",
        "network_cni_plugins_dir",
        "network_cni_root_dir_persist",
        "network_cni_timeout",
        "nvidia_gpu_devices",
        "port",
        "oci_runtime",
        "port_file",
        "quiet",
        "reconfiguration_policy",
        "record",
        "record_size",
        "recover",
        "recovery_timeout",
        "registration_backoff_factor",
        "resources",
        "revocable_cpu_low_priority",
        "runtime_dir",
        "sandbox_directory",
        "seccomp_config_dir",
        "seccomp_profile_name",
        "strict",
        "switch_user",
        "systemd_enable_support",
        "systemd_runtime_directory",
        "version",
        "work_dir",
        "zk_session_timeout",
    }
)


def parse_work_dir(flags: Flags) -> str:
    """Return the absolute work directory."""
    work_dir = flags.text("work_dir")
    if not work_dir:
        raise FlagError("--work_dir is missing: write --work_dir=DIRECTORY, where sandboxes and records go")
    return str(Path(work_dir).absolute())


def parse_sandbox_directory(flags: Flags) -> str:
    """Return where a container with an image sees its sandbox."""
    path = flags.text("sandbox_directory") or ""
    if not path.startswith("/") or ".." in Path(path).parts or path.strip("/") == "":
        raise FlagError(f"--sandbox_directory={path} must be an absolute path below the root, without '..'")
    return path


def given_resources(flags: Flags) -> Resources:
    """Return the resources that are given."""
    given = parse_resources(flags.text("resources") or "", flags.text("default_role") or "*")
    if isinstance(given, Rejection):
        raise FlagError(f"--resources: {given.message}")
    return given


def detect_resources(given: Resources, gpus: GpuSettings | None, work_dir: str) -> Resources:
    """Return the resources that are given, and the rest as detected."""
    missing = detection.detect_missing(set(given.names()), work_dir)
    if gpus is not None and gpus.gpus and "gpus" not in given.names():
        missing = f"{missing};gpus:{len(gpus.gpus)}"
    found = parse_resources(missing)
    assert isinstance(found, Resources), found
    return given + found


def build_settings(flags: Flags, hostname: str, ip: str, port: int) -> AgentSettings:
    """Return the settings of an agent that listens at `ip`:`port`."""
    work_dir = parse_work_dir(flags)
    attributes = parse_attributes(flags.text("attributes") or "")
    if isinstance(attributes, Rejection):
        raise FlagError(f"--attributes: {attributes.message}")
    isolators, given = isolation_of(flags).names, given_resources(flags)
    gpus = gpus_of(flags, isolators, given)
    advertised_ip = flags.text("advertise_ip") or ip
    advertised_port = flags.whole("advertise_port") if flags.given("advertise_port") else port
    info = mesos.AgentInfo(
        hostname=hostname,
        port=advertised_port,
        resources=to_protocol(detect_resources(given, gpus, work_dir)),
        attributes=attributes,
    )
    cgroups = cgroup_settings(flags)
    docker = docker_settings(flags, work_dir)
    return AgentSettings(
        info=info,
        ip=advertised_ip,
        port=advertised_port,
        pid=f"slave(1)@{advertised_ip}:{advertised_port}",
        version=WIRE_VERSION,
        work_dir=work_dir,
        environment=executor_environment(flags),
        domain_socket=domain_socket_of(flags, work_dir),
        switch_user=flags.on("switch_user") and os.geteuid() == 0,
        registration_backoff_s=flags.seconds("registration_backoff_factor"),
        kill_grace_s=flags.seconds("executor_shutdown_grace_period"),
        kill_grace_text=format_duration(flags.seconds("executor_shutdown_grace_period")),
        recovery_timeout_text=format_duration(flags.seconds("recovery_timeout")),
        gc_delay_s=flags.seconds("gc_delay"),
        gc_disk_headroom=flags.real("gc_disk_headroom"),
        executor_registration_timeout_s=flags.seconds("executor_registration_timeout"),
        executor_reregistration_timeout_s=flags.seconds("executor_reregistration_timeout"),
        executor_reregistration_timeout_text=format_duration(flags.seconds("executor_reregistration_timeout")),
        executor_registration_timeout_text=format_duration(flags.seconds("executor_registration_timeout")),
        completed_executors_max=flags.whole("max_completed_executors_per_framework"),
        strict=flags.on("strict"),
        cleanup=chosen(flags, "recover", ("reconnect", "cleanup")) == "cleanup",
        images=has_images(flags),
        sandbox_directory=parse_sandbox_directory(flags),
        bounding_capabilities=capabilities_of(flags, "bounding_capabilities") or DEFAULT_CAPABILITIES,
        effective_capabilities=capabilities_of(flags, "effective_capabilities"),
        additive=chosen(flags, "reconfiguration_policy", ("equal", "additive")) == "additive",
        cgroups=cgroups,
        isolators=isolator_settings(flags),
        native="mesos" in containerizers_of(flags),
        docker=docker,
        networks=has_networks(flags),
        lxc=lxc_settings(flags),
        gpus=gpus,
        image_devices=image_devices_of(flags, isolators),
        capabilities=[*CAPABILITIES, *([] if cgroups is None and docker is None else ["TASK_RESOURCE_LIMITS"])],
    )


def domain_socket_of(flags: Flags, work_dir: str) -> str:
    """Return where executors are served on a Unix socket, empty for nowhere."""
    if not flags.on("http_executor_domain_sockets"):
        return ""
    return str(Path(flags.text("domain_socket_location") or f"{work_dir}/{NAME}").absolute())


def chosen(flags: Flags, name: str, known: tuple[str, ...]) -> str:
    """Return the value of a flag that takes one of a few words."""
    value = flags.text(name) or known[0]
    if value not in known:
        raise FlagError(f"--{name}={value} is not known; give {' or '.join(known)}")
    return value


def executor_environment(flags: Flags) -> list[str]:
    """Return the variables that every task gets, as NAME=value."""
    text = flags.text("executor_environment_variables")
    if not text:
        return []
    try:
        variables = msgspec.json.decode(text, type=dict[str, str])
    except msgspec.DecodeError as error:
        raise FlagError(f"--executor_environment_variables is no JSON object of strings: {error}") from error
    for name, value in variables.items():
        if not name or "=" in name or "\0" in name + value:
            raise FlagError(f"--executor_environment_variables: '{name}' can't be a variable, or its value holds a NUL")
    return [f"{name}={value}" for name, value in variables.items()]
