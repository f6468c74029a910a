"""The messages of `mesos/v1/mesos_statistics.proto`; made by `python -m merismos.protocol.generate`, do not edit."""

from __future__ import annotations

from merismos.protocol.v1 import mesos_containers, mesos_ids, mesos_resources, mesos_tasks, mesos_values
from merismos.protocol.v1.message import Double, Int64, Message, UInt32, UInt64


class TrafficControlStatistics(Message, kw_only=True):
    """`mesos.v1.TrafficControlStatistics`."""

    id: str
    backlog: UInt64 | None = None
    bytes: UInt64 | None = None
    drops: UInt64 | None = None
    overlimits: UInt64 | None = None
    packets: UInt64 | None = None
    qlen: UInt64 | None = None
    ratebps: UInt64 | None = None
    ratepps: UInt64 | None = None
    requeues: UInt64 | None = None


class IpStatistics(Message, kw_only=True):
    """`mesos.v1.IpStatistics`."""

    Forwarding: Int64 | None = None
    DefaultTTL: Int64 | None = None
    InReceives: Int64 | None = None
    InHdrErrors: Int64 | None = None
    InAddrErrors: Int64 | None = None
    ForwDatagrams: Int64 | None = None
    InUnknownProtos: Int64 | None = None
    InDiscards: Int64 | None = None
    InDelivers: Int64 | None = None
    OutRequests: Int64 | None = None
    OutDiscards: Int64 | None = None
    OutNoRoutes: Int64 | None = None
    ReasmTimeout: Int64 | None = None
    ReasmReqds: Int64 | None = None
    ReasmOKs: Int64 | None = None
    ReasmFails: Int64 | None = None
    FragOKs: Int64 | None = None
    FragFails: Int64 | None = None
    FragCreates: Int64 | None = None


class IcmpStatistics(Message, kw_only=True):
    """`mesos.v1.IcmpStatistics`."""

    InMsgs: Int64 | None = None
    InErrors: Int64 | None = None
    InCsumErrors: Int64 | None = None
    InDestUnreachs: Int64 | None = None
    InTimeExcds: Int64 | None = None
    InParmProbs: Int64 | None = None
    InSrcQuenchs: Int64 | None = None
    InRedirects: Int64 | None = None
    InEchos: Int64 | None = None
    InEchoReps: Int64 | None = None
    InTimestamps: Int64 | None = None
    InTimestampReps: Int64 | None = None
    InAddrMasks: Int64 | None = None
    InAddrMaskReps: Int64 | None = None
    OutMsgs: Int64 | None = None
    OutErrors: Int64 | None = None
    OutDestUnreachs: Int64 | None = None
    OutTimeExcds: Int64 | None = None
    OutParmProbs: Int64 | None = None
    OutSrcQuenchs: Int64 | None = None
    OutRedirects: Int64 | None = None
    OutEchos: Int64 | None = None
    OutEchoReps: Int64 | None = None
    OutTimestamps: Int64 | None = None
    OutTimestampReps: Int64 | None = None
    OutAddrMasks: Int64 | None = None
    OutAddrMaskReps: Int64 | None = None


class TcpStatistics(Message, kw_only=True):
    """`mesos.v1.TcpStatistics`."""

    RtoAlgorithm: Int64 | None = None
    RtoMin: Int64 | None = None
    RtoMax: Int64 | None = None
    MaxConn: Int64 | None = None
    ActiveOpens: Int64 | None = None
    PassiveOpens: Int64 | None = None
    AttemptFails: Int64 | None = None
    EstabResets: Int64 | None = None
    CurrEstab: Int64 | None = None
    InSegs: Int64 | None = None
    OutSegs: Int64 | None = None
    RetransSegs: Int64 | None = None
    InErrs: Int64 | None = None
    OutRsts: Int64 | None = None
    InCsumErrors: Int64 | None = None


class UdpStatistics(Message, kw_only=True):
    """`mesos.v1.UdpStatistics`."""

    InDatagrams: Int64 | None = None
    NoPorts: Int64 | None = None
    InErrors: Int64 | None = None
    OutDatagrams: Int64 | None = None
    RcvbufErrors: Int64 | None = None
    SndbufErrors: Int64 | None = None
    InCsumErrors: Int64 | None = None
    IgnoredMulti: Int64 | None = None


