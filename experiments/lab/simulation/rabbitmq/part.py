"""Part B: its services over RabbitMQ in memory, at the level of pika's connection and channel."""

import functools
import re
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from importlib import import_module
from types import SimpleNamespace
from typing import Any

import pika

from lab.simulation.core import Simulation
from lab.simulation.part import Action
from lab.simulation.process import Process
from lab.simulation.rabbitmq.broker import Broker
from lab.simulation.rabbitmq.connection import Connection
from lab.simulation.rabbitmq.queues import Message

RABBITMQ = "rabbitmq"
QUEUES = ("order-placed", "inventory-reserved", "order-status")
PROCESSES = ("order", "inventory", "notification")
POISON = b'{"event_id": "not an event"'
CUTS = ("publish:written", "publish:arrived", "ack:written")
_ORDER = re.compile(rb'"order_id":"([^"]+)"')


class RabbitMQPart:
    """The transport of Part B."""

    name = "async-rabbitmq"
    broker: str | None = RABBITMQ
    apps: Mapping[str, str] = {process: f"{process}_service.app" for process in PROCESSES}
    replicas: Mapping[str, str] = {f"{name}-2": f"{name}_service.app" for name in PROCESSES[1:]}
    effects = ("publish:before", "publish:written", "publish:arrived", "ack:before", "ack:written")
    words: Mapping[str, str] = {
        "drop": "The connections of {0} are lost.",
        "cut": "A connection of {0} is lost at its next {1}.",
        "broker": "RabbitMQ is up: {0}.",
        "blocked": "RabbitMQ takes no messages: {0}.",
        "double": "The first message of {0} is there twice.",
        "poison": "A message that cannot be read comes to order-placed.",
    }
    actions: Mapping[str, Sequence[Action]] = {
        "drop": [["drop", process] for process in PROCESSES],
        "cut": [["cut", process, effect] for process in PROCESSES for effect in CUTS],
        "broker": [["broker", True], ["broker", False]],
        "blocked": [["blocked", False], ["blocked", True]],
        "double": [["double", queue] for queue in QUEUES],
        "poison": [["poison"]],
    }
    scouts: Sequence[list[Action]] = ()

    def patch(self) -> None:
        """Put the connection in memory in the place of pika's."""
        services = import_module("broker.connection").__dict__
        services["SelectConnection"] = self._connect
        topology = import_module("broker.topology").__dict__
        topology |= {name: _unless_whole(topology[name]) for name in ("declare", "look")}
        services["pika"] = SimpleNamespace(URLParameters=functools.cache(pika.URLParameters))

    def env(self, _process: str) -> dict[str, str]:
        """Nothing: the address of RabbitMQ does not matter."""
        return {}

    def begin(self, sim: Simulation) -> None:
        """Begin with an empty broker that is up."""
        self.sim = sim
        self.rabbitmq = Broker(lambda: sim.clock.seconds)
        self.is_up, self.is_blocked, self.poisoned = True, False, 0
        self.may_dead_letter = False

    def started(self, process: Process) -> None:
        """Note the connections that its service keeps."""
        kind = import_module("broker.connection").BrokerConnection
        process.memory["links"] = [_Link(part) for part in process.parts if isinstance(part, kind)]
        self.receive(process)

    def died(self, process: Process) -> None:
        """Close its connections: RabbitMQ delivers again what it did not acknowledge."""
        for link in process.memory.get("links", ()):
            if link.connection is not None:
                link.connection.die()

    def tick(self) -> None:
        """Hand back what has waited long enough in a retry queue."""
        if self.is_up:
            self.rabbitmq.tick()

    def receive(self, process: Process) -> None:
        """Do what the threads of the process's connections do."""
        life = process.life
        for link in process.memory.get("links", ()):
            if process.life == life:
                self._turn(process, link)

    def _turn(self, process: Process, link: "_Link") -> None:
        if link.connection is None and self.sim.clock.seconds >= link.retry_at:
            link.connection = self.sim.run(process, "connection", link.owner.connect)
        connection = link.connection
        if connection is None or connection.busy:
            return
        connection.ioloop.take_due()
        if connection.ioloop.calls or connection.outgoing:
            name = link.owner._name.partition(" ")[2]
            self.sim.run(process, name, lambda: connection.pump(blocked=self.is_blocked))
        if connection.ioloop.stopped and process.alive:
            link.connection = None
            pause = self.sim.run(process, "connection", lambda: link.owner.ended(was_open=link.owner.is_open))
            link.retry_at = self.sim.clock.seconds + (pause or 0.0)

    def _connect(self, _parameters: Any, **callbacks: Any) -> Connection:
        """Stand for SelectConnection: the process that runs now connects."""
        frame = self.sim.frame
        assert frame is not None  # a connection begins in `sim.run`
        process = frame.process

        def effect(connection: Connection, name: str) -> None:
            self.sim.effect(name)
            if name in process.memory.get("cuts", ()):
                process.memory["cuts"].remove(name)
                self._say(f"a connection of {process.name} is cut", process.name)
                connection.cut()

        def record(kind: str, message: Message, *, down: bool = False, again: bool = False) -> None:
            ends = (RABBITMQ, process.name) if down else (process.name, RABBITMQ)
            self.sim.trace.add(kind, ends[0], message.key, to=ends[1], about=_order_of(message), again=again)

        connection = Connection(
            self.rabbitmq if self.is_up else None,
            lambda: self.sim.clock.seconds,
            opened=callbacks["on_open_callback"],
            closed=callbacks["on_close_callback"],
            effect=effect,
            record=record,
        )
        if self.is_blocked:
            connection.block("low on memory")
        return connection

    def perform(self, action: Action) -> None:
        """Do one of this part's actions."""
        kind, *values = action
        getattr(self, f"_do_{kind}")(*values)

    def _do_drop(self, name: str) -> None:
        """The connections of a process are lost."""
        self._say(f"the connections of {name} are lost", name)
        for connection in self._connections(name):
            connection.cut()

    def _say(self, text: str, name: str) -> None:
        self.sim.trace.add("fault", RABBITMQ, text, to=name, lost=True)

    def _do_cut(self, name: str, effect: str) -> None:
        """A connection of a process is lost at its next effect of this name."""
        self.sim.processes[name].memory.setdefault("cuts", []).append(effect)

    def _do_broker(self, up: bool) -> None:
        """RabbitMQ is away, or comes back with all that was safe."""
        if up != self.is_up:
            self.sim.trace.add("fault", RABBITMQ, "is back" if up else "is away")
            self.is_up = up
            for name in self.sim.processes if not up else ():
                for connection in self._connections(name):
                    connection.cut("the broker is gone")

    def _do_blocked(self, blocked: bool) -> None:
        """RabbitMQ takes no messages, or takes them again."""
        if blocked != self.is_blocked:
            self.sim.trace.add("fault", RABBITMQ, "takes no messages" if blocked else "takes messages again")
            self.is_blocked = blocked
            for name in self.sim.processes:
                for connection in self._connections(name):
                    connection.block("low on memory" if blocked else None)

    def _do_double(self, name: str) -> None:
        """The first message of a queue is there twice, as after a publisher's second try."""
        queue = self.rabbitmq.queues.get(name)
        if queue is not None and queue.messages:
            message = queue.messages[0]
            self.sim.trace.add("fault", RABBITMQ, f"{message.key} is in {name} twice", about=_order_of(message))
            queue.messages.append(message)
            self.rabbitmq.distribute(queue)

    def _do_poison(self) -> None:
        """A message that cannot be read comes to order-placed."""
        if "order-placed" in self.rabbitmq.queues:
            self.poisoned += 1
            self.sim.trace.add("message", "client", "a message that cannot be read", to=RABBITMQ)
            self.rabbitmq.publish(Message(POISON, "order-placed", message_id=f"poison-{self.poisoned}"))

    def _connections(self, name: str) -> list[Connection]:
        links = self.sim.processes[name].memory.get("links", ())
        return [link.connection for link in links if link.connection is not None]

    def heal(self) -> None:
        """RabbitMQ is up and takes messages."""
        self._do_broker(True)
        self._do_blocked(False)
        for process in self.sim.processes.values():
            process.memory.pop("cuts", None)

    def waits_for(self) -> str | None:
        """Return which queues are not empty."""
        queues = [queue for queue in self.rabbitmq.queues.values() if not queue.name.endswith(".dlq")]
        waiting = {queue.name: len(queue.messages) + queue.unacked for queue in queues}
        return ", ".join(f"{count} messages in {name}" for name, count in waiting.items() if count) or None

    def state(self) -> list[dict[str, Any]]:
        """Nothing: the invariants do not look at dead letters."""
        return []

    def promises(self) -> list[tuple[str, str]]:
        """Each message that cannot be read is dead-lettered once, and no other is, whatever fails around it."""
        dead = [m for q in self.rabbitmq.queues.values() if q.name.endswith(".dlq") for m in q.messages]
        poison = Counter(m.message_id for m in dead if m.body == POISON)
        found = [
            ("poison", f"poison-{n} is {poison[f'poison-{n}']} times in a dead-letter queue, and not once")
            for n in range(1, self.poisoned + 1)
            if poison[f"poison-{n}"] < 1
        ]
        others = [m for m in dead if m.body != POISON]
        if others:
            why = others[0].headers.get("x-reason", "")
            found.append(("infrastructure", f"{others[0].key} of {_order_of(others[0])} was dead-lettered: {why}"))
        return found


class _Link(SimpleNamespace):
    """A BrokerConnection of a service, and the connection that it has now."""

    def __init__(self, owner: Any) -> None:
        super().__init__(owner=owner, connection=None, retry_at=0.0)


def _unless_whole(ask: Callable[[Any], None]) -> Callable[[Any], None]:
    """Return what declares the topology, or asks for it, only where the broker lacks something."""

    def unless_whole(channel: Any) -> None:
        if not channel.connection.broker.is_whole:
            ask(channel)
            channel.connection.outgoing.append(lambda broker: setattr(broker, "is_whole", channel.is_open))

    return unless_whole


def _order_of(message: Message) -> str:
    found = _ORDER.search(message.body)
    return found.group(1).decode() if found else ""
