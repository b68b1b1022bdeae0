"""Part C: its services over Kafka in memory, at the level of kafka-python's clients."""

import re
from collections.abc import Mapping, Sequence
from importlib import import_module
from types import MappingProxyType
from typing import Any

from kafka import TopicPartition
from kafka.structs import OffsetAndMetadata

from lab.brokers import kafka
from lab.simulation.core import Simulation
from lab.simulation.kafka import clients, promises
from lab.simulation.kafka.actions import ACTIONS, EFFECTS, PROCESSES, SCOUTS, SERVICES
from lab.simulation.kafka.broker import Broker
from lab.simulation.kafka.producer import Producer
from lab.simulation.part import Action
from lab.simulation.process import Crash, Process

KAFKA = "kafka"
ANALYTICS = "analytics-consumer-group"
_TYPE = re.compile(rb'"event_type":"(\w+)"')


class KafkaPart:
    """The transport of Part C."""

    name = "streaming-kafka"
    broker: str | None = KAFKA
    apps: Mapping[str, str] = {name: SERVICES[name.partition("-")[0]] for name in PROCESSES}
    replicas: Mapping[str, str] = MappingProxyType({})  # they are among `apps`, and a schedule starts them
    effects = EFFECTS
    words: Mapping[str, str] = {
        "broker": "Kafka is up: {0}.",
        "cut": "Kafka is cut off from {0} at its next {1}, for {2} s.",
        "apart": "Kafka is cut off from {0} for {1} s.",
        "double": "An order is in order-events twice.",
        "poison": "A message that cannot be read comes to order-events.",
        "evict": "An operator takes {0} out of its group.",
        "reset": "An operator sets the offsets of analytics back to the beginning.",
    }
    actions: Mapping[str, Sequence[Action]] = ACTIONS
    scouts: Sequence[list[Action]] = SCOUTS

    def patch(self) -> None:
        """Put the clients in memory in the place of kafka-python's."""
        clients.patch(self._where, self._made)
        import_module("broker.membership").__dict__["instance"] = lambda group: f"{group}-{self._process().name}"
        import_module("broker.transactional_consumer").__dict__["end_service"] = self._end_service
        import_module("analytics_consumer.app").__dict__["write"] = lambda file, report: None

    def env(self, _process: str) -> dict[str, str]:
        """Nothing: the address of Kafka does not matter."""
        return {}

    def begin(self, sim: Simulation) -> None:
        """Begin with an empty node that is up."""
        self.sim = sim
        self.kafka = Broker(lambda: sim.clock.seconds, lambda text: sim.trace.add("note", KAFKA, text))
        self.hosts: dict[str, _Host] = {}
        self.producers: list[Producer] = []
        self.poisoned = 0

    def _process(self) -> Process:
        assert self.sim.frame is not None  # a client is used in `sim.run`
        return self.sim.frame.process

    def _where(self) -> tuple["_Host", Broker]:
        process = self._process()
        host = self.hosts.get(process.name)
        if host is None or host.life != process.life:
            host = self.hosts[process.name] = _Host(self, process)
        return host, self.kafka

    def _made(self, client: Any) -> None:
        if isinstance(client, Producer):
            self.producers.append(client)

    def _end_service(self, why: str) -> None:
        process = self._process()
        self.sim.trace.add("note", process.name, f"ends itself: {why}")
        self.sim.kill(process)
        raise Crash("ends itself")

    def started(self, process: Process) -> None:
        """At the beginning of a run, let it connect before anything else happens."""
        if self.sim.clock.seconds == 0:
            self.sim.step(process)

    def died(self, process: Process) -> None:
        """Forget what was not written: it was in the memory of the process."""
        self.producers = [producer for producer in self.producers if producer.host.name != process.name]

    def tick(self) -> None:
        """Let the threads of the producers write, and Kafka do what is due."""
        for producer in self.producers:
            if producer.pending and not self.sim.processes[producer.host.name].frozen:
                producer.turn()
        self.kafka.tick()

    def receive(self, process: Process) -> None:
        """Nothing: consumers are polled, and `tick` is for producers."""

    def perform(self, action: Action) -> None:
        """Do one of this part's actions."""
        kind, *values = action
        getattr(self, f"_do_{kind}")(*values)

    def _do_broker(self, up: bool) -> None:
        """Kafka is away, or comes back with all that was written."""
        if up != self.kafka.is_up:
            self.sim.trace.add("fault", KAFKA, "is back" if up else "is away")
            if up:
                self.kafka.start()
            self.kafka.is_up = up

    def _do_cut(self, name: str, effect: str, seconds: float) -> None:
        """At its next effect of this name, a process is cut off from Kafka for so long."""
        self.sim.processes[name].memory.setdefault("cuts", {})[effect] = seconds

    def _do_apart(self, name: str, seconds: float) -> None:
        """A process is cut off from Kafka for so long."""
        process = self.sim.processes[name]
        if process.alive:
            self.sim.trace.add("fault", KAFKA, f"is cut off from {name} for {seconds:g} s", to=name, lost=True)
            process.memory["cut_until"] = self.sim.clock.seconds + seconds

    def _do_double(self, number: int) -> None:
        """An order is in the log twice, as after a producer's second try."""
        orders = [r for r in self.kafka.logs.visible("order-events") if r.value != promises.POISON]
        if orders and self.kafka.is_up:
            record = orders[number % len(orders)]
            self.sim.trace.add("fault", KAFKA, "an order is in order-events twice", about=(record.key or b"").decode())
            content: dict[str, Any] = {"key": record.key, "value": record.value, "headers": record.headers}
            self.kafka.write(TopicPartition(record.topic, record.partition), **content)

    def _do_poison(self) -> None:
        """A message that cannot be read comes to order-events."""
        if self.kafka.is_up and "order-events" in self.kafka.logs.partitions:
            self.poisoned += 1
            key = f"poison-{self.poisoned}".encode()
            self.sim.trace.add("message", "client", "a message that cannot be read", to=KAFKA)
            self.kafka.write(self.kafka.partition_for("order-events", key), key=key, value=promises.POISON)

    def _do_evict(self, name: str) -> None:
        """An operator takes a process out of its group."""
        for group in self.kafka.groups.values():
            for member in [m for m in group.members.values() if name in (m.instance or m.client_id)]:
                if member.instance is None or member.instance.endswith(f"-{name}"):
                    self.sim.trace.add("fault", KAFKA, f"{member.id} is taken out of its group", to=name)
                    group.leave(member.id)

    def _do_reset(self) -> None:
        """An operator lets analytics read all again: its process is stopped for that."""
        group, analytics = self.kafka.group(ANALYTICS), self.sim.processes["analytics"]
        if self.kafka.is_up and group.offsets:
            self.sim.kill(analytics, restart=True)
            for member in list(group.members):
                group.leave(member)
            self.sim.trace.add("fault", KAFKA, "the offsets of analytics are reset to the beginning")
            group.offsets = {p: OffsetAndMetadata(0, "", -1) for p in group.offsets}

    def heal(self) -> None:
        """Kafka is up, and every process reaches it."""
        self._do_broker(True)
        for process in self.sim.processes.values():
            process.memory.pop("cuts", None)
            process.memory.pop("cut_until", None)

    def waits_for(self) -> str | None:
        """Return which group has not read all."""
        for name, reads in promises.READS.items():
            offsets = self.kafka.group(name).offsets
            for topic in reads:
                for n in range(len(self.kafka.logs.partitions.get(topic, ()))):
                    at = offsets.get(TopicPartition(topic, n))
                    if not self.kafka.logs.is_read(TopicPartition(topic, n), at.offset if at else 0):
                        return f"{name} has not read all of {topic}/{n}"
        return None

    def state(self) -> list[dict[str, Any]]:
        """Return what analytics reports, and which results are in the log."""
        counts = import_module("analytics_consumer.counts")
        results = kafka.results(record for topic in kafka.RESULTS for record in self.kafka.logs.visible(topic))
        with self.sim.disks["analytics"].look() as tx:
            return [{"what": "report"} | counts.report(tx), *results]

    def promises(self) -> list[tuple[str, str]]:
        """Return which messages were dead-lettered wrongly."""
        return promises.broken(self.kafka.logs)


