"""RabbitMQ as the three services use it: the topology, confirmed publishing, batches of deliveries, retries."""
