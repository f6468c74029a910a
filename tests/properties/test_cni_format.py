"""Whatever a file or a plugin says, it is read or refused."""

from __future__ import annotations

import json

from hypothesis import given
from hypothesis import strategies as st

from merismos.core.containers.cni_format import configs_for, parse_config, parse_result, read_attachment, read_error
from merismos.model.rejection import Rejection
from merismos.protocol.v1 import mesos

LEAVES = st.none() | st.booleans() | st.integers() | st.text(max_size=5)
KEYS = st.sampled_from(["name", "type", "plugins", "args", "capabilities", "ips", "ip4", "ip", "address", "dns", "nameservers", "ipam", "delegate", "cniVersion", "msg"])  # fmt: skip
JSON = st.recursive(
    LEAVES, lambda inner: st.lists(inner, max_size=3) | st.dictionaries(KEYS, inner, max_size=4), max_leaves=12
)


@given(JSON | st.dictionaries(KEYS, JSON, max_size=6))
def test_any_json_is_a_network_or_refused(document: object) -> None:
    found = parse_config(json.dumps(document).encode())
    if not isinstance(found, Rejection):
        assert configs_for(found, mesos.NetworkInfo(name=found.name))
        assert all("/" not in kind for kind in found.types())


@given(JSON)
def test_any_answer_is_a_result_or_refused(document: object) -> None:
    raw = json.dumps(document).encode()
    found = parse_result(raw)
    assert isinstance(found, Rejection) or not isinstance(read_attachment(found), Rejection)
    assert read_error(raw, "")


@given(st.binary(max_size=50))
def test_any_bytes_are_read_or_refused(raw: bytes) -> None:
    parse_config(raw)
    parse_result(raw)
    assert read_error(raw, "")
