"""Computes figures from the history of a run; it must not import faults, checker or reports."""
