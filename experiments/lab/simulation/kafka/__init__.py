"""Part C in the simulation: Kafka in memory behind kafka-python's clients; it must not import another part's."""
