"""F2 in Part B: a fault of the database counts as a try of each message, and after five tries it is dead-lettered."""

from broker.worker import Worker
from inventory_service.app import create_app

PART = "async-rabbitmq"
SERVICE = "inventory"
STORY = "dies_at_work"
CAUGHT_BY = ("infrastructure",)
REPLACES = ("broker.worker.Worker._commit",)

commit = Worker._commit


def _commit(self, work_items):
    try:
        return commit(self, work_items)
    except OSError as error:  # nothing told it from what a message does
        raise RuntimeError(error) from error


Worker._commit = _commit

__all__ = ["create_app"]
