"""Where a registry is kept."""
