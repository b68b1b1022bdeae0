"""What happened to one order, message by message, and its diagram; must not import `lab.history` or above."""
