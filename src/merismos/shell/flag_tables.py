"""Every flag that Mesos' master and agent know, and a few of ours, as data.

Source: the flags pages of Mesos 1.12 for names and defaults; the words are ours.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import Final

from merismos.shell.flags import Flag, Kind, table_of

_KINDS: Final = {
    "text": Kind.TEXT,
    "path": Kind.PATH,
    "on": Kind.SWITCH,
    "whole": Kind.WHOLE,
    "real": Kind.REAL,
    "time": Kind.DURATION,
    "bytes": Kind.BYTES,
}


def _rows(text: str) -> Iterator[Flag]:
    """Read lines of `name [alias ...] | kind | default | about`; a lone `-` is no default."""
    for line in text.strip().splitlines():
        names, kind, default, about = (part.strip() for part in line.split(" | ", 3))
        name, *aliases = names.split()
        yield Flag(name, _KINDS[kind], None if default == "-" else default, about, tuple(aliases))


BOTH: Final[Iterable[Flag]] = tuple(
    _rows("""
advertise_ip | text | - | Address that others are told to reach this process at.
advertise_port | whole | - | Port that others are told to reach this process at.
authenticate_http_readonly | on | false | Ask for credentials on endpoints that only read.
authenticate_http_readwrite | on | false | Ask for credentials on endpoints that change something.
domain | text | - | Fault domain (region and zone) of this machine, as JSON.
external_log_file | path | - | File into which something else writes this process's log; served as its log.
firewall_rules | text | - | Endpoints that are switched off, as JSON.
help | on | false | Print the flags and exit.
hooks | text | - | Hook modules to install, separated by commas.
hostname | text | - | Name that others are told this machine has.
hostname_lookup | on | true | Look the machine's name up; otherwise the address serves as name.
http_authenticators | text | basic | Authenticators of HTTP requests, separated by commas.
initialize_driver_logging | on | true | Set up logging in scheduler and executor drivers.
ip | text | - | Address to listen on.
ip_discovery_command | text | - | Command that prints the address to listen on.
log_dir | path | - | Directory to write the log into, besides standard error.
logbufsecs | whole | 0 | Seconds for which log lines may be held before they are written.
logging_level | text | INFO | Least severity that is logged: INFO, WARNING or ERROR.
memory_profiling | on | false | Serve memory profiles.
modules | text | - | Modules to load, as JSON.
modules_dir | path | - | Directory with descriptions of modules to load.
port | whole | - | Port to listen on.
port_file | path | - | File to write the port into once it is open (ours; for --port=0).
quiet | on | false | Log nothing to standard error.
record | path | - | File to record every event in, with all that it holds, secrets too, for merismos-sim replay (ours).
record_size | bytes | 1GB | Size at which a recording stops (ours).
version | on | false | Print the version and exit.
zk_session_timeout | time | 10secs | Time after which ZooKeeper gives a session up.
""")
)

_MASTER: Final = tuple(
    _rows("""
