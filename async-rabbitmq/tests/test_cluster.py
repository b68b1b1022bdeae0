"""Three nodes: what becomes of orders when one of them is killed, is slow, or comes back, and when only one is left."""

from collections.abc import Iterator

import pytest
from broker import topology
from chain import Chain
from cluster import NODES, Cluster
from testing import wait_until
from testing.load import Load
from testing.needs import started

pytestmark = [pytest.mark.long, pytest.mark.timeout(600)]


@pytest.fixture(scope="module")
def cluster(tmp_path_factory) -> Iterator[Cluster]:
    with started("RabbitMQ", Cluster(tmp_path_factory.mktemp("cluster"))) as made:
        made.restore()
        yield made


@pytest.fixture(scope="module")
def processes(tmp_path_factory, cluster) -> Iterator[Chain]:
    made = Chain(tmp_path_factory.mktemp("chain"), cluster)
    yield made
    made.down()


@pytest.fixture
def load(processes, cluster) -> Iterator["Orders"]:
    """Clients that order all the time of services on the whole cluster; in the end all is done, once."""
    cluster.start()
    processes.up()
    load = Orders(processes)
    with load.going_on():
        yield load
    cluster.start()
    processes.check()
    assert {processes.look(order_id)["status"] for order_id in load.accepted} == {"notified"}
    assert [cluster.depth(topology.dead_letters(queue)) for queue in topology.QUEUES] == [0, 0, 0]


class Orders(Load):
    """Clients that order all the time. Each order must be accepted."""

    def __init__(self, chain: Chain) -> None:
        super().__init__(chain)
        self.accepted: list[str] = []

    def order(self) -> None:
        self.accepted.append(self.chain.place())

    def goes_on(self) -> None:
        """Wait until an order of now is done, and all services say that they are well."""
        self.chain.becomes(self.chain.place(), "notified")
        self.all_are_ready()


def test_each_queue_has_three_members(cluster):
    queues = cluster.queues()
    assert set(queues) >= set(topology.QUEUES)
    assert {len(queue["members"]) for queue in queues.values()} == {3}


def test_orders_go_on_while_each_node_in_turn_is_killed_and_comes_back(load, cluster):
    for number in NODES:
        load.goes_on()
        cluster.kill(number)
        load.goes_on()
        cluster.start()


def test_orders_go_on_while_each_node_in_turn_is_restarted(load, cluster):
    for node in cluster.nodes.values():
        load.goes_on()
        node.stop()
        cluster.start()


def test_without_a_majority_orders_wait_in_the_outbox_and_are_done_afterwards(load, cluster):
    load.goes_on()
    cluster.kill(1, 2)
    wait_until(lambda: load.chain.depth() > 50, what="orders wait in the outbox")
    for service in load.chain.services:
        wait_until(lambda service=service: load.chain.why(service), what=f"{service.name} says that it is not ready")
    cluster.start()
    load.goes_on()


def test_a_node_that_stands_still_for_a_moment_is_done_without_and_goes_on(load, cluster):
    load.goes_on()
    for number in NODES:
        with cluster.frozen(number, seconds=4):
            load.goes_on()
    load.goes_on()
