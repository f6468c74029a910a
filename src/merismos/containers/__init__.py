"""Containerizers and what they need: the supervisor of processes, the fetcher, sandboxes."""
