"""Part B in the simulation: RabbitMQ in memory behind pika's connection; it must not import another part's."""