acls | text | - | Who may do what, as JSON.
agent_ping_timeout slave_ping_timeout | time | 15secs | Time for an agent to answer a ping.
agent_removal_rate_limit slave_removal_rate_limit | text | - | How many agents may be given up in a time, such as 1/10mins.
agent_reregister_timeout slave_reregister_timeout | time | 10mins | Time for agents to come back after a new master leads.
allocation_interval | time | 1secs | Least time before a framework is offered again what it declined.
allocator | text | hierarchical | Allocator to use.
allocator_agent_recovery_factor | real | 0.8 | Part of the known agents to wait for before allocating after a failover.
allocator_recovery_timeout | time | 10mins | Longest wait for agents before allocating after a failover.
authenticate_agents authenticate_slaves | on | false | Admit only agents with credentials.
authenticate_frameworks authenticate | on | false | Admit only frameworks with credentials.
authenticate_http_frameworks | on | false | Admit only HTTP frameworks with credentials.
authentication_v0_timeout | time | 15secs | Time for an old-style authentication to end.
authenticators | text | crammd5 | Authenticators of agents and frameworks.
authorizers | text | local | Authorizer to use.
cluster | text | - | Name of the cluster.
credentials | path | - | File with principals and secrets.
fair_sharing_excluded_resource_names | text | - | Resources that don't count in fair sharing, separated by commas.
filter_gpu_resources | on | true | Keep GPUs for frameworks that say they know them.
framework_sorter | text | drf | Order of the frameworks in a role.
http_framework_authenticators | text | - | Authenticators of HTTP frameworks.
log_auto_initialize | on | true | Prepare the replicated log by itself.
master_contender | text | - | Contender for leadership: zk, or a plug-in of the entry points merismos.contenders.
master_detector | text | - | Detector of the leading master: zk, static, or a plug-in of the entry points merismos.detectors.
max_agent_ping_timeouts max_slave_ping_timeouts | whole | 5 | Pings an agent may miss before it is unreachable.
max_completed_frameworks | whole | 50 | Ended frameworks to keep in memory.
max_completed_tasks_per_framework | whole | 1000 | Ended tasks of a framework to keep in memory.
max_executors_per_agent max_executors_per_slave | whole | - | Executors an agent may run.
max_operator_event_stream_subscribers | whole | 1000 | Operator event streams that may be open at once.
max_unreachable_tasks_per_framework | whole | 1000 | Unreachable tasks of a framework to keep in memory.
min_allocatable_resources | text | cpus:0.01|mem:32 | Least resources that are worth an offer, alternatives separated by bars.
offer_constraints_re2_max_mem | bytes | 4KB | Memory that a regular expression of an offer constraint may take.
offer_constraints_re2_max_program_size | whole | 100 | Size that a regular expression of an offer constraint may have.
offer_timeout | time | 1mins | Time after which an unanswered offer is taken back.
publish_per_framework_metrics | on | true | Publish metrics of each framework.
quorum | whole | - | Size of the replicated log's quorum.
rate_limits | text | - | Rates at which principals may call, as JSON.
recovery_agent_removal_limit recovery_slave_removal_limit | text | 100% | Part of the agents that may be given up after a failover.
registry | text | - | Where the registry is: zookeeper (with --zk) or sqlite where it is unset, in_memory, or a plug-in's name.
registry_fetch_timeout | time | 1mins | Time to read the registry.
registry_gc_interval | time | 15mins | Time between clean-ups of the registry.
registry_max_agent_age | time | 2weeks | Age at which unreachable and gone agents are forgotten.
registry_max_agent_count | whole | 102400 | Number of unreachable and gone agents to remember.
registry_store_timeout | time | 20secs | Time to write the registry.
registry_strict | on | false | Refuse agents that the registry doesn't know after a failover.
require_agent_domain | on | false | Refuse agents without a fault domain where the master has one.
role_sorter | text | drf | Order of the roles.
roles | text | - | Roles that frameworks may have, separated by commas; all where it is unset.
root_submissions | on | true | Let frameworks run tasks as root.
webui_dir | path | /usr/share/mesos/webui | Directory of the web UI.
weights | text | - | Weights of roles, such as ads=2,web=1.
whitelist | path | - | File with the names of the only agents to offer from.
work_dir | path | - | Directory of the registry.
zk | text | - | ZooKeeper to elect the leader with, such as zk://host1:2181,host2:2181/mesos.
""")
)

_AGENT: Final = tuple(
    _rows("""
