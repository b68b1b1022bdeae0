"""The relay, one round at a time: what is in the outbox comes to the broker, in order, and stays until it is there."""

import time
from concurrent.futures import ThreadPoolExecutor

import pytest
from broker.publisher import Outgoing
from campus.database import Database
from campus.faults import CONSUMING, Faults
from campus.messages import ORDER_PLACED, Message, event
from campus.outbox import Outbox
from conftest import Died, FakePublisher, LoggedDatabase
from order_service import relay as module
from order_service.relay import Relay
from sqlalchemy import MetaData

metadata = MetaData()
outbox = Outbox(metadata)


def placed(n: int) -> Message:
    data = {"user_id": "u1", "items": [{"sku": "soda", "qty": 1}]}
    return event(ORDER_PLACED, f"o{n}", data, at=f"2026-01-31T12:00:{n:02}.000001Z")


class SlowPublisher(FakePublisher):
    """A broker that takes its time to confirm."""

    def publish(self, messages: list[Outgoing], *, timeout: float) -> list[str | None]:
        time.sleep(0.05)
        return super().publish(messages, timeout=timeout)


class Bench:
    """A relay with a fake publisher."""

    def __init__(self, database: LoggedDatabase, faults: Faults) -> None:
        self.database, self.faults, self.journal = database, faults, database.journal
        self.publisher = FakePublisher(self.journal)
        self.relay = Relay(database=database, outbox=outbox, publisher=self.publisher, faults=faults)

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
def bench(tmp_path, world):
    database = LoggedDatabase(f"sqlite:///{tmp_path}/order.db", metadata)
    database.journal = []
    faults = Faults(CONSUMING, points=("after_publish",), kill=world.die)
    yield Bench(database, faults)
    database.close()


def test_the_oldest_are_published_first_and_removed_when_they_are_confirmed(bench):
    bench.put(3, 1, 2)
    assert bench.step()
    assert bench.publisher.orders == ["o1", "o2", "o3"]
    assert [(m.exchange, m.key, m.message_id) for m in bench.publisher.sent] == [
        ("orders", "order.placed", placed(n).event_id) for n in (1, 2, 3)
    ]
    assert bench.journal == ["commit", "publish", "commit"]  # read, publish, remove
    assert bench.depth() == 0


def test_an_empty_outbox_is_nothing_to_do(bench):
    assert not bench.step()
    assert bench.publisher.sent == []


def test_more_than_one_batch_is_published_without_waiting_in_between(bench, monkeypatch):
    monkeypatch.setattr(module, "BATCH", 2)
    monkeypatch.setattr(module, "IDLE_SECONDS", 3600)
    bench.put(1, 2, 3)
    bench.relay.wake()
    bench.relay.step()
    bench.relay.step()
    assert bench.publisher.orders == ["o1", "o2", "o3"]


def test_what_cannot_be_routed_stays_and_is_said(bench):
    bench.put(1, 2, 3)
    bench.publisher.troubles = {placed(2).event_id: "returned: NO_ROUTE for order.placed"}
    with pytest.raises(ConnectionError, match=r"1 events were not confirmed: returned: NO_ROUTE for order\.placed"):
        bench.step()
    assert bench.depth() == 1
    bench.publisher.troubles = {}
    bench.step()
    assert bench.publisher.orders == ["o1", "o3", "o2"]
    assert bench.depth() == 0


def test_while_the_broker_is_down_everything_stays(bench):
    bench.put(1, 2)
    bench.publisher.down = "the broker is down"
    with pytest.raises(ConnectionError, match="the broker is down"):
        bench.step()
    assert bench.depth() == 2
    bench.publisher.down = None
    bench.step()
    assert (bench.publisher.orders, bench.depth()) == (["o1", "o2"], 0)


def test_after_a_crash_between_the_confirmation_and_the_removal_the_same_events_are_published_again(bench):
    bench.put(1)
    bench.faults.configure({"crash_point": "after_publish"})
    with pytest.raises(Died):
        bench.step()
    assert bench.depth() == 1
    bench.faults.reset()
    bench.step()
    first, second = bench.publisher.sent
    assert first == second
    assert bench.depth() == 0


def test_nothing_crashes_after_publishing_what_was_not_confirmed(bench):
    bench.put(1)
    bench.faults.configure({"crash_point": "after_publish"})
    bench.publisher.troubles = {"order.placed": "nack"}
    with pytest.raises(ConnectionError):
        bench.step()


def test_of_two_relays_on_one_postgresql_one_publishes_at_a_time_and_each_event_once(cluster, monkeypatch):
    monkeypatch.setattr(module, "BATCH", 20)
    publisher = SlowPublisher()
    with cluster.database() as url:
        databases = [Database(url, metadata) for _ in range(2)]
        relays = [
            Relay(database=each, outbox=outbox, publisher=publisher, faults=Faults(CONSUMING)) for each in databases
        ]
        events = [event(ORDER_PLACED, f"o{n}", placed(0).data) for n in range(200)]
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
