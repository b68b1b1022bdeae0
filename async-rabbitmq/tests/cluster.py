"""Three RabbitMQ nodes that are one cluster, and what is done to them."""

import contextlib
import json
import os
import signal
import subprocess
import threading
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

from node import QUEUES, Node, RabbitMQ
from testing import free_port, wait_until

NODES = (1, 2, 3)


class Cluster(RabbitMQ):
    """The nodes, by their numbers; each queue has a member on each of them."""

    def __init__(self, folder: Path) -> None:
        ports = {number: free_port() for number in NODES}
        env = {"RABBITMQ_CLUSTER": " ".join(map(str, ports.values())), "EPMD_PORT": str(free_port())}
        self.nodes: dict[int, Node] = {}
        for number, port in ports.items():
            (folder / str(number)).mkdir()
            self.nodes[number] = Node(folder / str(number), port, RABBITMQ_ERLANG_COOKIE="campus-lab", **env)
        self.url = ",".join(node.url for node in self.nodes.values())

    def start(self) -> None:
        """Start what does not run, all at once, and wait until all are one cluster, with all members of each queue."""
        with ThreadPoolExecutor(len(self.nodes)) as pool:
            list(pool.map(Node.start, self.nodes.values()))
        wait_until(self.is_whole, 240, what="each queue has three members, and all of them are there")

    def kill(self, *numbers: int) -> None:
        """Kill these nodes, or all."""
        for number in numbers or NODES:
            self.nodes[number].kill()

    @contextlib.contextmanager
    def frozen(self, number: int, *, seconds: float) -> Iterator[None]:
        """Let a node stand still for so long; in the end wait until all are one cluster again."""
        node = self.nodes[number]
        os.killpg(node.process.pid, signal.SIGSTOP)
        resumed = threading.Timer(seconds, lambda: os.killpg(node.process.pid, signal.SIGCONT))
        resumed.start()
        try:
            yield
        finally:
            resumed.join()
        wait_until(self.is_whole, 60, what="all nodes are one cluster again")

    def is_whole(self) -> bool:
        """Whether every node runs, and every queue has a member on every node, or there are no queues yet."""
        queues = self.queues()
        if queues is None or len(queues) not in (0, len(QUEUES)):
            return False
        return all(len(q["online"]) == len(q["members"]) == len(NODES) for q in queues.values())

    def queues(self) -> dict[str, dict] | None:
        """Return leader, members and members that are there of each queue by its name, None while none can say."""
        for node in self.nodes.values():
            with contextlib.suppress(AssertionError, OSError, ValueError, subprocess.TimeoutExpired):
                words = "list_queues", "--formatter", "json", "-q", "name", "leader", "members", "online"
                queues = {queue["name"]: queue for queue in json.loads(node.ctl(*words))}
                return {name: queues[name] for name in QUEUES if name in queues}
        return None
