"""Three Kafka nodes that are one cluster, and what is done to them."""

import contextlib
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

from kafka.errors import KafkaError
from node import Kafka, Node
from testing import free_port, wait_until

NODES = (1, 2, 3)


class Cluster(Kafka):
    """The nodes, by their numbers; each topic has a copy on each of them."""

    def __init__(self, folder: Path) -> None:
        controllers = {number: free_port() for number in NODES}
        voters = ",".join(f"{number}@127.0.0.1:{port}" for number, port in controllers.items())
        self.nodes: dict[int, Node] = {}
        for number, port in controllers.items():
            (folder / str(number)).mkdir()
            env = {"KAFKA_NODE_ID": str(number), "KAFKA_CONTROLLER_PORT": str(port), "KAFKA_VOTERS": voters}
            self.nodes[number] = Node(folder / str(number), KAFKA_HEAP="256m", **env)
        self.bootstrap = ",".join(node.bootstrap for node in self.nodes.values())

    def start(self) -> None:
        """Start what does not run, all at once, and wait until each topic has all of its copies."""
        with ThreadPoolExecutor(len(self.nodes)) as pool:
            list(pool.map(Node.start, self.nodes.values()))
        wait_until(self.is_whole, 120, what="each partition has three copies that agree")

    def kill(self, *numbers: int) -> None:
        """Kill these nodes, or all."""
        for number in numbers or NODES:
            self.nodes[number].kill()

    def is_whole(self) -> bool:
        """Whether each partition of each topic is in sync on every node."""
        with contextlib.suppress(KafkaError, OSError), self.admin() as admin:
            partitions = [p for topic in admin.describe_topics(list(admin.list_topics())) for p in topic["partitions"]]
            return all(sorted(p["isr_nodes"]) == [*NODES] for p in partitions)
        return False

    def leader(self, topic: str, partition: int) -> int:
        """Return the number of the node that leads this partition."""

        def found() -> int | None:
            with contextlib.suppress(KafkaError, OSError), self.admin() as admin:
                (described,) = admin.describe_topics([topic])
                return next(p["leader_id"] for p in described["partitions"] if p["partition_index"] == partition)
            return None

        return wait_until(lambda: (number := found()) in NODES and number)
