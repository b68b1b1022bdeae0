"""Disturbs the services and mends them; it must not import analysis, checker or reports."""
