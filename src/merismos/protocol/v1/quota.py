"""The messages of `mesos/v1/quota/quota.proto`; made by `python -m merismos.protocol.generate`, do not edit."""

from __future__ import annotations

from merismos.protocol.v1 import mesos_resources, mesos_values
from merismos.protocol.v1.message import Message


class QuotaInfo(Message, kw_only=True):
    """`mesos.v1.quota.QuotaInfo`."""

    role: str | None = None
    principal: str | None = None
    guarantee: list[mesos_resources.Resource] = []


class QuotaRequest(Message, kw_only=True):
    """`mesos.v1.quota.QuotaRequest`."""

    force: bool | None = None
    role: str | None = None
    guarantee: list[mesos_resources.Resource] = []


class QuotaConfig(Message, kw_only=True):
    """The guarantees and limits of a role."""

    role: str
    guarantees: dict[str, mesos_values.Value_Scalar] = {}
    limits: dict[str, mesos_values.Value_Scalar] = {}


class QuotaStatus(Message, kw_only=True):
    """The quotas of all roles."""

    infos: list[QuotaInfo] = []
    configs: list[QuotaConfig] = []
