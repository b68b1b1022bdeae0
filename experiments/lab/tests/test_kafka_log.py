"""A fault of Kafka's that it does not get over is seen in its log, until it was started again."""

import pytest
from lab.brokers import kafka_client

START = "2026-11-26T23:44:00,000 WARN [QuorumController id=1] Performing controller activation. (QuorumController)"
LOST = (
    "2026-11-26T23:44:16,361 ERROR [GroupCoordinator id=1] The state machine of the coordinator __consumer_offsets-3 "
    "is out of sync with the underlying log. The last written offset returned is 500003 while it expected 1. "
    "The coordinator will be reloaded in order to re-synchronize the state machine. (CoordinatorRuntime)"
)


@pytest.mark.parametrize(
    ("lines", "is_wrong"), [([START], False), ([START, LOST], True), ([LOST], True), ([START, LOST, START], False)]
)
def test_groups_that_do_not_work_are_seen_with_the_cure(lines, is_wrong):
    said = kafka_client.fault_in("\n".join(lines))
    assert (said is not None) == is_wrong
    if is_wrong:
        assert "./lab stop kafka && ./lab start kafka" in said
