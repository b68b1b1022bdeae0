"""Sets the three models side by side under each condition; it must not import grading or commands."""
