"""pika's channel, over the broker in memory: the part of its interface that the services use."""

from collections.abc import Callable
from types import SimpleNamespace
from typing import Any

from pika import BasicProperties, spec
from pika.exceptions import ChannelClosedByBroker, ChannelWrongStateError

from lab.simulation.rabbitmq.broker import Broker
from lab.simulation.rabbitmq.queues import ChannelState, Message, Refused, Subscription

# Writes down a message that travels: its kind, the message, whether it comes from the broker, and whether again.
Record = Callable[..., None]


class Channel:
    """One channel of a connection."""

    def __init__(self, connection: Any) -> None:
        self.connection = connection
        self.is_open = True
        self.state = ChannelState(self, connection)
        self._prefetch, self._sent = 0, 0
        self._confirm: Callable[[Any], Any] | None = None
        self._callbacks: dict[str, list[Callable[..., Any]]] = {"close": [], "cancel": [], "return": []}
        self._consumers: dict[str, Callable[..., Any]] = {}

    def add_on_close_callback(self, callback: Callable[..., Any]) -> None:
        """Have this called when the broker closes the channel."""
        self._callbacks["close"].append(callback)

    def add_on_cancel_callback(self, callback: Callable[..., Any]) -> None:
        """Have this called when a consumer's queue is gone."""
        self._callbacks["cancel"].append(callback)

    def add_on_return_callback(self, callback: Callable[..., Any]) -> None:
        """Have this called for a mandatory message that no queue gets."""
        self._callbacks["return"].append(callback)

    def confirm_delivery(self, callback: Callable[[Any], Any]) -> None:
        """Have this called for each message that the broker has taken or refused."""
        self._confirm = callback

    def exchange_declare(self, exchange: str, _kind: str = "direct", *, passive: bool = False, durable: bool = False,
                         callback: Callable[..., Any] | None = None) -> None:  # fmt: skip
        """Declare an exchange."""
        self._ask(lambda broker: broker.declare_exchange(exchange, passive=passive), callback)

    def queue_declare(self, queue: str, *, passive: bool = False, durable: bool = False, exclusive: bool = False,
                      arguments: Any = None, callback: Callable[..., Any] | None = None) -> None:  # fmt: skip
        """Declare a queue; an exclusive one is this connection's own."""
        owner = self.connection if exclusive else None

        def declare(broker: Broker) -> Any:
            of = broker.declare_queue(queue, arguments, owner=owner, passive=passive, asker=self.connection)
            method = SimpleNamespace(message_count=len(of.messages), consumer_count=len(of.consumers))
            return SimpleNamespace(method=method)

        self._ask(declare, callback)

    def queue_bind(self, queue: str, exchange: str, routing_key: str) -> None:
        """Lead a routing key to a queue."""
        self._ask(lambda broker: broker.bind(queue, exchange, routing_key), None)

    def basic_qos(self, *, prefetch_count: int) -> None:
        """Limit the consumers that begin from now on."""
        self._prefetch = prefetch_count

    def basic_consume(self, queue: str, on_message: Callable[..., Any], *, auto_ack: bool = False,
                      callback: Callable[..., Any] | None = None) -> str:  # fmt: skip
        """Begin to consume; return the consumer's tag."""
        prefetch = self._prefetch
        tag = f"{queue}-{len(self._consumers)}"

        def consume(broker: Broker) -> None:
            broker.declare_queue(queue, None, passive=True, asker=self.connection)
            if callback is not None:  # RabbitMQ says that it has registered the consumer, and then delivers
                self.connection.ioloop.add_callback_threadsafe(lambda: callback(None))
            broker.consume(self.state, queue, prefetch=prefetch, auto_ack=auto_ack, tag=tag)

        self._consumers[tag] = on_message
        self._ask(consume, None)
        return tag

    def basic_cancel(self, consumer_tag: str) -> None:
        """Consume no longer; what was delivered stays."""
        self._ask(lambda broker: broker.stop_consuming(self.state, consumer_tag), None)

    def basic_publish(self, exchange: str, routing_key: str, body: bytes, properties: BasicProperties | None = None,
                      mandatory: bool = False) -> None:  # fmt: skip
        """Write a message to the connection."""
        self._must_be_open()
        given: Any = properties or BasicProperties()
        message = Message(body, routing_key, exchange, dict(given.headers or {}), given.message_id)
        self.connection.effect(self.connection, "publish:before")
        self._sent += 1
        sent = self._sent
        self.connection.outgoing.append(lambda broker: self._arrive(broker, message, given, sent, mandatory))
        self.connection.effect(self.connection, "publish:written")

    def _arrive(
        self, broker: Broker, message: Message, properties: BasicProperties, sent: int, mandatory: bool
    ) -> None:
        connection = self.connection
        try:
            routed, taken = broker.publish(message)
        except Refused as refused:
            return self._refuse(refused)
        connection.record("message", message)
        if not routed and mandatory:
            method = SimpleNamespace(reply_text="NO_ROUTE", routing_key=message.key)
            self._call_back("return", self, method, properties, message.body)
        if self._confirm is not None:
            confirm = self._confirm
            kind = spec.Basic.Ack if taken else spec.Basic.Nack
            frame = SimpleNamespace(method=kind(sent))
            connection.ioloop.add_callback_threadsafe(lambda: self._confirmed(confirm, frame, message))
        connection.effect(connection, "publish:arrived")
        return None

    def _confirmed(self, confirm: Callable[[Any], Any], frame: Any, message: Message) -> None:
        self.connection.record("confirm", message, down=True)
        confirm(frame)

    def basic_ack(self, delivery_tag: int, multiple: bool = False) -> None:
        """Acknowledge."""
        self._must_be_open()
        self.connection.effect(self.connection, "ack:before")
        for tag, (_, message) in self.state.unacked.items():
            if tag == delivery_tag or (multiple and tag < delivery_tag):
                self.connection.record("ack", message)
        self._ask(lambda broker: broker.ack(self.state, delivery_tag, multiple=multiple), None)
        self.connection.effect(self.connection, "ack:written")

    def basic_reject(self, delivery_tag: int, requeue: bool = True) -> None:
        """Refuse a delivery."""
        self._ask(lambda broker: broker.reject(self.state, delivery_tag, requeue=requeue), None)

    def deliver(self, subscription: Subscription, tag: int, message: Message) -> None:
        """Receive a delivery from the broker."""
        headers = dict(message.headers)
        if message.returns:
            headers["x-delivery-count"] = message.returns
        method = SimpleNamespace(
            delivery_tag=tag, redelivered=message.redelivered, consumer_tag=subscription.tag, routing_key=message.key
        )
        properties = SimpleNamespace(headers=headers, message_id=message.message_id)
        on_message = self._consumers[subscription.tag]

        def arrive() -> None:
            self.connection.record("delivery", message, down=True, again=message.redelivered)
            on_message(self, method, properties, message.body)

        self.connection.ioloop.add_callback_threadsafe(arrive)

    def cancel(self, subscription: Subscription) -> None:
        """Hear from the broker that a consumer's queue is gone."""
        self._call_back("cancel", SimpleNamespace(consumer_tag=subscription.tag))

    def leave(self) -> None:
        """The connection is gone."""
        self.is_open = False
        if self.connection.broker is not None:
            self.connection.broker.close(self.state)

    def _ask(self, ask: Callable[[Broker], Any], callback: Callable[..., Any] | None) -> None:
        self._must_be_open()

        def arrive(broker: Broker) -> None:
            if self.is_open:
                try:
                    answer = ask(broker)
                except Refused as refused:
                    self._refuse(refused)
                else:
                    if callback is not None:
                        self.connection.ioloop.add_callback_threadsafe(lambda: callback(answer))

        self.connection.outgoing.append(arrive)

    def _refuse(self, refused: Refused) -> None:
        self.leave()
        self._call_back("close", self, ChannelClosedByBroker(refused.code, refused.text))

    def _call_back(self, kind: str, *values: Any) -> None:
        for callback in self._callbacks[kind]:
            self.connection.ioloop.add_callback_threadsafe(lambda callback=callback: callback(*values))

    def _must_be_open(self) -> None:
        if not self.is_open and self.connection.is_open:
            raise ChannelWrongStateError("Channel is closed.")
