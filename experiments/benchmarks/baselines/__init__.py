"""What the chain is measured against: the least that could work, and what classes hand in. Not models to copy."""
