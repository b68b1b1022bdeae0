"""A consumer's work, one round at a time: its consumer and publisher are fakes, its database is real."""

import json
from collections.abc import Callable
from types import SimpleNamespace

import pytest
from broker import worker as module
from broker.worker import BATCH, MAX_RETURNS, Worker
from campus.database import DatabaseDown
from campus.events import INVENTORY_RESERVED, NOTIFICATION_SENT, Event, new_event
from campus.faults import CONSUMING, Faults
from campus.notifications import metadata
from campus.orders import IllegalTransition
from campus.retry import HISTORY, REASON, RETRY_SECONDS
from conftest import FakeConsumer, FakePublisher, LoggedDatabase
from prometheus_client import CollectorRegistry
from testing.fakes import FakeClock, ProcessKilled

DATA = {"user_id": "u1", "items": [{"sku": "soda", "qty": 1}]}


def reserved(order_id: str) -> Event:
    return new_event(INVENTORY_RESERVED, order_id, DATA, at="2026-01-31T12:00:00.000001Z")


class Harness:
    """A worker between fakes. Work on orders in `broken` raises; on others it notes the order and tells of it."""

    def __init__(self, database: LoggedDatabase, clock: FakeClock, monkeypatch) -> None:
        self.journal = database.journal
        self.consumer = FakeConsumer("work", self.journal)
        self.publisher = FakePublisher(self.journal)
        self.faults = Faults(
            CONSUMING,
            points=("before_commit", "after_commit", "after_publish"),
            sleep=clock.sleep,
            clock=lambda: clock.now,
            kill=clock.kill,
        )
        self.broken: set[str] = set()
        self.why: Exception = ValueError("it is broken")
        self.batches: list[list[str]] = []
        self.refusals: dict[str, str | None] = {}
        self.registry = CollectorRegistry()
        monkeypatch.setattr(module, "Consumer", lambda *_, **__: self.consumer)
        monkeypatch.setattr(module, "Publisher", lambda *_: self.publisher)
        self.make: Callable[..., Worker] = lambda **more: Worker(
            "amqp://nowhere",
            "test",
            queue="work",
            expects=[INVENTORY_RESERVED],
            handle=self.handle,
            database=database,
            faults=self.faults,
            **{"registry": self.registry} | more,
        )
        self.worker = self.make()
        self.step = self.worker.step

    def handle(self, _tx, work_items) -> list[Event]:
        orders = [item.event.order_id for item in work_items]
        self.batches.append(orders)
        self.journal.append("work")
        if self.broken & set(orders):
            raise self.why
        self.refusals |= {item.event.order_id: item.refusal for item in work_items}
        return [new_event(NOTIFICATION_SENT, order, {"user_id": "u1"}) for order in orders]

    def put(self, *orders: str) -> list[int]:
        return [self.consumer.put(reserved(order)) for order in orders]

    def count(self, outcome: str) -> float:
        return self.registry.get_sample_value("messages_total", {"queue": "work", "outcome": outcome}) or 0

    @property
    def sent(self) -> list[SimpleNamespace]:
        """What was published, each with its headers decoded."""
        return [
            SimpleNamespace(
                key=m.key,
                exchange=m.exchange,
                body=m.body,
                reason=m.headers.get(REASON),
                history=json.loads(m.headers.get(HISTORY, "[]")),
            )
            for m in self.publisher.sent
        ]


@pytest.fixture
def harness(tmp_path, clock, monkeypatch):
    database = LoggedDatabase(f"sqlite:///{tmp_path}/work.db", metadata)
    database.journal = []
    yield Harness(database, clock, monkeypatch)
    database.close()


def test_a_batch_is_one_transaction_then_published_then_acknowledged(harness):
    tags = harness.put("o1", "o2", "o3")
    assert harness.step()
    assert harness.journal == ["work", "commit", "publish", "ack"]
    assert harness.batches == [["o1", "o2", "o3"]]
    assert harness.publisher.keys == ["notification.sent"] * 3
    assert harness.publisher.orders == ["o1", "o2", "o3"]
    assert (harness.consumer.acked, harness.consumer.all_before) == (tags, [True])
    assert harness.count("done") == 3


def test_without_messages_there_is_nothing_to_do(harness):
    assert not harness.step()
    assert harness.journal == []


def test_a_batch_has_a_limit(harness):
    harness.put(*(f"o{n}" for n in range(BATCH + 1)))
    harness.step()
    harness.step()
    assert harness.consumer.taken == [BATCH, 1]


