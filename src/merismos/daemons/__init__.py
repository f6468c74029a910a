"""Composition roots: each wires a machine, its shell and its adapters into a process."""
