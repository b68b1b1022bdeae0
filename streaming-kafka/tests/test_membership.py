"""A consumer's place in its group: when it has one, who else has one, and how it comes back to it."""

import itertools
import signal
import threading
import time
from types import SimpleNamespace

import psutil
import pytest
from broker import clients, kafka_workarounds, membership, topics
from broker.membership import Membership
from campus.loop import Loop
from kafka.errors import KafkaError, KafkaTimeoutError
from kafka.structs import MemberState
from testing import free_port, wait_until

_groups = itertools.count()


@pytest.fixture
def join(node):
    """A function that makes a member of this test's group; `joined` waits until it has its place."""
    node.start()
    group, made = f"membership-{next(_groups)}", []

    def make(name: str | None, **options) -> Membership:
        made.append(Membership(node.bootstrap, group, [topics.ORDERS], name=name, **options))
        return made[-1]

    make.group = group
    yield make
    for member in made:
        member.let_go(leaves=True)


def connects(member: Membership) -> bool:
    """Try to connect, as often as a node that has just started, on a busy machine, lets it wait in vain."""
    try:
        return member.join() is not None
    except (KafkaError, OSError) as error:
        member.lose(error)
        return False


def has_place(member: Membership) -> bool:
    """Do a round, and return whether it is a member now."""
    if not connects(member):
        return False
    clients.poll(member.consumer, 500)
    return member.consumer.group_metadata().state == MemberState.STABLE


def joined(member: Membership) -> Membership:
    wait_until(lambda: has_place(member))
    return member


def ready(member: Membership) -> str:
    """Return what its check says."""
    try:
        member.check()
    except ConnectionError as error:
        return str(error)
    return "ok"


def test_it_is_ready_when_it_has_its_place_and_the_broker_answers(join, node):
    member = join("one")
    assert ready(member) == "not connected to Kafka"
    wait_until(lambda: connects(member))
    assert ready(member) == "connected to Kafka, and joining the group"
    wait_until(lambda: has_place(member) and ready(member) == "ok")
    node.signal(signal.SIGSTOP)
    try:
        assert ready(member).startswith("Kafka cannot be reached")
    finally:
        node.start()
    wait_until(lambda: has_place(member) and ready(member) == "ok")


@pytest.fixture
def clock(monkeypatch):
    made = SimpleNamespace(now=1000.0)
    monkeypatch.setattr(membership, "clock", SimpleNamespace(monotonic=lambda: made.now, sleep=lambda _: None))
    return made


def test_who_joins_for_longer_than_a_session_and_5_s_begins_anew(clock, monkeypatch):
    monkeypatch.setattr(kafka_workarounds, "is_fenced", lambda _: False)
    member = Membership("nowhere", "group", [], name="one")
    state = SimpleNamespace(state=MemberState.REBALANCING)
    member.consumer = SimpleNamespace(group_metadata=lambda: state)
    member.see()
    clock.now += clients.SESSION_MS / 1000 + 4.9
    member.see()
    clock.now += 0.2
    with pytest.raises(KafkaTimeoutError, match="not a member of group"):
        member.see()
    state.state = MemberState.STABLE
    member.see()


def test_a_member_that_was_killed_comes_back_at_once_and_alone(join, node, monkeypatch):
    monkeypatch.setattr(clients, "SESSION_MS", 300_000)  # nobody could wait for its end here
    killed = joined(join("one"))
    kafka_workarounds.within(5, killed.consumer._client.close)  # its heartbeats end, and it says nothing
    again = joined(join("one"))
    wait_until(lambda: has_place(again) and len(again.consumer.assignment()) == 6)
    assert len(node.members(join.group)) == 1


def test_one_without_a_name_that_could_not_say_that_it_leaves_is_back_at_once(join, node, monkeypatch):
    monkeypatch.setattr(clients, "SESSION_MS", 300_000)  # nobody could wait for its end here
    member = joined(join(None))
    with monkeypatch.context() as patch:
        patch.setattr(clients, "close", lambda client, **_: kafka_workarounds.within(5, client._client.close))
        member.lose(KafkaTimeoutError("the broker was away"))
    assert list(node.members(join.group).values()) == [6]
    joined(member)
    wait_until(lambda: has_place(member) and len(member.consumer.assignment()) == 6)
    assert list(node.members(join.group).values()) == [6]


