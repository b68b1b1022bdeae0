"""A Kafka node for the tests: the part's own `broker/private_node` on free ports, and what is done to it."""

import contextlib
import os
import signal
import socket
import subprocess
from pathlib import Path

from kafka import KafkaConsumer, KafkaProducer
from lab import brokers
from rig import free_port, wait_until

PART = Path(__file__).resolve().parents[1]


class Node:
    """The node; its data outlives `kill` and `start`."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self.port, self._inside = _free_pair(), free_port()
        self.bootstrap = f"127.0.0.1:{self.port}"
        self._process: subprocess.Popen | None = None

    def start(self) -> None:
        """Start it, and wait until it answers."""
        if self._process is not None and self._process.poll() is None:
            return
        brokers.install("kafka")
        env = {"KAFKA_PORT": str(self.port), "KAFKA_INSIDE_PORT": str(self._inside)}
        with (self._folder / "node.log").open("a") as log:
            self._process = subprocess.Popen(
                [PART / "broker" / "private_node", self._folder / "node"],
                env=os.environ | env,
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                start_new_session=True,
            )
        wait_until(self._answers, 90)

    def kill(self) -> None:
        """Kill it at once."""
        if self._process is not None and self._process.poll() is None:
            os.killpg(self._process.pid, signal.SIGKILL)
            self._process.wait(10)

    def put(self, topic: str, *bodies: bytes) -> None:
        """Write messages straight into a topic."""
        with contextlib.closing(KafkaProducer(bootstrap_servers=self.bootstrap)) as producer:
            for body in bodies:
                producer.send(topic, value=body, key=b"k")
            producer.flush(10)

    def read(self, topic: str) -> list:
        """Return every committed record of a topic, from its beginning."""
        consumer = KafkaConsumer(
            topic,
            bootstrap_servers=self.bootstrap,
            auto_offset_reset="earliest",
            isolation_level="read_committed",
            enable_auto_commit=False,
            consumer_timeout_ms=1500,
        )
        with contextlib.closing(consumer):
            return list(consumer)

    def _answers(self) -> bool:
        assert self._process is not None
        assert self._process.poll() is None, (self._folder / "node.log").read_text()[-1500:]
        with contextlib.suppress(OSError), socket.create_connection(("127.0.0.1", self.port), 1) as connection:
            hello, reply = brokers.HELLO["kafka"]
            connection.sendall(hello)
            connection.settimeout(2)
            return connection.recv(len(reply)) == reply
        return False


def _free_pair() -> int:
    """Return a port that is free, as is the one above it, where the controller listens."""
    while True:
        port = free_port()
        with contextlib.suppress(OSError), socket.create_server(("127.0.0.1", port + 1)):
            return port
