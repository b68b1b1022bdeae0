"""A RabbitMQ node for the tests: the part's own `broker/private_node` on a free port, and what is done to it."""

import contextlib
import os
import shutil
import signal
import socket
import subprocess
from abc import ABC, abstractmethod
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pika
from broker import topology
from pika.adapters.blocking_connection import BlockingChannel
from testing import Process, free_port, wait_until

PART = Path(__file__).resolve().parents[1]
PLACES = ("/usr/lib/rabbitmq/bin", "/opt/homebrew/sbin", "/usr/local/sbin")
QUEUES = [
    name
    for queue in topology.QUEUES
    for name in (
        queue,
        topology.dead_letters(queue),
        *(topology.retry_queue(queue, s) for s in topology.RETRY_SECONDS),
    )
]


class RabbitMissing(RuntimeError):
    """RabbitMQ is not installed; the message says what to do."""


class RabbitMQ(ABC):
    """What is put into the queues of a node, or of a cluster, and taken from them."""

    url: str

    @abstractmethod
    def start(self) -> None:
        """Start what does not run."""

    @contextlib.contextmanager
    def channel(self) -> Iterator[BlockingChannel]:
        """Open a channel, to look and to meddle."""
        connection = pika.BlockingConnection([pika.URLParameters(url) for url in self.url.split(",")])
        try:
            yield connection.channel()
        finally:
            if connection.is_open:
                connection.close()

    def restore(self) -> None:
        """Start it if need be, declare the topology, and empty every queue."""
        self.start()
        with self.channel() as channel:
            topology.declare(channel)
            for queue in QUEUES:
                channel.queue_purge(queue)

    def put(self, queue: str, body: bytes, **properties: Any) -> None:
        """Put a message straight into a queue, and wait until it is there."""
        with self.channel() as channel:
            channel.confirm_delivery()
            properties = {"delivery_mode": 2} | properties
            channel.basic_publish("", queue, body, pika.BasicProperties(**properties), mandatory=True)

    def has(self, queue: str) -> bool:
        """Whether there is such a queue."""
        with self.channel() as channel, contextlib.suppress(pika.exceptions.ChannelClosedByBroker):
            channel.queue_declare(queue, passive=True)
            return True
        return False

    def depth(self, queue: str) -> int:
        """Return how many messages of a queue wait for a consumer."""
        with self.channel() as channel:
            return channel.queue_declare(queue, passive=True).method.message_count

    def take(self, queue: str, count: int = 1, seconds: float = 30.0) -> list[tuple[pika.BasicProperties, bytes]]:
        """Wait for so many messages of a queue, take them out, and return `(properties, body)` of each."""
        taken: list[tuple[pika.BasicProperties, bytes]] = []
        with self.channel() as channel:
            channel.basic_qos(prefetch_count=count)  # all of them are acknowledged at the end, so no more are sent
            for method, properties, body in channel.consume(queue, inactivity_timeout=seconds):
                assert method is not None, f"{len(taken)} of {count} messages came to {queue} in time"
                taken.append((properties, body))
                if len(taken) == count:
                    channel.basic_ack(method.delivery_tag, multiple=True)
                    channel.cancel()
                    break
        return taken


class Node(Process, RabbitMQ):
    """The node; its data outlives `kill` and `start`. One of several is told the ports of all."""

    def __init__(self, folder: Path, port: int | None = None, **env: str) -> None:
        super().__init__("RabbitMQ", port or free_port(), folder / "node.log")
        self._folder, self._env = folder, {"RABBITMQ_NODE_PORT": str(port or self.port)} | env
        self.url = f"amqp://guest:guest@127.0.0.1:{self.port}/%2f"

    def start(self) -> None:
        """Start it, and wait until it answers. Raises RabbitMissing."""
        if not self.runs:
            _program("rabbitmq-server")
            command = [PART / "broker" / "private_node", self._folder / "node"]
            self.run(command, folder=self._folder, env=self._env)
            wait_until(self.answers, 240, what="RabbitMQ answers", alive=self)  # one of several waits for others

    def answers(self) -> bool:
        """Whether it speaks AMQP."""
        with contextlib.suppress(OSError), socket.create_connection(("127.0.0.1", self.port), 1) as connection:
            connection.settimeout(2)
            connection.sendall(b"AMQP\x00\x00\x09\x01")
            return connection.recv(1) == b"\x01"
        return False

    def crash(self) -> None:
        """Kill it, with its table of queues and folders on the disk.

        RabbitMQ writes this table half a second late. A queue that was declared anew within that time before a kill can
        never be opened again: RabbitMQ looks for the old queue's folder, and answers 541 (seen with 3.10.8).
        """
        self.ctl("eval", "#{names := #{directory_rev := Table}} = ra_system:fetch(quorum_queues), dets:sync(Table).")
        self.kill()

    @contextlib.contextmanager
    def frozen(self) -> Iterator[None]:
        """Let it stand still for a while: its port accepts, and nothing is answered."""
        os.killpg(self.process.pid, signal.SIGSTOP)
        try:
            yield
        finally:
            os.killpg(self.process.pid, signal.SIGCONT)

    def ctl(self, *words: str) -> str:
        """Run rabbitmqctl and return what it said."""
        env = {
            "HOME": f"{self._folder}/node",
            "RABBITMQ_NODENAME": f"lab-{self.port}@localhost",
            "ERL_EPMD_PORT": (self._folder / "node/epmd_port").read_text().strip(),
        }
        command = [_program("rabbitmqctl"), *words]
        done = subprocess.run(command, env=os.environ | env, capture_output=True, text=True, timeout=60)
        assert done.returncode == 0, done.stdout + done.stderr
        return done.stdout

    @contextlib.contextmanager
    def alarm(self) -> Iterator[None]:
        """Let it take no messages for a while, as it does when memory or disk run out."""
        self.ctl("set_vm_memory_high_watermark", "0.00001")
        try:
            yield
        finally:
            self.ctl("set_vm_memory_high_watermark", "0.4")

    def close_connections(self) -> None:
        """Let it close every connection that there is."""
        self.ctl("close_all_connections", "the test says so")


def _program(name: str) -> str:
    """Return the path of one of RabbitMQ's programs. Raises RabbitMissing."""
    path = os.pathsep.join([*PLACES, os.environ.get("PATH", os.defpath)])
    found = shutil.which(name, path=path)
    if found is None:
        raise RabbitMissing("RabbitMQ is not installed; this installs it: apt-get install rabbitmq-server")
    return found
