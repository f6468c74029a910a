"""Containers of Docker, by the Engine API over its socket: Docker's own, or podman's."""
