"""The adapters: what speaks to the world, one folder a wire or a store."""
