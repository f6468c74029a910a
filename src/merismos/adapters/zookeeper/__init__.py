"""ZooKeeper: the election, its observation, and the registry. The only place that imports kazoo."""
