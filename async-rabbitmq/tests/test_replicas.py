"""Two of each service on one broker and one PostgreSQL: what is killed or frozen is done without."""

import os
import signal
from collections.abc import Iterator

import pytest
from chain import NAMES, Chain
from testing import wait_until

pytestmark = pytest.mark.timeout(400)  # six services start


@pytest.fixture
def replicas(tmp_path, running, broker, cluster) -> Iterator[list[Chain]]:
    """Each service twice, all up and well; in the end everything must agree."""
    running.down()  # the queues are not for both
    with cluster.database() as order, cluster.database() as inventory, cluster.database() as notification:
        databases = dict(zip(NAMES, (order, inventory, notification), strict=True))
        chains = []
        for number in (1, 2):
            (tmp_path / str(number)).mkdir()
            chains.append(Chain(tmp_path / str(number), broker, databases, INSTANCE=str(number)))
        for chain in chains:
            for service in chain.services:
                service.start()
        try:
            for chain in chains:
                chain.up()
            yield chains
            for chain in chains:
                chain.up()
                chain.check()
        finally:
            for chain in chains:
                chain.down()


def done_by(chain: Chain, other: Chain, service: str) -> list[float]:
    """Return how many messages each of the two replicas has done."""
    outcome = 'outcome="done"'
    return [
        sum(
            float(line.rpartition(" ")[2])
            for line in getattr(replica, service).call("GET", "/metrics").data.decode().splitlines()
            if line.startswith("messages_total") and outcome in line
        )
        for replica in (chain, other)
    ]


def test_two_of_each_share_the_work_and_the_others_go_on_when_one_of_each_is_killed(replicas):
    first, second = replicas
    for chain in replicas:
        chain.inventory.configure(throttle=0.02)  # one of them alone would be behind
    placed = [chain.place() for _ in range(30) for chain in replicas]
    wait_until(lambda: all(done_by(first, second, "inventory")))
    assert sorted(map(bool, done_by(first, second, "order"))) == [False, True]  # the projection of one stands by
    for service in first.services:
        service.kill()
    for order_id in [*placed, *(second.place() for _ in range(20))]:
        second.becomes(order_id, "notified")


@pytest.mark.long
def test_a_relay_that_stands_still_or_dies_in_its_turn_is_followed_by_the_other(replicas):
    first, second = replicas
    for stop, go_on in ((signal.SIGSTOP, signal.SIGCONT), (signal.SIGKILL, None)):
        first.node.kill()  # what is accepted now waits in the outbox, for whichever relay has its turn
        placed = [chain.place() for _ in range(10) for chain in replicas]
        os.killpg(first.order.process.pid, stop)
        first.node.start()
        for order_id in placed:
            second.becomes(order_id, "notified")
        if go_on:
            os.killpg(first.order.process.pid, go_on)
            wait_until(first.order.ready)
