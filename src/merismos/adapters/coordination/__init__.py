"""Coordination without a service: a leader by configuration."""
