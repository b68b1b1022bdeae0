"""The relay, one round at a time: what is in the outbox comes to the broker, in order, and stays until it is there."""

import threading
import time
from concurrent.futures import ThreadPoolExecutor

import pytest
from broker.publisher import Outgoing
from campus import engines, outbox
from campus.database import Database
from campus.database_errors import DatabaseDown
from campus.events import ORDER_PLACED, Event, new_event
from campus.faults import CONSUMING, Faults
from conftest import FakePublisher, LoggedDatabase
from order_service import relay as module
from order_service.relay import Relay
from testing import wait_until
from testing.fakes import ProcessKilled


def placed(n: int) -> Event:
    data = {"user_id": "u1", "items": [{"sku": "soda", "qty": 1}]}
    return new_event(ORDER_PLACED, f"o{n}", data, at=f"2026-01-31T12:00:{n:02}.000001Z")


class SlowPublisher(FakePublisher):
    """A broker that takes its time to confirm."""

    def publish(self, messages: list[Outgoing], *, timeout: float) -> list[str | None]:
        time.sleep(0.05)
        return super().publish(messages, timeout=timeout)


class Harness:
    """A relay with a fake publisher."""

    def __init__(self, database: LoggedDatabase, faults: Faults, monkeypatch) -> None:
        self.database, self.faults, self.journal = database, faults, database.journal
        self.publisher = FakePublisher(self.journal)
        monkeypatch.setattr(module, "Publisher", lambda *_: self.publisher)
        self.relay = Relay("amqp://nowhere", database=database, faults=faults)

    def step(self) -> bool:
        self.relay.wake()
        return self.relay.step()

    def put(self, *numbers: int) -> None:
        with self.database.transaction() as tx:
            for n in numbers:
                outbox.add(tx, placed(n))
        self.journal.clear()

    def depth(self) -> int:
        with self.database.transaction() as tx:
            return outbox.depth(tx)


@pytest.fixture
def harness(tmp_path, clock, monkeypatch):
    database = LoggedDatabase(f"sqlite:///{tmp_path}/order.db", outbox.metadata)
    database.journal = []
    faults = Faults(CONSUMING, points=("after_publish",), kill=clock.kill)
    yield Harness(database, faults, monkeypatch)
    database.close()


def test_a_relay_that_stands_still_in_its_turn_loses_it_and_another_goes_on(cluster, clock, monkeypatch):
    """PostgreSQL frees the lock of a transaction that was idle for too long; no clock of a service is asked."""
    monkeypatch.setattr(engines, "LONGEST_WAIT", 2.0)  # so the lock is free after 4 s, and not after 10 s
    faults, hangs, goes_on = Faults(CONSUMING, kill=clock.kill), threading.Event(), threading.Event()
    with cluster.database() as url, ThreadPoolExecutor(1) as pool:
        first, second = (Harness(_logged(url), faults, monkeypatch) for _ in range(2))
        first.put(1, 2)

        def publish(messages: list[Outgoing], *, timeout: float) -> list[str | None]:
            hangs.set()
            goes_on.wait(60)
            return FakePublisher.publish(first.publisher, messages, timeout=timeout)

        monkeypatch.setattr(first.publisher, "publish", publish)
        turn = pool.submit(first.step)
        assert hangs.wait(10)
        assert not second.step()  # not its turn
        assert second.publisher.sent == []
        wait_until(second.step, 15, what="the lock is free")
        assert second.publisher.orders == ["o1", "o2"]
        goes_on.set()
        with pytest.raises(DatabaseDown):  # its turn was over: it has published the same events again, and removed none
            turn.result()
        first.put(3)
        assert first.step()
        assert first.publisher.orders == ["o1", "o2", "o3"]
        assert first.depth() == 0
        for harness in (first, second):
            harness.database.close()


def _logged(url: str) -> LoggedDatabase:
    database = LoggedDatabase(url, outbox.metadata)
    database.journal = []
    return database


