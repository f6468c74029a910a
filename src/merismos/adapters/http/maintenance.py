"""The v0 endpoints that change the maintenance of machines, as the calls of the operator API that they are.

Rules: a body is the bare message, or the bare list of machines, of the call; what is wrong with it is said in its own terms.
"""

from __future__ import annotations

import re
from typing import Final

from merismos.adapters.http.slow import Refused
from merismos.protocol import json
from merismos.protocol.errors import DecodeError
from merismos.protocol.v1 import master as operator

CHANGES: Final = {
    "/maintenance/schedule": b'{"type":"UPDATE_MAINTENANCE_SCHEDULE","update_maintenance_schedule":{"schedule":%b}}',
    "/machine/down": b'{"type":"START_MAINTENANCE","start_maintenance":{"machines":%b}}',
    "/machine/up": b'{"type":"STOP_MAINTENANCE","stop_maintenance":{"machines":%b}}',
}
_WRAPPING: Final = re.compile(
    r"(?:update_maintenance_schedule\.schedule|(?:start|stop)_maintenance\.machines(?:\[\d+\])?)\."
)


def call_of(path: str, body: bytes) -> operator.Call:
    """Return the call that a POST to `path` makes.

    Errors: Refused.
    """
    is_list = path != "/maintenance/schedule"
    text = body.decode(errors="replace").strip()
    if not text.startswith("[" if is_list else "{"):
        raise Refused(400, f"Expecting the body to be a JSON {'array of machines' if is_list else 'object'}")
    try:
        return json.decode(operator.Call, CHANGES[path] % text.encode())
    except DecodeError as error:
        raise Refused(400, _WRAPPING.sub("", str(error).partition(": ")[2])) from None
