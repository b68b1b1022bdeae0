"""Sends orders and notes what the clients see; it must not import brokers or the runtime."""