class SNMPStatistics(Message, kw_only=True):
    """`mesos.v1.SNMPStatistics`."""

    ip_stats: IpStatistics | None = None
    icmp_stats: IcmpStatistics | None = None
    tcp_stats: TcpStatistics | None = None
    udp_stats: UdpStatistics | None = None


class DiskStatistics(Message, kw_only=True):
    """`mesos.v1.DiskStatistics`."""

    source: mesos_resources.Resource_DiskInfo_Source | None = None
    persistence: mesos_resources.Resource_DiskInfo_Persistence | None = None
    limit_bytes: UInt64 | None = None
    used_bytes: UInt64 | None = None


class ResourceStatistics(Message, kw_only=True):
    """A snapshot of what a container uses."""

    timestamp: Double
    processes: UInt32 | None = None
    threads: UInt32 | None = None
    cpus_user_time_secs: Double | None = None
    cpus_system_time_secs: Double | None = None
    cpus_limit: Double | None = None
    cpus_soft_limit: Double | None = None
    cpus_nr_periods: UInt32 | None = None
    cpus_nr_throttled: UInt32 | None = None
    cpus_throttled_time_secs: Double | None = None
    mem_total_bytes: UInt64 | None = None
    mem_total_memsw_bytes: UInt64 | None = None
    mem_kmem_usage_bytes: UInt64 | None = None
    mem_kmem_tcp_usage_bytes: UInt64 | None = None
    mem_limit_bytes: UInt64 | None = None
    mem_soft_limit_bytes: UInt64 | None = None
    mem_file_bytes: UInt64 | None = None
    mem_anon_bytes: UInt64 | None = None
    mem_cache_bytes: UInt64 | None = None
    mem_rss_bytes: UInt64 | None = None
    mem_mapped_file_bytes: UInt64 | None = None
    mem_swap_bytes: UInt64 | None = None
    mem_unevictable_bytes: UInt64 | None = None
    mem_low_pressure_counter: UInt64 | None = None
    mem_medium_pressure_counter: UInt64 | None = None
    mem_critical_pressure_counter: UInt64 | None = None
    disk_limit_bytes: UInt64 | None = None
    disk_used_bytes: UInt64 | None = None
    disk_statistics: list[DiskStatistics] = []
    blkio_statistics: mesos_containers.CgroupInfo_Blkio_Statistics | None = None
    perf: PerfStatistics | None = None
    net_rx_packets: UInt64 | None = None
    net_rx_bytes: UInt64 | None = None
    net_rx_errors: UInt64 | None = None
    net_rx_dropped: UInt64 | None = None
    net_tx_packets: UInt64 | None = None
    net_tx_bytes: UInt64 | None = None
    net_tx_errors: UInt64 | None = None
    net_tx_dropped: UInt64 | None = None
    net_tx_rate_limit: UInt64 | None = None
    net_tx_burst_rate_limit: UInt64 | None = None
    net_tx_burst_size: UInt64 | None = None
    net_rx_rate_limit: UInt64 | None = None
    net_rx_burst_rate_limit: UInt64 | None = None
    net_rx_burst_size: UInt64 | None = None
    net_rate_statistics: ResourceStatistics_RateStatistics | None = None
    net_ephemeral_ports: mesos_values.Value_Range | None = None
    net_tcp_rtt_microsecs_p50: Double | None = None
    net_tcp_rtt_microsecs_p90: Double | None = None
    net_tcp_rtt_microsecs_p95: Double | None = None
    net_tcp_rtt_microsecs_p99: Double | None = None
    net_tcp_active_connections: Double | None = None
    net_tcp_time_wait_connections: Double | None = None
    net_traffic_control_statistics: list[TrafficControlStatistics] = []
    net_snmp_statistics: SNMPStatistics | None = None


class ResourceStatistics_RatePercentiles(Message, kw_only=True):
    """`mesos.v1.ResourceStatistics.RatePercentiles`."""

    min: UInt64 | None = None
    max: UInt64 | None = None
    p50: UInt64 | None = None
    p90: UInt64 | None = None
    p95: UInt64 | None = None
    p99: UInt64 | None = None
    p999: UInt64 | None = None
    p9999: UInt64 | None = None
    samples: UInt64 | None = None


