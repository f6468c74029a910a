"""Whether this master answers calls: it leads, it is still recovering, it can't tell, or it sends callers to the leader.

Rules: asked before anything else about a request, so a master that doesn't lead says nothing about anything.
"""

from __future__ import annotations

from merismos.adapters.http.answers import NOT_RECOVERED

SERVICE_UNAVAILABLE = 503
TEMPORARY_REDIRECT = 307
SUSPENDED = "Master is suspended: it can't tell at the moment whether it leads"


class Gate:
    """One master's readiness.

    Shapes: `leader` is "host:port" of the leading master while that is another one, empty while nobody leads; `suspended` refuses
    schedulers only, since what is read from a suspended leader is true.
    """

    __slots__ = ("leader", "leads", "recovered", "suspended")

    def __init__(self) -> None:
        self.leads = True
        self.recovered = False
        self.suspended = False
        self.leader = ""

    @property
    def open(self) -> bool:
        """Whether calls are answered."""
        return self.leads and self.recovered

    def refusal(self, path: str) -> tuple[int, str, str]:
        """Return status, body and extra header lines for a request that this master doesn't answer."""
        if self.leads and self.recovered:
            return SERVICE_UNAVAILABLE, SUSPENDED, ""
        if self.leads:
            return SERVICE_UNAVAILABLE, NOT_RECOVERED, ""
        if not self.leader:
            return SERVICE_UNAVAILABLE, "No leader elected", ""
        return TEMPORARY_REDIRECT, "", f"Location: //{self.leader}{path}\r\n"
