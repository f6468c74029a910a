"""Merismos: a Mesos-compatible cluster kernel; many machines as one computer, shared by resource offers."""

from typing import Final

__version__: Final = "0.1.0"
