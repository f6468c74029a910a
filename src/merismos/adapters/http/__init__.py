"""The HTTP server: one port, a fast lane for calls, aiohttp for everything else."""
