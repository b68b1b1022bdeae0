"""Starts and stops the parts, with Docker and without; it must not import the history or anything above it."""
