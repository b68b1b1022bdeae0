"""Measures what a part costs beside the least that could work; it must not import grading or commands."""