@pytest.mark.promise("poison")
def test_poison_is_dead_lettered_at_once_with_its_reason_and_the_others_are_done(harness):
    harness.put("o1")
    harness.consumer.put(b"{not json")
    harness.consumer.put(new_event(NOTIFICATION_SENT, "o9", {"user_id": "u1"}))
    harness.put("o2")
    harness.step()
    assert harness.batches == [["o1", "o2"]]
    letters = [m for m in harness.sent if m.key == "work.dlq"]
    assert [(m.exchange, m.body[:9]) for m in letters] == [("", b"{not json"), ("", b'{"event_i')]
    assert letters[0].reason.startswith("this is not JSON")
    assert letters[1].reason.startswith("NotificationSent is not expected here")
    assert sorted(harness.consumer.acked) == [1, 2, 3, 4]
    assert (harness.count("dead_lettered"), harness.count("done"), harness.count("retried")) == (2, 2, 0)


@pytest.mark.promise("retries")
def test_a_failing_message_waits_longer_each_time_and_is_then_dead_lettered_with_its_history(harness):
    harness.broken = {"o1"}
    headers: dict = {}
    for seconds in RETRY_SECONDS:
        harness.consumer.put(reserved("o1"), **headers)
        harness.step()
        assert harness.sent[-1].key == f"work.retry-{seconds}s"
        headers = harness.publisher.sent[-1].headers
    harness.consumer.put(reserved("o1"), **headers)
    harness.step()
    last = harness.sent[-1]
    assert (last.key, last.body) == ("work.dlq", reserved("o1").encode())
    assert last.reason == "failed 5 times, last: ValueError: it is broken"
    assert [failure["why"] for failure in last.history] == ["ValueError: it is broken"] * 5
    assert [failure["at"] for failure in last.history] == sorted(failure["at"] for failure in last.history)
    assert harness.consumer.acked == [1, 2, 3, 4, 5]
    assert (harness.count("retried"), harness.count("dead_lettered")) == (4, 1)


@pytest.mark.parametrize("history", ["{", "{}", "7", 7, None, ["x"], b"\xff"])
def test_a_history_that_is_none_of_ours_is_taken_for_the_first_failure(harness, history):
    harness.broken = {"o1"}
    harness.consumer.put(reserved("o1"), **{HISTORY: history})
    harness.step()
    assert (harness.sent[-1].key, len(harness.sent[-1].history)) == ("work.retry-1s", 1)


def test_a_failing_message_does_not_harm_the_others_of_its_batch(harness):
    harness.broken = {"o2"}
    harness.put("o1", "o2", "o3")
    harness.step()
    assert harness.batches == [["o1", "o2", "o3"], ["o1"], ["o2"], ["o3"]]
    assert harness.publisher.keys == ["notification.sent", "work.retry-1s", "notification.sent"]
    assert sorted(harness.consumer.acked) == [1, 2, 3]
    assert harness.count("done") == 2


def test_an_event_that_is_not_confirmed_is_published_again_and_nothing_is_acknowledged_before(harness):
    harness.put("o1", "o2")
    on_lost = new_event(NOTIFICATION_SENT, "o2", {}).event_id
    harness.publisher.troubles = {on_lost: "returned: NO_ROUTE for notification.sent"}
    for _ in range(2):
        with pytest.raises(ConnectionError, match=r"1 messages were not confirmed: returned: NO_ROUTE"):
            harness.step()
    assert harness.consumer.acked == []
    harness.publisher.troubles = {}
    assert harness.step()
    assert harness.publisher.orders == ["o1", "o2"]  # and o1 was not published again
    assert (harness.consumer.acked, harness.batches) == ([1, 2], [["o1", "o2"]])


def test_while_the_broker_is_down_no_new_messages_are_taken(harness):
    harness.put("o1")
    harness.publisher.down = "the broker is down"
    for _ in range(3):
        with pytest.raises(ConnectionError, match="the broker is down"):
            harness.step()
    harness.put("o2")
    harness.publisher.down = None
    harness.step()
    assert harness.batches == [["o1"]]
    harness.step()
    assert harness.batches == [["o1"], ["o2"]]
    assert harness.consumer.acked == [1, 2]


def test_poison_that_cannot_be_dead_lettered_is_not_acknowledged(harness):
    harness.consumer.put(b"{not json")
    harness.publisher.troubles = {"work.dlq": "RabbitMQ refused it (nack)"}
    with pytest.raises(ConnectionError, match="nack"):
        harness.step()
    assert harness.consumer.acked == []


