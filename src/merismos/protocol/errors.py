"""What a codec raises: always one of these, whatever bytes it is given."""

from __future__ import annotations


class DecodeError(ValueError):
    """Someone sent bytes that are not the message they should be; the text is the answer to give, in Mesos' words."""


class EncodeError(ValueError):
    """A message can't be written, because a value is out of what its field can hold or it is nested too deeply."""
