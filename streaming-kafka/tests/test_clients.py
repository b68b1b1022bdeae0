"""What is seen of a consumer from outside: its place in its group, and whether the broker is there."""

from types import SimpleNamespace

import pytest
from broker import clients
from kafka.errors import KafkaTimeoutError
from kafka.structs import MemberState
from rig import free_port

JOINING = MemberState.REBALANCING


def member(state: str):
    return SimpleNamespace(state=state)


@pytest.fixture
def clock(monkeypatch):
    made = SimpleNamespace(now=1000.0)
    monkeypatch.setattr(clients, "time", SimpleNamespace(monotonic=lambda: made.now))
    return made


def test_a_member_is_seen_now_and_who_is_joining_was_seen_before(clock):
    assert clients.member_since(member(MemberState.STABLE), 990.0) == 1000.0
    assert clients.member_since(member(JOINING), 990.0) == 990.0
    assert clients.member_since(member(JOINING), None) == 1000.0


def test_who_joins_for_too_long_begins_anew(clock):
    clock.now += 2 * clients.SESSION_MS / 1000 + 0.1
    with pytest.raises(KafkaTimeoutError, match="not a member"):
        clients.member_since(member(JOINING), 1000.0)


def consumer(state: str):
    return SimpleNamespace(group_metadata=lambda: member(state))


def test_a_consumer_can_work_when_the_broker_answers_and_it_is_a_member(node):
    node.start()
    clients.check(consumer(MemberState.STABLE), node.bootstrap)


def test_a_consumer_says_why_it_cannot_work(node):
    node.start()
    with pytest.raises(ConnectionError, match="not connected"):
        clients.check(None, node.bootstrap)
    with pytest.raises(ConnectionError, match="joining the group"):
        clients.check(consumer(JOINING), node.bootstrap)
    with pytest.raises(ConnectionError, match="Kafka cannot be reached"):
        clients.check(consumer(MemberState.STABLE), f"127.0.0.1:{free_port()}")
