"""The laboratory: runs the parts, loads them, injects faults, checks the invariants and writes the evidence."""

__version__ = "0.1.0"
