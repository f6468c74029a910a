"""The imperative shell: runs a core machine against the world, and what every daemon needs to start."""
