"""What an agent shows of itself: the v1 operator answers, the v0 endpoints, the metrics. Reads only."""
