"""Measures what a part costs beside baselines: the least that could work. It must not import grading or commands."""
