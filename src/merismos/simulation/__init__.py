"""A cluster in one process, from one seed: the real cores, and a network, schedulers, operators and containers that are played (L1)."""
