"""Container life cycle: from a task to the plan of its launch, and from a wait status to its message."""
