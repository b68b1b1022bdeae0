"""Three nodes: what becomes of orders when one of them is killed, frozen, or comes back, and when only one is left."""

import collections
import contextlib
import os
import signal
import threading
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor

import pytest
from broker import topics
from broker.producer import BrokerDown, Producer
from campus.events import partition_of
from campus.ids import new_order_id
from cluster import NODES, Cluster
from conftest import placed
from kafka.errors import KafkaError
from test_chain import Chain
from testing import wait_until
from testing.load import Load
from testing.needs import started

pytestmark = [pytest.mark.long, pytest.mark.timeout(600)]


@pytest.fixture(scope="module")
def cluster(tmp_path_factory) -> Iterator[Cluster]:
    with started("Kafka", Cluster(tmp_path_factory.mktemp("cluster"))) as made:
        yield made


@pytest.fixture(scope="module")
def processes(tmp_path_factory, cluster) -> Iterator[Chain]:
    made = Chain(tmp_path_factory.mktemp("chain"), cluster)
    yield made
    made.down()


@pytest.fixture
def chain(processes) -> Iterator["Orders"]:
    """The services on the whole cluster, while clients order; in the end all that was accepted is done, once."""
    processes.up()
    load = Orders(processes)
    with load.going_on():
        yield load
    load.check()


def connects(producer: Producer) -> bool:
    """Do one round of the loop that connects, and return whether something can be sent."""
    with contextlib.suppress(OSError, KafkaError):
        producer.step()
        producer.check()
        return True
    return False


class Orders(Load):
    """Clients that order all the time, and what they were answered."""

    def __init__(self, chain: Chain) -> None:
        super().__init__(chain)
        self.answers: dict[int, list[str]] = collections.defaultdict(list)

    def order(self) -> None:
        answer = self.chain.order.call("POST", "/order", {"item": "burger", "qty": 1, "user_id": "u1"})
        self.answers[answer.status].append(answer.json().get("order_id"))

    def goes_on(self) -> None:
        """Wait until orders are accepted and done again, and all services say that they are well."""
        before = len(self.answers[202])
        wait_until(lambda: len(self.answers[202]) > before + 10, 60, what="orders are accepted")
        self.chain.becomes(self.answers[202][-1], "notified")
        self.all_are_ready()

    def check(self) -> None:
        """All that was accepted, and all of which the outcome was open, is notified; each has one verdict."""
        assert set(self.answers) <= {202, 503, 504}
        happened = self.answers[202] + self.answers[504]
        for order_id in happened:
            self.chain.becomes(order_id, "notified")
        assert self.chain.verdicts(*happened) == sorted(happened)
        assert not {record.key.decode() for record in self.chain.node.read(topics.ORDERS)} & {*self.answers[503]}
        assert self.chain.node.read(topics.DEAD_LETTERS) == []


def test_each_topic_also_kafkas_own_has_three_copies_of_which_two_must_be_there(cluster):
    cluster.skip("any-group")  # a first commit makes the topic of all groups' offsets
    with cluster.admin() as admin:
        names = [*topics.PARTITIONS, "__consumer_offsets"]
        for topic in admin.describe_topics(names):
            assert {len(partition["replica_nodes"]) for partition in topic["partitions"]} == {3}


def test_orders_go_on_while_each_node_in_turn_is_killed_and_comes_back(chain, cluster):
    for number in NODES:
        chain.goes_on()
        cluster.kill(number)
        chain.goes_on()
        cluster.start()


def test_orders_go_on_while_each_node_in_turn_is_restarted(chain, cluster):
    for node in cluster.nodes.values():
        chain.goes_on()
        node.stop()
        cluster.start()


def test_without_a_majority_orders_are_refused_and_afterwards_accepted_again(chain, cluster):
    chain.goes_on()
    cluster.kill(1, 2)
    before = len(chain.answers[503])
    wait_until(lambda: len(chain.answers[503]) > before + 20, what="orders are refused")
    accepted = len(chain.answers[202])
    for service in chain.chain.services:
        wait_until(lambda service=service: not service.ready(), what=f"{service.name} says that it is not ready")
    assert len(chain.answers[202]) == accepted
    cluster.start()
    chain.goes_on()


@pytest.mark.parametrize("seconds", [4, 20], ids=["slow", "split"])
def test_a_node_that_stands_still_is_done_without_and_taken_back(chain, cluster, seconds):
    """After 2 s the controllers take it for dead, as one that is cut off; what no other has of it is thrown away."""
    chain.goes_on()
    node = cluster.nodes[cluster.leader(topics.ORDERS, 0)]
    node.signal(signal.SIGSTOP)
    resumed = threading.Timer(seconds, lambda: os.killpg(node.process.pid, signal.SIGCONT))
    resumed.start()
    try:
        chain.goes_on()
    finally:
        resumed.join()
    cluster.start()
    chain.goes_on()


def test_a_node_that_comes_back_with_an_old_log_reads_what_it_missed_before_it_leads(cluster):
    cluster.start()
    first, *others = NODES
    cluster.kill(first)
    orders = [new_order_id() for _ in range(2000)]
    wait_until(lambda: cluster.leader(topics.ORDERS, 0) != first)
    cluster.put(topics.ORDERS, *map(placed, orders))
    cluster.start()
    for number in others:  # now the other copies are away, one by one
        cluster.kill(number)
        wait_until(lambda number=number: all(cluster.leader(topics.ORDERS, n) != number for n in range(6)))
        assert len(cluster.read(topics.ORDERS, *orders)) == 2000
        cluster.start()


def test_a_leader_killed_between_send_and_acknowledgement_leaves_the_outcome_open(cluster):
    cluster.start()
    producer = Producer(cluster.bootstrap)
    wait_until(lambda: connects(producer))
    event = next(e for e in map(placed, iter(new_order_id, "")) if partition_of(e.order_id.encode(), 6) == 0)
    leader = cluster.leader(topics.ORDERS, 0)
    followers = [node for number, node in cluster.nodes.items() if number != leader]
    for node in followers:
        node.signal(signal.SIGSTOP)  # they copy nothing, so the leader may not acknowledge
    with ThreadPoolExecutor(1) as pool:
        sent = pool.submit(producer.publish, [event])
        wait_until(lambda: sent.running())
        threading.Event().wait(0.5)
        cluster.kill(leader)
        for node in followers:
            os.killpg(node.process.pid, signal.SIGCONT)
        (trouble,) = sent.result()
    while trouble:  # as the order publisher does it, until Kafka acknowledges
        wait_until(lambda: connects(producer), 60)
        with contextlib.suppress(BrokerDown):
            (trouble,) = producer.publish([event])
    producer.stop()
    cluster.start()
    bodies = {record.value for record in cluster.read(topics.ORDERS, event.order_id)}
    assert bodies == {event.encode()}
