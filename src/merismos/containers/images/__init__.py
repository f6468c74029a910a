"""Container images without a daemon: where they come from, and how they are kept on this machine."""
