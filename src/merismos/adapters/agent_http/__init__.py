"""The agent's HTTP endpoints: operator reads, v0 endpoints, files of sandboxes."""
