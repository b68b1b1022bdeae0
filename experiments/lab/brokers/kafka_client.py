"""Clients of Kafka for the laboratory: each asks first whether Kafka answers, and says in plain words when not."""

import contextlib
import logging
import time
from collections.abc import Callable, Iterator
from typing import TYPE_CHECKING, Any, TypeVar

from lab.brokers.probe import answering
from lab.errors import LabError
from lab.services import Service

if TYPE_CHECKING:  # kafka-python is loaded where it is used: it takes long, and most commands never need it
    from kafka import KafkaAdminClient, KafkaConsumer, TopicPartition

# Each group with the service that is its member.
GROUPS = {
    "inventory-consumer-group": "inventory",
    "notification-consumer-group": "notification",
    "analytics-consumer-group": "analytics",
    "order-status-group": "order",
}
LOST = "is out of sync with the underlying log"  # says the log of a group coordinator, again and again
STARTED = "Performing controller activation"
OURS = "lab-"  # how the laboratory's own groups begin
BUSY_MS = 3000

Answer = TypeVar("Answer")

logging.getLogger("kafka").setLevel(logging.CRITICAL + 1)  # the caller reports what went wrong


@contextlib.contextmanager
def in_plain_words(service: Service) -> Iterator[None]:
    """Raise LabError for whatever kafka-python raises in the block."""
    from kafka.errors import KafkaError

    try:
        yield
    except (KafkaError, OSError) as error:
        raise silent(service, type(error).__name__) from None


def silent(service: Service, why: str) -> LabError:
    """Return the error that says that Kafka does not answer, and why."""
    what = f"Kafka does not answer at {service.url} ({why})"
    return LabError(what, f"./lab up {service.part}, or ./lab start {service.name}")


def fault_in(log: str) -> str | None:
    """Return what Kafka's log says is wrong with its groups since its last start, and the cure; None if nothing."""
    if LOST not in log.rpartition(STARTED)[2]:
        return None
    return (
        "Kafka's consumer groups do not work: its log says 'out of sync' (a fault of Kafka's after it was killed). "
        "Stop it in good order and start it: ./lab stop kafka && ./lab start kafka"
    )


def admin(service: Service) -> "KafkaAdminClient":
    """Return a client that asks and changes. Raises LabError, or later kafka-python's KafkaError."""
    from kafka import KafkaAdminClient

    return KafkaAdminClient(request_timeout_ms=BUSY_MS, **connection(service))


def reader(service: Service, **options: Any) -> "KafkaConsumer":
    """Return a consumer without a group, of what is committed. Raises LabError, or later kafka-python's KafkaError."""
    from kafka import KafkaConsumer

    options |= {"isolation_level": "read_committed", "enable_auto_commit": False, "auto_offset_reset": "earliest"}
    return KafkaConsumer(fetch_max_wait_ms=10, **connection(service), **options)


def connection(service: Service) -> dict[str, Any]:
    """Return what every client of Kafka is told. Raises LabError where Kafka does not answer."""
    # Asked first: without a broker a client would try for as long as it may. It begins at one that it draws.
    if (port := next(answering(service.kind, service.all_ports, BUSY_MS / 1000), None)) is None:
        raise silent(service, "no process listens, or it is frozen")
    return {"bootstrap_servers": f"127.0.0.1:{port}", "bootstrap_timeout_ms": BUSY_MS, "client_id": "lab"}


@contextlib.contextmanager
def asking(service: Service) -> Iterator["KafkaAdminClient"]:
    """Open an admin client for the block. Raises LabError when Kafka cannot be reached, then or later."""
    with in_plain_words(service), contextlib.closing(admin(service)) as client:
        yield client


def patiently(ask: Callable[[], Answer]) -> Answer:
    """Return the answer, asking again while Kafka is making its own topic of offsets, or reading it at its start."""
    from kafka.errors import CoordinatorLoadInProgressError, CoordinatorNotAvailableError, NotCoordinatorError

    deadline = time.monotonic() + BUSY_MS / 1000
    while True:
        try:
            return ask()
        except (CoordinatorNotAvailableError, CoordinatorLoadInProgressError, NotCoordinatorError):
            if time.monotonic() > deadline:
                raise
            time.sleep(0.05)


def move(client: "KafkaAdminClient", group: str, offsets: dict["TopicPartition", int]) -> None:
    """Set the offsets of a group without members. Raises the KafkaError of a partition that is refused."""
    from kafka.errors import NoError
    from kafka.structs import OffsetAndMetadata

    places = {partition: OffsetAndMetadata(offset, "", -1) for partition, offset in offsets.items()}

    def alter() -> None:
        for error in client.alter_group_offsets(group, places).values():
            if error is not NoError:
                raise error

    patiently(alter)
