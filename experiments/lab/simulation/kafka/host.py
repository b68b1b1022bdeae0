"""How a client in a process reaches Kafka, and what a request is: it may not arrive, and its answer may be lost."""

from collections.abc import Callable
from typing import Protocol, TypeVar

from kafka.errors import KafkaTimeoutError

T = TypeVar("T")


class Host(Protocol):
    """The process that a client is in."""

    name: str

    def now(self) -> float:
        """Return the time in seconds."""
        ...

    def effect(self, name: str) -> None:
        """Say that something has happened or is about to: the process may crash here, or stand still."""

    def sleep(self, seconds: float) -> None:
        """Let time pass."""

    def reaches(self) -> bool:
        """Whether what this process sends arrives, and answers come back."""
        ...

    def back_in(self) -> float:
        """Return after how many seconds it reaches Kafka again, as far as that is known."""
        ...

    def beats(self) -> bool:
        """Whether its heartbeats arrive: it is not dead, does not stand still, and reaches Kafka."""
        ...

    def record(
        self, kind: str, text: str, key: bytes | None = None, *, down: bool = False, again: bool = False
    ) -> None:
        """Write down what travels to Kafka, or down from it."""


def wait_for(host: Host, deadline: float) -> bool:
    """Wait until Kafka is reached, not longer than until then; return whether it is."""
    if not host.reaches():
        seconds = min(deadline - host.now(), host.back_in())
        if seconds > 0:
            host.sleep(seconds)
    return host.reaches()


def request(host: Host, what: str, seconds: float, arrive: Callable[[], T]) -> T:
    """Do something at the broker; a process may crash before and after it. Raises KafkaTimeoutError without an answer.

    The client sends a request again when the connection is lost, and the broker recognises it: so an answer counts as
    lost only when none comes in time.
    """
    deadline = host.now() + seconds
    host.effect(f"{what}:before")
    if not wait_for(host, deadline):
        raise KafkaTimeoutError(f"{what}: Kafka did not answer within {seconds:g} s")
    answer = arrive()
    host.effect(f"{what}:after")
    if not wait_for(host, deadline):
        raise KafkaTimeoutError(f"{what}: the answer was lost")
    return answer
