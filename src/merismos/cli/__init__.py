"""The command line (L3)."""