class ResourceStatistics_RateStatistics(Message, kw_only=True):
    """`mesos.v1.ResourceStatistics.RateStatistics`."""

    rx_rate: ResourceStatistics_RatePercentiles | None = None
    rx_packet_rate: ResourceStatistics_RatePercentiles | None = None
    rx_drop_rate: ResourceStatistics_RatePercentiles | None = None
    rx_error_rate: ResourceStatistics_RatePercentiles | None = None
    tx_rate: ResourceStatistics_RatePercentiles | None = None
    tx_packet_rate: ResourceStatistics_RatePercentiles | None = None
    tx_drop_rate: ResourceStatistics_RatePercentiles | None = None
    tx_error_rate: ResourceStatistics_RatePercentiles | None = None
    sampling_window_secs: Double | None = None
    sampling_interval_secs: Double | None = None


class ResourceUsage(Message, kw_only=True):
    """`mesos.v1.ResourceUsage`."""

    executors: list[ResourceUsage_Executor] = []
    total: list[mesos_resources.Resource] = []


class ResourceUsage_Executor(Message, kw_only=True):
    """`mesos.v1.ResourceUsage.Executor`."""

    executor_info: mesos_tasks.ExecutorInfo
    allocated: list[mesos_resources.Resource] = []
    statistics: ResourceStatistics | None = None
    container_id: mesos_ids.ContainerID
    tasks: list[ResourceUsage_Executor_Task] = []


class ResourceUsage_Executor_Task(Message, kw_only=True):
    """`mesos.v1.ResourceUsage.Executor.Task`."""

    name: str
    id: mesos_ids.TaskID
    resources: list[mesos_resources.Resource] = []
    labels: mesos_ids.Labels | None = None


class PerfStatistics(Message, kw_only=True):
    """`mesos.v1.PerfStatistics`."""

    timestamp: Double
    duration: Double
    cycles: UInt64 | None = None
    stalled_cycles_frontend: UInt64 | None = None
    stalled_cycles_backend: UInt64 | None = None
    instructions: UInt64 | None = None
    cache_references: UInt64 | None = None
    cache_misses: UInt64 | None = None
    branches: UInt64 | None = None
    branch_misses: UInt64 | None = None
    bus_cycles: UInt64 | None = None
    ref_cycles: UInt64 | None = None
    cpu_clock: Double | None = None
    task_clock: Double | None = None
    page_faults: UInt64 | None = None
    minor_faults: UInt64 | None = None
    major_faults: UInt64 | None = None
    context_switches: UInt64 | None = None
    cpu_migrations: UInt64 | None = None
    alignment_faults: UInt64 | None = None
    emulation_faults: UInt64 | None = None
    l1_dcache_loads: UInt64 | None = None
    l1_dcache_load_misses: UInt64 | None = None
    l1_dcache_stores: UInt64 | None = None
    l1_dcache_store_misses: UInt64 | None = None
    l1_dcache_prefetches: UInt64 | None = None
    l1_dcache_prefetch_misses: UInt64 | None = None
    l1_icache_loads: UInt64 | None = None
    l1_icache_load_misses: UInt64 | None = None
    l1_icache_prefetches: UInt64 | None = None
    l1_icache_prefetch_misses: UInt64 | None = None
    llc_loads: UInt64 | None = None
    llc_load_misses: UInt64 | None = None
    llc_stores: UInt64 | None = None
    llc_store_misses: UInt64 | None = None
    llc_prefetches: UInt64 | None = None
    llc_prefetch_misses: UInt64 | None = None
    dtlb_loads: UInt64 | None = None
    dtlb_load_misses: UInt64 | None = None
    dtlb_stores: UInt64 | None = None
    dtlb_store_misses: UInt64 | None = None
    dtlb_prefetches: UInt64 | None = None
    dtlb_prefetch_misses: UInt64 | None = None
    itlb_loads: UInt64 | None = None
    itlb_load_misses: UInt64 | None = None
    branch_loads: UInt64 | None = None
    branch_load_misses: UInt64 | None = None
    node_loads: UInt64 | None = None
    node_load_misses: UInt64 | None = None
    node_stores: UInt64 | None = None
    node_store_misses: UInt64 | None = None
    node_prefetches: UInt64 | None = None
    node_prefetch_misses: UInt64 | None = None