def test_a_hanging_message_is_held_and_let_go_after_the_reset(harness):
    harness.faults.configure({"failure_mode": "hang", "failure_rate": 1})
    harness.put("o1", "o2")
    harness.step()
    assert (harness.batches, harness.consumer.acked, harness.publisher.sent) == ([], [], [])
    harness.faults.reset()
    harness.step()
    assert (harness.batches, harness.consumer.acked, harness.consumer.all_before) == ([["o1", "o2"]], [1, 2], [True])


def test_while_something_is_held_each_of_the_others_is_acknowledged_by_itself(harness):
    harness.faults.configure({"failure_mode": "hang", "failure_rate": 0.5, "seed": 2})
    harness.put(*(f"o{n}" for n in range(20)))
    harness.step()
    done = list(harness.consumer.acked)
    assert 0 < len(done) < 20
    assert harness.consumer.all_before == [False]
    harness.faults.reset()
    harness.step()
    assert sorted(harness.consumer.acked) == list(range(1, 21))
    assert harness.consumer.all_before == [False, True]


def test_what_was_held_over_a_lost_connection_is_left_to_come_again(harness):
    harness.faults.configure({"failure_mode": "hang", "failure_rate": 1})
    harness.put("o1")
    harness.step()
    harness.consumer.connection = 2
    harness.faults.reset()
    assert not harness.step()
    assert harness.batches == []


def test_drop_closes_the_connection_and_does_nothing_of_the_message(harness):
    harness.faults.configure({"failure_mode": "drop", "failure_rate": 1})
    harness.put("o1", "o2")
    harness.step()
    assert harness.consumer.drops == 1
    assert harness.journal == []


def test_what_was_done_before_a_drop_is_committed_and_acknowledged(harness):
    harness.faults.configure({"failure_mode": "drop", "failure_rate": 0.2, "seed": 2})
    harness.put(*(f"o{n}" for n in range(20)))
    harness.step()
    done = len(harness.consumer.acked)
    assert harness.consumer.drops == 1
    assert 0 < done < 20
    assert harness.batches == [[f"o{n}" for n in range(done)]]
    assert harness.consumer.acked == list(range(1, done + 1))
    harness.faults.reset()
    assert not harness.step()  # the rest comes again over the next connection


def test_a_message_that_drops_the_connection_again_and_again_is_tried_later(harness):
    harness.put("o0")
    harness.step()
    harness.faults.configure({"failure_mode": "drop", "failure_rate": 1})
    harness.publisher.sent.clear()
    harness.consumer.put(reserved("o1"), **{"x-delivery-count": MAX_RETURNS})
    harness.step()
    assert (harness.sent[0].key, harness.consumer.acked, harness.consumer.drops) == ("work.retry-1s", [1, 2], 1)
    assert "it dropped the connection 6 times" in harness.sent[0].history[0]["why"]


@pytest.mark.parametrize("count", ["x-delivery-count", "x-acquired-count"])  # RabbitMQ 3 and 4
def test_what_ended_its_consumer_again_and_again_makes_room_for_the_others(harness, count):
    harness.consumer.put(reserved("o1"), **{count: MAX_RETURNS})
    harness.consumer.put(reserved("o2"), **{count: MAX_RETURNS})
    harness.step()
    assert [m.key for m in harness.sent] == ["work.retry-1s", "notification.sent"]
    assert "its consumer ended 5 times" in harness.sent[0].history[0]["why"]
    assert harness.batches == [["o2"]]  # it was behind, and only the first is to blame


def test_what_came_back_often_over_lost_connections_is_worked_on_like_any_other(harness):
    harness.put("o1")
    harness.step()
    harness.consumer.put(reserved("o2"), **{"x-delivery-count": 1000})
    harness.step()
    assert harness.batches == [["o1"], ["o2"]]
    assert harness.count("retried") == 0


@pytest.mark.parametrize("why", [DatabaseDown("the disk is full"), ConnectionResetError("gone"), OSError(28, "full")])
def test_a_fault_of_the_infrastructure_is_no_messages_fault(harness, why):
    harness.broken, harness.why = {"o2"}, why
    harness.put("o1", "o2", "o3")
    for _ in range(10):
        with pytest.raises(OSError, match=str(why)[-4:]):
            harness.step()
    assert harness.batches == [["o1", "o2", "o3"]] * 10  # together: it is none of them
    assert (harness.publisher.sent, harness.consumer.acked) == ([], [])
    harness.broken = set()
    harness.step()
    assert harness.batches[-1] == ["o1", "o2", "o3"]
    assert harness.consumer.acked == [1, 2, 3]


