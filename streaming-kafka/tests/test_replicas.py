"""Two order services on one broker and one PostgreSQL: the second goes on with what the first has left."""

from collections.abc import Iterator

import pytest
import urllib3
from test_chain import PART, Chain
from testing import Service, wait_until

GROUP = "order-status-group"
pytestmark = pytest.mark.timeout(400)  # Kafka and four services start
ORDER = {"item": "burger", "qty": 1, "user_id": "u1"}


@pytest.fixture
def both(tmp_path, node, cluster) -> Iterator[tuple[Chain, Service]]:
    """The chain, and a second order service on the database of its own; all are up and well."""
    node.start()
    for group in ("inventory-consumer-group", "notification-consumer-group", GROUP):
        node.evict(group)
        node.skip(group)
    (tmp_path / "2").mkdir()
    with cluster.database() as url:
        chain = Chain(tmp_path, node, {"order": url})
        env = {name: value for name, value in chain.order.env.items() if name != "PORT"}
        second = Service(PART, "order", tmp_path / "2", package="producer_order", **env, INSTANCE="2")
        try:
            chain.up()
            second.start()
            wait_until(second.ready, 60, alive=second)
            yield chain, second
        finally:
            chain.down()
            second.kill()


def test_the_second_order_service_works_too_and_takes_over_from_the_first(both):
    chain, second = both
    assert len(chain.node.members(GROUP)) == 1  # the projection of one stands by
    placed = [chain.place() for _ in range(5)]
    placed += [second.call("POST", "/order", ORDER).json()["order_id"] for _ in range(5)]
    chain.order.configure(crash_point="after_commit")  # its last order is stored, and not published
    with pytest.raises(urllib3.exceptions.HTTPError):
        chain.order.call("POST", "/order", ORDER)
    chain.order.kill()
    known = {order["order_id"] for order in second.call("GET", "/orders?limit=1000").json()["orders"]}
    (left,) = known - {*placed}
    chain.order = second
    for order_id in (*placed, left):
        chain.becomes(order_id, "notified")
    assert chain.verdicts(*placed, left) == sorted([*placed, left])
