"""What baselines run as processes: the least that could work, and what classes hand in. Not models to copy."""
