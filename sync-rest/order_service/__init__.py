"""Part A's order service: calls inventory, then notification, while the student waits."""
