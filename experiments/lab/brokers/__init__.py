"""Speaks with RabbitMQ and Kafka; it must not know how a broker is started, nor which parts are up."""
