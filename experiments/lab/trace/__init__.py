"""What happened to an order, message by message, and its sequence diagram. Imports nothing of history or above."""
