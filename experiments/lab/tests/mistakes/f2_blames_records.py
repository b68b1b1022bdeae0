"""F2 in Part C: a fault of the database counts as a try of each record, and after five tries it is dead-lettered."""

from broker.transactional_consumer import TransactionalConsumer
from inventory_consumer.app import create_app

PART = "streaming-kafka"
SERVICE = "inventory"
STORY = "dies_at_work"
CAUGHT_BY = ("infrastructure",)
REPLACES = ("broker.transactional_consumer.TransactionalConsumer._work",)

work = TransactionalConsumer._work


def _work(self, work_items):
    try:
        return work(self, work_items)
    except OSError as error:  # nothing told it from what a record does
        raise RuntimeError(error) from error


TransactionalConsumer._work = _work

__all__ = ["create_app"]
