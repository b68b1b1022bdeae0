"""Writes the pages, tables and plots of runs; it must not judge, and must not import comparison or grading."""
