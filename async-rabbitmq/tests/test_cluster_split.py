"""A node of three that stands still until the others take it for dead. It has a cluster of its own, used once.

It does not see that it was away, so its tables differ from those of the others ("inconsistent database"), and RabbitMQ
with Mnesia does not mend that: nodes must not be suspended, and one that was has to be restarted
(https://www.rabbitmq.com/docs/partitions#suspend).
"""

import threading

import pytest
from test_cluster import cluster, load, processes  # noqa: F401 - fixtures

pytestmark = [pytest.mark.long, pytest.mark.timeout(600)]
DEAD_SECONDS = 30  # more than net_ticktime, after which the others take it for dead
AWAKE_SECONDS = 5


def test_a_node_that_was_taken_for_dead_wakes_and_is_restarted_and_joins_the_others_again(load, cluster):  # noqa: F811
    load.goes_on()
    with cluster.nodes[1].frozen():
        threading.Event().wait(DEAD_SECONDS)
        load.goes_on()
    threading.Event().wait(AWAKE_SECONDS)  # whatever it does meanwhile may harm no order
    cluster.kill(1)
    cluster.start()
    load.goes_on()
