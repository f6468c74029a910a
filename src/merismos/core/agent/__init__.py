"""The agent's core: what it registers, runs, reports and removes."""
