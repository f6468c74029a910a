"""The link between agents and their master: the two ends of one TCP connection."""
