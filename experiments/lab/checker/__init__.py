"""Judges a run: its invariants, and what was predicted beside what was measured; it must not import reports."""