@pytest.mark.promise("b-down")
def test_the_oldest_are_published_first_and_removed_when_they_are_confirmed(harness):
    harness.put(3, 1, 2)
    assert harness.step()
    assert harness.publisher.orders == ["o1", "o2", "o3"]
    assert [(m.exchange, m.key, m.message_id) for m in harness.publisher.sent] == [
        ("orders", "order.placed", placed(n).event_id) for n in (1, 2, 3)
    ]
    assert harness.journal == ["commit", "publish", "commit"]  # read, publish, remove
    assert harness.depth() == 0


def test_an_empty_outbox_is_nothing_to_do(harness):
    assert not harness.step()
    assert harness.publisher.sent == []


def test_more_than_one_batch_is_published_without_waiting_in_between(harness, monkeypatch):
    monkeypatch.setattr(module, "BATCH", 2)
    monkeypatch.setattr(module, "IDLE_SECONDS", 3600)
    harness.put(1, 2, 3)
    harness.relay.wake()
    harness.relay.step()
    harness.relay.step()
    assert harness.publisher.orders == ["o1", "o2", "o3"]


def test_what_cannot_be_routed_stays_and_is_said(harness):
    harness.put(1, 2, 3)
    harness.publisher.troubles = {placed(2).event_id: "returned: NO_ROUTE for order.placed"}
    with pytest.raises(ConnectionError, match=r"1 events were not confirmed: returned: NO_ROUTE for order\.placed"):
        harness.step()
    assert harness.depth() == 1
    harness.publisher.troubles = {}
    harness.step()
    assert harness.publisher.orders == ["o1", "o3", "o2"]
    assert harness.depth() == 0


@pytest.mark.promise("b-down")
def test_while_the_broker_is_down_everything_stays(harness):
    harness.put(1, 2)
    harness.publisher.down = "the broker is down"
    with pytest.raises(ConnectionError, match="the broker is down"):
        harness.step()
    assert harness.depth() == 2
    harness.publisher.down = None
    harness.step()
    assert (harness.publisher.orders, harness.depth()) == (["o1", "o2"], 0)


def test_after_a_crash_between_the_confirmation_and_the_removal_the_same_events_are_published_again(harness):
    harness.put(1)
    harness.faults.configure({"crash_point": "after_publish"})
    with pytest.raises(ProcessKilled):
        harness.step()
    assert harness.depth() == 1
    harness.faults.reset()
    harness.step()
    first, second = harness.publisher.sent
    assert first == second
    assert harness.depth() == 0


def test_nothing_crashes_after_publishing_what_was_not_confirmed(harness):
    harness.put(1)
    harness.faults.configure({"crash_point": "after_publish"})
    harness.publisher.troubles = {"order.placed": "nack"}
    with pytest.raises(ConnectionError):
        harness.step()


def test_of_two_relays_on_one_postgresql_one_publishes_at_a_time_and_each_event_once(cluster, monkeypatch):
    monkeypatch.setattr(module, "BATCH", 20)
    publisher = SlowPublisher()
    monkeypatch.setattr(module, "Publisher", lambda *_: publisher)
    with cluster.database() as url:
        databases = [Database(url, outbox.metadata) for _ in range(2)]
        relays = [Relay("amqp://nowhere", database=each, faults=Faults(CONSUMING)) for each in databases]
        events = [new_event(ORDER_PLACED, f"o{n}", placed(0).data) for n in range(200)]
        with databases[0].transaction() as tx:
            for each in events:
                outbox.add(tx, each)

        def empty(relay: Relay) -> int:
            rounds = 0
            while True:
                rounds += relay.step()
                with databases[0].transaction() as tx:
                    if not outbox.depth(tx):
                        return rounds

        with ThreadPoolExecutor(2) as pool:
            rounds = list(pool.map(empty, relays))
        for database in databases:
            database.close()
    assert publisher.orders == [each.order_id for each in events]
    assert sum(rounds) == 10
