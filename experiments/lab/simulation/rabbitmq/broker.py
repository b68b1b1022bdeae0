"""A RabbitMQ in memory: exchanges, bindings, quorum queues, and what it does when a consumer is gone.

It keeps what a durable queue keeps: all that was published and not acknowledged.
"""

from collections.abc import Callable
from dataclasses import replace
from typing import Any

from lab.simulation.rabbitmq.queues import (
    LOCKED,
    MISMATCH,
    NOT_FOUND,
    ChannelState,
    Message,
    Queue,
    Refused,
    Subscription,
)


class Broker:
    """One node. `now` gives the time, for messages that expire."""

    def __init__(self, now: Callable[[], float]) -> None:
        self._now = now
        self.queues: dict[str, Queue] = {}
        self.exchanges: set[str] = {""}
        self._bindings: dict[tuple[str, str], list[str]] = {}
        self.is_whole = False  # all is there that the services declare

    # what is declared

    def declare_exchange(self, name: str, *, passive: bool = False) -> None:
        """Make an exchange, if it is not there. Raises Refused for a passive question about one that is not."""
        if passive and name not in self.exchanges:
            raise Refused(NOT_FOUND, f"NOT_FOUND - no exchange '{name}' in vhost '/'")
        self.exchanges.add(name)

    def declare_queue(
        self,
        name: str,
        arguments: dict[str, Any] | None,
        *,
        owner: Any = None,
        passive: bool = False,
        asker: Any = None,
    ) -> Queue:
        """Make a queue, if it is not there. Raises Refused when it exists otherwise, or belongs to another."""
        queue = self.queues.get(name)
        if queue is None:
            if passive:
                raise Refused(NOT_FOUND, f"NOT_FOUND - no queue '{name}' in vhost '/'")
            queue = self.queues[name] = Queue(name, dict(arguments or {}), owner)
        elif queue.owner is not None and queue.owner is not (owner or asker):
            raise Refused(LOCKED, f"RESOURCE_LOCKED - cannot obtain exclusive access to locked queue '{name}'")
        elif not passive and (queue.arguments != (arguments or {}) or (queue.owner is None) != (owner is None)):
            raise Refused(MISMATCH, f"PRECONDITION_FAILED - inequivalent arg for queue '{name}'")
        return queue

    def bind(self, name: str, exchange: str, key: str) -> None:
        """Lead a routing key to a queue."""
        self.declare_queue(name, None, passive=True)
        self.declare_exchange(exchange, passive=True)
        bound = self._bindings.setdefault((exchange, key), [])
        if name not in bound:
            bound.append(name)

    def delete_queue(self, name: str) -> None:
        """Remove a queue with its messages; its consumers are cancelled."""
        queue = self.queues.pop(name, None)
        if queue is None:
            return
        self.is_whole = self.is_whole and queue.owner is not None
        for bound in self._bindings.values():
            if name in bound:
                bound.remove(name)
        for subscription in queue.consumers:
            subscription.channel.subscriptions.pop(subscription.tag, None)
            held = subscription.channel.unacked
            for tag in [tag for tag, (of, _) in held.items() if of is subscription]:
                del held[tag]
            subscription.channel.receiver.cancel(subscription)

    # messages

    def publish(self, message: Message) -> tuple[bool, bool]:
        """Route a message; return whether any queue is bound, and whether all that are took it."""
        if message.exchange not in self.exchanges:
            raise Refused(NOT_FOUND, f"NOT_FOUND - no exchange '{message.exchange}' in vhost '/'")
        names = [message.key] if not message.exchange else self._bindings.get((message.exchange, message.key), [])
        queues = [self.queues[name] for name in names if name in self.queues]
        taken = [self._put(queue, message) for queue in queues]
        return bool(queues), all(taken)

    def _put(self, queue: Queue, message: Message) -> bool:
        most = queue.arguments.get("x-max-length")
        if most is not None and len(queue.messages) >= most:
            if queue.arguments.get("x-overflow") == "reject-publish":
                return False
            self._dead_letter(queue, queue.messages.popleft(), "maxlen")
        ttl = queue.arguments.get("x-message-ttl")
        expires_at = None if ttl is None else self._now() + ttl / 1000
        queue.messages.append(replace(message, returns=0, redelivered=False, expires_at=expires_at))
        self.distribute(queue)
        return True

    def distribute(self, queue: Queue) -> None:
        """Deliver to the consumers in turn, as long as there are messages and one may have more."""
        while queue.messages:
            free = next((s for s in queue.consumers if not s.prefetch or s.unacked < s.prefetch), None)
            if free is None:
                return
            queue.consumers.remove(free)
            queue.consumers.append(free)
            message, channel = queue.messages.popleft(), free.channel
            tag, channel.next_tag = channel.next_tag, channel.next_tag + 1
            if not free.auto_ack:
                channel.unacked[tag] = free, message
                free.unacked += 1
                queue.unacked += 1
            channel.receiver.deliver(free, tag, message)

    def consume(self, channel: ChannelState, name: str, *, prefetch: int, auto_ack: bool, tag: str) -> Subscription:
        """Begin to deliver a queue's messages to a channel. Raises Refused when there is no such queue."""
        queue = self.declare_queue(name, None, passive=True, asker=channel.connection)
        subscription = Subscription(channel, queue, tag, prefetch, auto_ack)
        channel.subscriptions[subscription.tag] = subscription
        queue.consumers.append(subscription)
        self.distribute(queue)
        return subscription

    def stop_consuming(self, channel: ChannelState, tag: str) -> None:
        """Deliver no more; what was delivered stays with the channel."""
        subscription = channel.subscriptions.pop(tag, None)
        if subscription is not None and subscription in subscription.queue.consumers:
            subscription.queue.consumers.remove(subscription)

    def ack(self, channel: ChannelState, tag: int, *, multiple: bool) -> None:
        """Forget what is done. Raises Refused for a tag that is not there."""
        tags = [t for t in channel.unacked if (t <= tag if multiple else t == tag)]
        if not tags:
            raise Refused(MISMATCH, f"PRECONDITION_FAILED - unknown delivery tag {tag}")
        self._settle(channel, tags)

    def reject(self, channel: ChannelState, tag: int, *, requeue: bool) -> None:
        """Take a message back into its queue, or dead-letter it."""
        if tag not in channel.unacked:
            raise Refused(MISMATCH, f"PRECONDITION_FAILED - unknown delivery tag {tag}")
        subscription, message = channel.unacked[tag]
        if requeue and "x-delivery-limit" not in subscription.queue.arguments:  # then to the end of the queue
            self._settle(channel, [tag])
            subscription.queue.messages.append(replace(message, returns=message.returns + 1, redelivered=True))
            self.distribute(subscription.queue)
        elif requeue:
            self._return(channel, [tag])
        else:
            self._settle(channel, [tag])
            self._dead_letter(subscription.queue, message, "rejected")

    def close(self, channel: ChannelState) -> None:
        """The channel is gone: what it did not acknowledge is delivered again, in the old order."""
        for subscription in list(channel.subscriptions.values()):
            self.stop_consuming(channel, subscription.tag)
        self._return(channel, list(channel.unacked))

    def close_connection(self, connection: Any) -> None:
        """Remove the queues that were this connection's own."""
        for name in [name for name, queue in self.queues.items() if queue.owner is connection]:
            self.delete_queue(name)

    def tick(self) -> None:
        """Dead-letter the messages that have waited for their time."""
        for queue in list(self.queues.values()):
            while queue.messages and (at := queue.messages[0].expires_at) is not None and at <= self._now():
                self._dead_letter(queue, queue.messages.popleft(), "expired")

    def _settle(self, channel: ChannelState, tags: list[int]) -> None:
        queues: dict[str, Queue] = {}
        for tag in tags:
            subscription, _ = channel.unacked.pop(tag)
            subscription.unacked -= 1
            subscription.queue.unacked -= 1
            queues[subscription.queue.name] = subscription.queue
        for queue in queues.values():
            self.distribute(queue)

    def _return(self, channel: ChannelState, tags: list[int]) -> None:
        back: dict[str, list[Message]] = {}
        queues: dict[str, Queue] = {}
        for tag in sorted(tags):
            subscription, message = channel.unacked.pop(tag)
            subscription.unacked -= 1
            subscription.queue.unacked -= 1
            queues[subscription.queue.name] = subscription.queue
            back.setdefault(subscription.queue.name, []).append(message)
        for name, messages in back.items():
            queue, kept = queues[name], []
            limit = queue.arguments.get("x-delivery-limit")
            for message in messages:
                again = replace(message, returns=message.returns + 1, redelivered=True)
                if limit is not None and again.returns > limit:
                    self._dead_letter(queue, again, "delivery_limit")
                else:
                    kept.append(again)
            queue.messages.extendleft(reversed(kept))
            self.distribute(queue)

    def _dead_letter(self, queue: Queue, message: Message, reason: str) -> None:
        exchange = queue.arguments.get("x-dead-letter-exchange")
        if exchange is None:
            return
        key = queue.arguments.get("x-dead-letter-routing-key", message.key)
        death = {"queue": queue.name, "reason": reason}
        headers = message.headers | {"x-death": [death, *message.headers.get("x-death", [])]}
        self.publish(replace(message, exchange=exchange, key=key, headers=headers))
