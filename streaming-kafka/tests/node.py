"""A Kafka node for the tests: the part's own `broker/private_node` on free ports, and what is done to it."""

import contextlib
import os
import signal
import socket
import time
from pathlib import Path

import psutil
from broker import kafka_workarounds, topics
from campus.events import Event
from kafka import KafkaAdminClient, KafkaConsumer, KafkaProducer, TopicPartition
from kafka.admin import MemberToRemove
from kafka.errors import CoordinatorNotAvailableError, KafkaError
from kafka.structs import OffsetAndMetadata
from lab.brokers import probe
from lab.setup import install
from testing import Process, free_port, wait_until

PART = Path(__file__).resolve().parents[1]


class Kafka:
    """What is written to a node, or to a cluster, and read from it."""

    bootstrap: str

    def end(self, partition: TopicPartition) -> int:
        """Return the offset of what will be written next into a partition."""
        with contextlib.closing(KafkaConsumer(bootstrap_servers=self.bootstrap)) as consumer:
            return consumer.end_offsets([partition])[partition]

    def put(self, topic: str, *bodies: bytes | Event | None, partition: int | None = None) -> list[int]:
        """Write messages straight into a topic: events under their order's id, anything else under `k`.

        Returns their offsets.
        """
        with contextlib.closing(
            KafkaProducer(bootstrap_servers=self.bootstrap, max_request_size=2**21, partitioner=topics.ByKey())
        ) as producer:
            sent = []
            for body in bodies:
                key, value = (body.order_id, body.encode()) if isinstance(body, Event) else ("k", body)
                sent.append(producer.send(topic, value=value, key=key.encode(), partition=partition))
            return [future.get(30).offset for future in sent]

    def read(self, topic: str, *keys: str) -> list:
        """Return every committed record of a topic (of these keys), from its beginning."""
        partitions = [TopicPartition(topic, n) for n in range(topics.PARTITIONS[topic])]
        reader = {"isolation_level": "read_committed", "auto_offset_reset": "earliest", "enable_auto_commit": False}
        with contextlib.closing(KafkaConsumer(bootstrap_servers=self.bootstrap, **reader)) as consumer:
            kafka_workarounds.read_on(consumer)  # some tests write what cannot be read
            consumer.assign(partitions)
            ends, records = consumer.end_offsets(partitions), []
            while any(consumer.position(partition) < ends[partition] for partition in partitions):
                records += [r for batch in consumer.poll(timeout_ms=200, max_records=5000).values() for r in batch]
        return [record for record in records if not keys or (record.key or b"").decode() in keys]

    def admin(self) -> contextlib.closing[KafkaAdminClient]:
        """Return an admin client for a `with` statement; the topics are there."""
        client = KafkaAdminClient(bootstrap_servers=self.bootstrap)
        topics.ensure(client)
        return contextlib.closing(client)

    def members(self, group: str) -> dict[str, int]:
        """Return how many partitions each member of a group has."""
        members = wait_until(lambda: self._described(group))["members"]
        return {m["member_id"]: _count(m["member_assignment"]) for m in members}

    def _described(self, group: str) -> dict | None:
        with self.admin() as admin, contextlib.suppress(CoordinatorNotAvailableError):  # a new node has none at first
            return admin.describe_groups([group])[group]
        return None

    def evict(self, group: str) -> None:
        """Take a group's partitions from its members, as if their sessions had run out."""
        with self.admin() as admin:
            admin.remove_group_members(group, [MemberToRemove(member_id=name) for name in self.members(group)])

    def offsets(self, group: str) -> dict[TopicPartition, int]:
        """Return how far a group has come, where it has."""
        with self.admin() as admin:
            return {tp: found.offset for tp, found in admin.list_group_offsets({group: None})[group].items()}

    def skip(self, group: str) -> None:
        """Let a group without members begin at what is written from now on."""
        with contextlib.closing(KafkaConsumer(bootstrap_servers=self.bootstrap, group_id=group)) as consumer:
            with self.admin():
                partitions = [
                    TopicPartition(topic, n) for topic, count in topics.PARTITIONS.items() for n in range(count)
                ]
            consumer.assign(partitions)
            consumer.commit({tp: OffsetAndMetadata(n, "", -1) for tp, n in consumer.end_offsets(partitions).items()})

    def move(self, group: str, partition: TopicPartition, offset: int) -> None:
        """Let a group without members go on at this offset of a partition, whether it is there or not."""
        with contextlib.closing(KafkaConsumer(bootstrap_servers=self.bootstrap, group_id=group)) as consumer:
            consumer.assign([partition])
            consumer.commit({partition: OffsetAndMetadata(offset, "", -1)})


class Node(Process, Kafka):
    """The node; its data outlives `kill` and `start`. One of several is told its number and all controllers."""

    def __init__(self, folder: Path, **env: str) -> None:
        super().__init__("Kafka", free_port(), folder / "node.log")
        self._folder = folder
        ports = {"KAFKA": self.port, "KAFKA_CONTROLLER": free_port(), "KAFKA_INSIDE": free_port()}
        self._env = {f"{name}_PORT": str(port) for name, port in ports.items()} | env
        self.bootstrap = f"127.0.0.1:{self.port}"
        self._stood_still = False

    def start(self) -> None:
        """Start it, or let it go on, and wait until it answers.

        When it goes on after more than 9 s, its controller takes it for dead, and knows of no broker for a moment.
        """
        if self.runs:
            self.signal(signal.SIGCONT)
        else:
            self._stood_still = False
            install.ensure("kafka")
            command = [PART / "broker" / "private_node", self._folder / "node"]
            self.run(command, folder=self._folder, env=self._env)
        wait_until(self._answers, 150, what="Kafka answers", alive=self)
        if self._stood_still:
            wait_until(self._stays, 60, what="Kafka's controller knows its broker", alive=self)
            self._stood_still = False

    def signal(self, number: int) -> None:
        """Send it a signal: SIGSTOP freezes it, and its port still takes connections."""
        self._stood_still |= number == signal.SIGSTOP
        os.killpg(self.process.pid, number)
        if number == signal.SIGSTOP:
            wait_until(self._stands_still, what="every thread of Kafka stands still", alive=self)

    def _stands_still(self) -> bool:
        """Whether all of its processes are stopped, with all their threads (which Linux shows like processes)."""
        process = psutil.Process(self.process.pid)
        for each in [process, *process.children(recursive=True)]:
            with contextlib.suppress(psutil.NoSuchProcess):
                for thread in each.threads():
                    if psutil.Process(thread.id).status() not in (psutil.STATUS_STOPPED, psutil.STATUS_ZOMBIE):
                        return False
        return True

    def _stays(self) -> bool:
        """Whether the broker is in its own list of brokers five times in a second."""
        with (
            contextlib.suppress(KafkaError),
            contextlib.closing(KafkaAdminClient(bootstrap_servers=self.bootstrap)) as admin,
        ):
            for _ in range(5):
                if not admin.describe_cluster()["brokers"]:
                    return False
                time.sleep(0.2)
            return True
        return False

    def _answers(self) -> bool:
        with contextlib.suppress(OSError), socket.create_connection(("127.0.0.1", self.port), 1) as connection:
            hello, reply = probe.HELLO["kafka"]
            connection.sendall(hello)
            connection.settimeout(2)
            return connection.recv(len(reply)) == reply
        return False


def _count(assignment: dict | None) -> int:
    return sum(len(topic["partitions"]) for topic in (assignment or {}).get("assigned_partitions", ()))
