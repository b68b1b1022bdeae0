"""Judges a run: what was predicted, beside what was measured. It must not import reports, grading or commands."""
