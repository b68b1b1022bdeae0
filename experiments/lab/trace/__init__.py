"""What happened to an order, message by message, and its sequence diagram. It must not import the history of a run, nor what stands above it."""
