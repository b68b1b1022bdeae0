"""What growth costs: ever more orders, kept and checked in portions; it must not import reports or grading."""
