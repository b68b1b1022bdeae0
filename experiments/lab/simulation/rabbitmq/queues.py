"""What a RabbitMQ in memory consists of: messages, queues, consumers, channels."""

from collections import deque
from dataclasses import dataclass, field
from typing import Any, Protocol

# What a broker says when it closes a channel.
NOT_FOUND, LOCKED, MISMATCH = 404, 405, 406


class Refused(Exception):
    """RabbitMQ closes the channel, with this code and text."""

    def __init__(self, code: int, text: str) -> None:
        super().__init__(text)
        self.code, self.text = code, text


@dataclass(frozen=True)
class Message:
    """A message in a queue. `returns` is how often it was delivered and came back."""

    body: bytes
    key: str
    exchange: str = ""
    headers: dict[str, Any] = field(default_factory=dict)
    message_id: str | None = None
    returns: int = 0
    redelivered: bool = False
    expires_at: float | None = None


@dataclass
class Queue:
    """A queue, and the consumers among which it distributes."""

    name: str
    arguments: dict[str, Any]
    owner: Any = None  # of an exclusive queue: the connection
    messages: deque[Message] = field(default_factory=deque)
    consumers: list["Subscription"] = field(default_factory=list)
    unacked: int = 0


class Receiver(Protocol):
    """The channel of a client, as the broker sees it."""

    def deliver(self, subscription: "Subscription", tag: int, message: Message) -> None:
        """Take a delivery."""

    def cancel(self, subscription: "Subscription") -> None:
        """Hear that the queue is gone."""


@dataclass
class Subscription:
    """A consumer of a queue, on a channel."""

    channel: "ChannelState"
    queue: Queue
    tag: str
    prefetch: int
    auto_ack: bool
    unacked: int = 0


@dataclass
class ChannelState:
    """What the broker knows of a channel: its consumers, and what they have not acknowledged."""

    receiver: Receiver
    connection: Any
    next_tag: int = 1
    unacked: dict[int, tuple[Subscription, Message]] = field(default_factory=dict)
    subscriptions: dict[str, Subscription] = field(default_factory=dict)
