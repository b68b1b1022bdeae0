"""Grades repositories from what is committed in them; it must not import commands, nor run a student's code."""