acls | text | - | Who may do what, as JSON.
agent_features | text | - | Capabilities of this agent, as JSON.
agent_subsystems slave_subsystems | text | - | cgroup subsystems to run the agent itself in.
allowed_devices | text | - | Devices that containers may use besides the default ones, as JSON.
appc_simple_discovery_uri_prefix | text | http:// | Prefix of the addresses that appc images are found at.
appc_store_dir | path | /tmp/mesos/store/appc | Directory to keep appc images in.
attributes | text | - | Attributes of this machine, such as rack:2;zone:west.
authenticate_http_executors | on | false | Admit only HTTP executors with credentials.
authenticatee | text | crammd5 | How to authenticate to the master.
authentication_backoff_factor | time | 1secs | First wait between attempts to authenticate.
authentication_timeout_max | time | 1mins | Longest time for an attempt to authenticate.
authentication_timeout_min | time | 5secs | Shortest time for an attempt to authenticate.
authorizer | text | local | Authorizer to use.
bounding_capabilities | text | - | Linux capabilities that a container may ever have, as JSON.
cgroups_cpu_enable_pids_and_tids_count | on | false | Count processes and threads of containers.
cgroups_cpuset_cpus | text | - | CPUs that containers may use, such as 1-3; all where it is unset.
cgroups_destroy_timeout | time | 1mins | Time to take a cgroup away.
cgroups_enable_cfs | on | false | Limit CPU time strictly.
cgroups_hierarchy | path | /sys/fs/cgroup | Where cgroups are mounted.
cgroups_io_max | text | - | Rates at which a container may use block devices, such as 8:0 rbps=1048576 wbps=524288, separated by semicolons.
cgroups_limit_swap | on | false | Limit memory and swap together.
cgroups_net_cls_primary_handle | text | - | First half of the classes of network traffic to give to containers, such as 0x10; without it they are the operator's to give.
cgroups_net_cls_secondary_handles | text | - | Range of the second halves, such as 0x1,0xfff; all by default.
cgroups_pids_max | whole | 4096 | Processes and threads that a container may have; 0 is any number.
cgroups_root | text | mesos | Name of the root of all containers' cgroups.
check_agent_port_range_only | on | false | Watch only the ports that the agent offers.
container_disk_watch_interval | time | 15secs | Time between measurements of containers' disk use.
container_logger | text | - | Logger of containers' output.
container_ports_isolated_range | text | - | Range of ports to watch.
container_ports_watch_interval | time | 30secs | Time between looks at containers' ports.
containerizers | text | mesos | Containerizers to use, in order, separated by commas.
credential | path | - | File with the principal and secret to use with the master.
csi_plugin_config_dir | path | - | Directory with descriptions of CSI plugins.
default_container_dns | text | - | DNS settings of containers, as JSON.
default_container_info | text | - | ContainerInfo of executors that have none, as JSON.
default_container_shm_size | bytes | - | Size of /dev/shm in containers.
default_role | text | * | Role of resources that name none.
disallow_sharing_agent_ipc_namespace | on | false | Never run containers in the agent's IPC namespace.
disallow_sharing_agent_pid_namespace | on | false | Never run containers in the agent's PID namespace.
disk_profile_adaptor | text | - | Module that knows profiles of disks.
disk_watch_interval | time | 1mins | Time between looks at the agent's own disk.
docker | path | docker | The docker program.
docker_call_timeout | time | 10secs | Time for the docker daemon to answer a call; six times that to make, start or remove a container (ours).
docker_config | text | - | Docker's configuration, as JSON.
docker_ignore_runtime | on | false | Ignore the runtime configuration of docker images.
docker_kill_orphans | on | true | Kill docker containers that no executor knows.
docker_mesos_image | text | - | Image to run executors of docker containers in.
docker_registry | path | https://registry-1.docker.io | Where docker images are pulled from.
docker_remove_delay | time | 6hrs | Time after which an ended docker container is removed.
docker_socket | path | /var/run/docker.sock | Socket of the docker daemon.
docker_stop_timeout | time | 0ns | Time for a docker container to stop by itself.
docker_store_dir | path | /tmp/mesos/store/docker | Directory to keep docker images in.
docker_volume_checkpoint_dir | path | /var/run/mesos/isolators/docker/volume | Directory for the records of docker volumes.
docker_volume_chown | on | false | Give docker volumes to the container's user.
domain_socket_location | path | - | That socket; executors.sock in the work directory where it isn't given.
effective_capabilities | text | - | Linux capabilities that a container has, as JSON.
egress_flow_classifier_parent | text | - | Parent of the classes of outgoing traffic.
egress_rate_limit_per_container | bytes | - | Outgoing traffic of a container, per second.
egress_unique_flow_per_container | on | false | Give each container its own flow of outgoing traffic.
enforce_container_disk_quota | on | false | Kill containers that take more disk than they have.
enforce_container_ports | on | false | Kill containers that listen on ports they don't have.
ephemeral_ports_per_container | whole | 1024 | Short-lived ports of a container.
eth0_name | text | - | Name of the outward network interface.
executor_environment_variables | text | - | Environment of executors, as JSON.
executor_registration_timeout | time | 1mins | Time for an executor to register.
executor_reregistration_retry_interval | time | - | Time between calls to executors to come back after a restart of the agent.
executor_reregistration_timeout | time | 2secs | Time for executors to come back after a restart of the agent.
executor_shutdown_grace_period | time | 5secs | Time for an executor to end by itself.
fetcher_cache_dir | path | /tmp/mesos/fetch | Directory to keep fetched files in.
fetcher_cache_size | bytes | 2GB | Size of the kept files together.
fetcher_stall_timeout | time | 1mins | Time after which a fetch without progress fails.
frameworks_home | path | - | Directory that relative addresses of executors are below.
gc_delay | time | 1weeks | Longest time to keep ended sandboxes.
gc_disk_headroom | real | 0.1 | Part of the disk to keep free by removing sandboxes earlier.
gc_non_executor_container_sandboxes | on | false | Remove nested containers' sandboxes too.
gpu_devices | text | - | Devices of each GPU where no driver tells, as JSON such as {"0":["/dev/gpu0"],"1":["/dev/gpu1"],"all":["/dev/gpuctl"]}.
hadoop_home | path | - | Where Hadoop is, for fetching from HDFS.
host_path_volume_force_creation | text | - | Directories below which missing volumes are made, separated by colons.
http_command_executor | on | false | Have the command executor speak HTTP.
http_credentials | path | - | File with principals and secrets for the HTTP endpoints.
http_executor_domain_sockets | on | false | Serve executors on a Unix socket, too, which stays the same whatever the port is.
http_heartbeat_interval | time | 30secs | Time between heartbeats on event streams.
image_gc_config | text | - | When to remove images, as JSON.
image_providers | text | - | Kinds of images, separated by commas.
image_provisioner_backend | text | - | How images become root filesystems.
ip6 | text | - | IPv6 address to listen on.
ip6_discovery_command | text | - | Command that prints the IPv6 address to listen on.
isolation | text | posix/cpu,posix/mem | Isolators, separated by commas.
jwt_secret_key | path | - | File with the key that signs executors' tokens.
launcher | text | posix | Launcher of containers.
launcher_dir | path | /usr/libexec/mesos | Directory of Mesos' own programs.
lxc_path | path | /var/lib/lxc | Directory of the containers of LXC whose root filesystems tasks name (ours).
lo_name | text | - | Name of the loopback network interface.
master | text | - | The master: host:port, zk://..., or file://PATH with either.
master_detector | text | - | Detector of the leading master: zk, static, or a plug-in of the entry points merismos.detectors.
max_completed_executors_per_framework | whole | 150 | Ended executors of a framework to keep in memory.
network_cni_config_dir | path | - | Directory with CNI networks.
network_cni_metrics | on | true | Publish metrics of CNI.
network_cni_plugins_dir | path | - | Directories with CNI plugins, separated by colons.
network_cni_root_dir_persist | on | false | Keep CNI's records over a reboot.
network_cni_timeout | time | 1mins | Time for a CNI plugin to answer (ours).
network_enable_snmp_statistics | on | false | Collect SNMP statistics of containers.
network_enable_socket_statistics_details | on | false | Collect statistics of each socket of containers.
network_enable_socket_statistics_summary | on | false | Collect statistics of containers' sockets.
nvidia_gpu_devices | text | - | Numbers of the GPUs to hand out, separated by commas; as many as --resources says.
oci_runtime | text | - | What runs containers of images, runc or crun; without it the first of crun and runc that works here.
oversubscribed_resources_interval | time | 15secs | Time between estimates of resources to oversubscribe.
perf_duration | time | 10secs | Length of a perf sample.
perf_events | text | - | Events to sample with perf, separated by commas.
perf_interval | time | 1mins | Time between perf samples.
qos_controller | text | - | Controller that corrects oversubscription.
qos_correction_interval_min | time | 0ns | Least time between corrections.
reconfiguration_policy | text | equal | What may change between two starts of an agent: equal or additive.
recover | text | reconnect | What to do with executors of before: reconnect or cleanup.
recovery_timeout | time | 15mins | Time for an agent to come back before its executors end.
registration_backoff_factor | time | 1secs | First wait between attempts to register.
resource_estimator | text | - | Estimator of resources to oversubscribe.
resource_provider_config_dir | path | - | Directory with resource providers.
resources | text | - | Resources of this machine, such as cpus:4;mem:2048; the rest is detected.
revocable_cpu_low_priority | on | true | Run containers with revocable CPUs at low priority.
runtime_dir | path | - | Directory for what must not survive a reboot.
sandbox_directory | path | /mnt/mesos/sandbox | Where a container with a root filesystem sees its sandbox.
seccomp_config_dir | path | - | Directory with seccomp profiles.
seccomp_profile_name | text | - | Seccomp profile of containers that name none.
secret_resolver | text | - | Module that resolves secrets.
strict | on | true | Stop where something of before can't be recovered.
switch_user | on | true | Run tasks as the user they name.
systemd_enable_support | on | false | Have systemd keep tasks in a slice of their own, so that the end of the agent's unit leaves them alone.
systemd_runtime_directory | path | /run/systemd/system | Where systemd keeps what runs.
work_dir | path | - | Directory of sandboxes and records.
xfs_project_range | text | - | Range of XFS project ids to use.
""")
)

MASTER: Final = table_of(
    BOTH, _MASTER, (Flag("port", Kind.WHOLE, "5050", "Port to listen on; 0 lets the system choose one."),)
)
AGENT: Final = table_of(
    BOTH, _AGENT, (Flag("port", Kind.WHOLE, "5051", "Port to listen on; 0 lets the system choose one."),)
)
