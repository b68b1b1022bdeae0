"""A node of three that stands still until the others take it for dead. It has a cluster of its own, used once.

RabbitMQ 3.10 does not always find its way back: its tables were "inconsistent" after this, and queues had no leader
until their nodes were restarted.
"""

import pytest
from test_cluster import cluster, load, processes, unsteady  # noqa: F401 - fixtures

pytestmark = [pytest.mark.long, pytest.mark.timeout(600)]


@unsteady
def test_a_node_that_was_taken_for_dead_finds_itself_cut_off_and_joins_the_others_again(load, cluster):  # noqa: F811
    load.goes_on()
    with cluster.frozen(1, seconds=30):
        load.goes_on()