def test_who_leaves_takes_its_name_with_it(join, node):
    one, other = joined(join("one")), join("other")
    wait_until(lambda: [has_place(one), has_place(other)] and sorted(node.members(join.group).values()) == [3, 3])
    one.let_go(leaves=True)
    assert len(node.members(join.group)) == 1
    wait_until(lambda: has_place(other) and len(other.consumer.assignment()) == 6)


def test_one_that_must_be_alone_stands_by_until_the_other_leaves(join, monkeypatch):
    monkeypatch.setattr(membership, "STAND_BY_SECONDS", 0.0)
    first, second = joined(join("first", alone=True)), join("second", alone=True)
    for _ in range(3):
        assert second.join() is None
        assert ready(second) == "ok"
    assert has_place(first)
    assert len(first.consumer.assignment()) == 6
    first.let_go()
    first = joined(join("first", alone=True))  # its own place is no hindrance
    first.let_go(leaves=True)
    joined(second)


def test_one_that_may_not_stand_by_is_ended_when_the_other_outlasts_a_session(join, clock):
    said = []
    first, second = joined(join("first")), join("second", alone=True, refuse=said.append)
    with pytest.raises(ConnectionError, match="has another member, first, and each has a database of its own"):
        second.join()
    assert ready(second) == "not connected to Kafka"
    assert said == []
    clock.now += clients.SESSION_MS / 1000 + 5.1
    with pytest.raises(ConnectionError):
        second.join()
    assert said[0].endswith("stop one, or give both the same PostgreSQL as DATABASE_URL")
    first.let_go(leaves=True)
    joined(second)


def test_a_name_is_that_of_the_instance_where_one_is_given(monkeypatch):
    monkeypatch.setenv("PORT", "8021")
    assert membership.instance("group").endswith("-8021")
    monkeypatch.setenv("INSTANCE", "2")
    assert membership.instance("group") == "group-2"


def read_one_round(member: Membership) -> list[bytes]:
    """Do a round as a service does it, and return what was read."""
    try:
        found = clients.poll(member.join(), 500)
        if not found:
            member.see()
    except (KafkaError, OSError) as error:
        member.lose(error)
        return []
    return [record.value for records in found.values() for record in records]


def test_a_topic_that_is_gone_is_made_again_and_read(join, node):
    member = joined(join("one"))
    with node.admin() as admin:
        admin.delete_topics([topics.ORDERS])
        wait_until(lambda: topics.ORDERS not in admin.list_topics())
        wait_until(lambda: (read_one_round(member), topics.ORDERS in admin.list_topics())[1], 60)
    wait_until(lambda: has_place(member) and len(member.consumer.assignment()) == 6)
    node.put(topics.ORDERS, b"new", partition=0)
    wait_until(lambda: b"new" in read_one_round(member))


def in_clients() -> tuple[int, int]:
    """Return how many threads and open files this process has."""
    return threading.active_count(), psutil.Process().num_fds()


@pytest.mark.parametrize("seconds", [8, pytest.param(600, marks=[pytest.mark.long, pytest.mark.timeout(700)])])
@pytest.mark.parametrize("broker", ["away", "silent"])
def test_while_there_is_no_broker_nothing_grows(seconds, broker, monkeypatch):
    monkeypatch.setattr("campus.loop.MAX_BACKOFF", 0.1)
    monkeypatch.setattr(clients, "ANSWER_SECONDS", 0.1)
    server = clients.socket.create_server(("127.0.0.1", 0))
    port = server.getsockname()[1]
    if broker == "away":
        server.close()
        port = free_port()
    member = Membership(f"127.0.0.1:{port}", "group", [topics.ORDERS], name="one")
    tries = []

    def step() -> bool:
        tries.append(1)
        try:
            member.join()
        except Exception as error:
            raise member.lose(error) from error
        return True

    loop = Loop("joining", step, idle=0.0)
    loop.start()
    try:
        wait_until(lambda: len(tries) > 3)
        before, counted, end = in_clients(), len(tries), time.monotonic() + seconds
        while time.monotonic() < end:
            threads, files = in_clients()
            assert threads <= before[0] + 1
            assert files <= before[1] + 2
            time.sleep(0.2)
        assert len(tries) > counted + 5
    finally:
        loop.stop()
        server.close()
