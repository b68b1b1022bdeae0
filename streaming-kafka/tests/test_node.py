"""The private node after a kill: it loads the groups once, and they work again."""

import re
import subprocess
import threading
from collections import Counter
from pathlib import Path

import pytest
from broker import clients, topics
from campus.ids import new_order_id
from conftest import placed
from kafka.errors import KafkaError
from node import Node
from testing import wait_until

PART = Path(__file__).resolve().parents[1]
LOAD = re.compile(r"Scheduling loading of metadata from (__consumer_offsets-\d+)")
WORKS_SECONDS = 10.0  # after its port answers; a busy machine may add to it what it takes to do anything at all
BUSY_SECONDS = 40.0


class Reader:
    """A consumer that reads and commits all the time, over whatever client works."""

    def __init__(self, node: Node, group: str) -> None:
        self._node, self._group = node, group
        self.keys: set[str] = set()
        self._stopping = threading.Event()
        self._thread = threading.Thread(target=self._run, daemon=True)
        self._thread.start()

    def stop(self) -> None:
        self._stopping.set()
        self._thread.join(30)

    def _run(self) -> None:
        while not self._stopping.is_set():
            consumer = None
            try:
                consumer = clients.reader(self._node.bootstrap, self._group, [topics.ORDERS])
                while not self._stopping.is_set():
                    if found := clients.poll(consumer, 500):
                        consumer.commit(timeout_ms=5000)  # for that the group must work, for reading it need not
                    self.keys |= {record.key.decode() for records in found.values() for record in records}
            except (KafkaError, OSError):
                self._stopping.wait(0.2)
            finally:
                if consumer is not None:
                    clients.close(consumer)


@pytest.fixture
def own(tmp_path):
    """A node of this test's own."""
    made = Node(tmp_path)
    yield made
    made.kill()


@pytest.mark.parametrize("kills", [1, pytest.param(6, marks=[pytest.mark.long, pytest.mark.timeout(600)])])
def test_a_killed_node_loads_each_partition_of_the_groups_once_and_they_work_again(own, kills):
    own.start()
    with own.admin():  # the topics are there
        reader = Reader(own, "inventory-consumer-group")

    def works(count: int, seconds: float) -> None:
        orders = [new_order_id() for _ in range(count)]
        own.put(topics.ORDERS, *map(placed, orders))
        wait_until(lambda: reader.keys.issuperset(orders), seconds, what="the orders were read and committed")

    try:
        works(100, BUSY_SECONDS)
        for _ in range(kills):
            said = len(own.log())
            own.kill()
            own.start()
            works(1, WORKS_SECONDS + BUSY_SECONDS)
            works(100, BUSY_SECONDS)
            loads = Counter(LOAD.findall(own.log()[said:]))
            assert loads == {f"__consumer_offsets-{n}": 1 for n in range(5)}, own.last_lines()
            assert "out of sync" not in own.log()[said:]
    finally:
        reader.stop()


def first(settings: Path, libs: Path | str) -> subprocess.CompletedProcess:
    """Run controller_first by itself."""
    command = [PART / "broker" / "controller_first", settings, libs]
    return subprocess.run(command, capture_output=True, text=True, timeout=100)


def test_nothing_is_waited_for_on_a_new_node_and_after_a_clean_stop(tmp_path):
    settings = tmp_path / "server.properties"
    settings.write_text(f"node.id=1\nlog.dirs={tmp_path}/log\n")
    assert (first(settings, "none").returncode, first(settings, "none").stderr) == (0, "")
    metadata = tmp_path / "log" / "__cluster_metadata-0"
    metadata.mkdir(parents=True)
    (metadata / "00000000000000000000.log").touch()
    (tmp_path / "log" / ".kafka_cleanshutdown").touch()
    assert (first(settings, "none").returncode, first(settings, "none").stderr) == (0, "")


def test_a_controller_that_cannot_be_watched_is_said_and_holds_nothing_up(tmp_path):
    settings = tmp_path / "server.properties"
    settings.write_text(f"node.id=1\nlog.dirs={tmp_path}/log\n")
    metadata = tmp_path / "log" / "__cluster_metadata-0"
    metadata.mkdir(parents=True)
    (metadata / "00000000000000000000.log").touch()
    done = first(settings, "there are no jars")
    assert done.returncode == 0
    assert "was not seen to be fenced" in done.stderr
    assert "kafka.Kafka" in done.stderr  # what Java says of a class that it cannot find