def test_what_is_settled_while_the_database_is_away_is_settled(harness):
    harness.broken, harness.why = {"o1"}, DatabaseDown("away")
    harness.put("o1")
    harness.consumer.put(b"{not json")
    with pytest.raises(DatabaseDown):
        harness.step()
    assert (harness.publisher.keys, harness.consumer.acked, harness.consumer.all_before) == (["work.dlq"], [2], [False])
    harness.broken = set()
    harness.step()
    assert harness.consumer.acked == [2, 1]


def test_what_is_in_hand_when_the_connection_is_lost_is_left_to_come_again(harness):
    harness.broken, harness.why = {"o1"}, DatabaseDown("away")
    harness.put("o1")
    with pytest.raises(DatabaseDown):
        harness.step()
    harness.consumer.connection += 1
    assert not harness.step()


def test_what_can_never_be_applied_is_dead_lettered_at_once(harness):
    harness.broken, harness.why = {"o2"}, IllegalTransition("order o2 is notified and cannot become failed")
    harness.put("o1", "o2", "o3")
    harness.step()
    assert harness.publisher.keys == ["notification.sent", "work.dlq", "notification.sent"]
    (letter,) = [m for m in harness.sent if m.key == "work.dlq"]
    assert letter.reason == "IllegalTransition: order o2 is notified and cannot become failed"
    assert sorted(harness.consumer.acked) == [1, 2, 3]


def test_what_was_held_comes_out_at_the_speed_that_is_configured(harness, clock):
    harness.faults.configure({"failure_mode": "hang", "failure_rate": 1})
    harness.put("o1", "o2", "o3")
    harness.step()
    harness.faults.configure({"failure_rate": 0, "delay": 1})
    for n in (1, 2, 3):
        harness.step()
        assert (harness.batches[n - 1 :], harness.consumer.acked) == ([[f"o{n}"]], list(range(1, n + 1)))
    assert clock.slept == [1.0, 1.0, 1.0]


def test_messages_that_are_slowed_down_while_they_are_taken_go_on_one_by_one(harness):
    inject = harness.faults.inject

    def slow_down() -> None:
        harness.faults.configure({"delay": 1})
        harness.faults.inject = inject

    harness.faults.inject = slow_down
    harness.put("o1", "o2", "o3")
    for _ in range(3):
        harness.step()
    assert harness.batches == [["o1"], ["o2"], ["o3"]]
    assert harness.consumer.acked == [1, 2, 3]


def test_an_injected_error_is_tried_again_later(harness):
    harness.faults.configure({"failure_rate": 1})
    harness.put("o1")
    harness.step()
    assert harness.batches == []
    assert harness.sent[0].key == "work.retry-1s"
    assert "injected" in harness.sent[0].history[0]["why"]


def test_a_refusal_is_told_to_the_work(harness):
    harness.faults.configure({"failure_mode": "reject", "failure_rate": 1})
    harness.put("o1")
    harness.step()
    assert harness.refusals == {"o1": "injected"}


def test_a_worker_that_does_not_inject_knows_no_refusals(harness, clock):
    harness.faults.configure({"failure_mode": "reject", "failure_rate": 1, "delay": 5})
    harness.put("o1")
    harness.make(injects_faults=False, registry=CollectorRegistry()).step()
    assert harness.refusals == {"o1": None}
    assert clock.slept == []


def test_while_paused_nothing_is_taken(harness):
    harness.faults.configure({"paused": True})
    harness.put("o1")
    assert not harness.step()
    assert harness.consumer.taken == []
    harness.faults.reset()
    assert harness.step()
    assert harness.consumer.acked == [1]


@pytest.mark.parametrize("fault", ["delay", "throttle"])
def test_slow_messages_are_committed_one_by_one(harness, clock, fault):
    harness.faults.configure({fault: 2})
    harness.put("o1", "o2")
    harness.step()
    assert (harness.batches, harness.consumer.acked, clock.slept) == ([["o1"]], [1], [2.0])
    harness.step()
    assert harness.consumer.taken == [1, 1]


@pytest.mark.parametrize(
    ("point", "journal"),
    [
        ("before_commit", ["work"]),
        ("after_commit", ["work", "commit"]),
        ("after_publish", ["work", "commit", "publish"]),
    ],
)
def test_the_crash_points_are_where_they_are_said_to_be(harness, point, journal):
    harness.faults.configure({"crash_point": point})
    harness.put("o1")
    with pytest.raises(ProcessKilled):
        harness.step()
    assert harness.journal == journal
