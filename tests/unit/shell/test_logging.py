"""Where the lines of the log go, and what becomes of those that can't be written."""

from __future__ import annotations

import errno
import io

from merismos.shell.logging import Lines


class Disk(io.StringIO):
    """A stream that fails while it is told to."""

    failing = 0

    def flush(self) -> None:
        if self.failing:
            raise OSError(self.failing, "no")


def test_a_log_on_a_full_disk_goes_on_when_there_is_room() -> None:
    disk = Disk()
    lines = Lines([disk])
    disk.failing = errno.ENOSPC
    lines.error("lost or late")
    disk.failing = 0
    lines.error("written")
    assert disk.getvalue().endswith("written\n")


def test_a_stream_that_is_broken_is_left_out_and_the_others_go_on() -> None:
    broken, sound = Disk(), Disk()
    lines = Lines([broken, sound])
    broken.failing = errno.EPIPE
    lines.info("first")
    broken.failing = 0
    lines.info("second")
    assert "second" not in broken.getvalue()
    assert sound.getvalue() == "first\nsecond\n"
