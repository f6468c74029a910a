from __future__ import annotations

import pytest
from aiohttp.http_exceptions import BadStatusLine

from merismos.adapters.http.server_log import server_logger


@pytest.mark.parametrize("error", [ConnectionResetError("gone"), BadStatusLine("nonsense")])
def test_what_a_client_does_is_no_error_of_ours(error: Exception, caplog: pytest.LogCaptureFixture) -> None:
    server_logger().error("Error handling request", exc_info=error)
    assert not caplog.records


def test_a_bug_of_ours_is_logged_with_its_traceback(caplog: pytest.LogCaptureFixture) -> None:
    server_logger().error("Error handling request", exc_info=KeyError("x"))
    assert caplog.records[0].exc_info is not None
