"""Kafka as the four services use it: the topics, acknowledged producing, transactional consuming, retries."""