class _Host:
    """One life of a process, as its clients see it."""

    def __init__(self, part: KafkaPart, process: Process) -> None:
        self._part, self._process, self.life = part, process, process.life
        self.name = process.name
        self._memory = process.memory  # of this life

    def now(self) -> float:
        return self._part.sim.clock.seconds

    def effect(self, name: str) -> None:
        self._part.sim.effect(name)
        seconds = self._memory.get("cuts", {}).pop(name, None)
        if seconds is not None:
            self._part._do_apart(self.name, seconds)

    def sleep(self, seconds: float) -> None:
        self._part.sim.clock.sleep(seconds)

    def reaches(self) -> bool:
        return self._part.kafka.is_up and self._memory.get("cut_until", 0.0) <= self.now()

    def back_in(self) -> float:
        return self._memory.get("cut_until", 0.0) - self.now() if self._part.kafka.is_up else float("inf")

    def beats(self) -> bool:
        process = self._process
        return process.alive and process.life == self.life and not process.frozen and self.reaches()

    def record(
        self, kind: str, text: str, key: bytes | None = None, *, down: bool = False, again: bool = False
    ) -> None:
        ends = (KAFKA, self.name) if down else (self.name, KAFKA)
        about = key.decode(errors="replace") if key else ""
        self._part.sim.trace.add(kind, ends[0], text, to=ends[1], about=about, again=again)
