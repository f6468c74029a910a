"""Coordination without a service: a leader by configuration, and one election inside a process."""
