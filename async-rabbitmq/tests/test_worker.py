"""A consumer's work, one round at a time: its consumer and publisher are fakes, its database is real."""

import json
from collections.abc import Callable
from types import SimpleNamespace

import pytest
from broker.worker import BATCH, MOST_RETURNS, Worker
from campus.database import DatabaseDown
from campus.faults import CONSUMING, Faults
from campus.messages import INVENTORY_RESERVED, NOTIFICATION_SENT, Message, event
from campus.notices import metadata
from campus.orders import IllegalTransition
from campus.work import HISTORY, REASON, RETRY_SECONDS
from conftest import Died, FakeConsumer, FakePublisher, LoggedDatabase, World
from prometheus_client import CollectorRegistry

DATA = {"user_id": "u1", "items": [{"sku": "soda", "qty": 1}]}


def reserved(order_id: str) -> Message:
    return event(INVENTORY_RESERVED, order_id, DATA, at="2026-01-31T12:00:00.000001Z")


class Bench:
    """A worker between fakes. Work on orders in `broken` raises; on others it notes the order and tells of it."""

    def __init__(self, database: LoggedDatabase, world: World) -> None:
        self.journal = database.journal
        self.consumer = FakeConsumer("work", self.journal)
        self.publisher = FakePublisher(self.journal)
        self.faults = Faults(
            CONSUMING,
            points=("before_commit", "after_commit", "after_publish"),
            sleep=world.sleep,
            clock=lambda: world.now,
            kill=world.die,
        )
        self.broken: set[str] = set()
        self.why: Exception = ValueError("it is broken")
        self.batches: list[list[str]] = []
        self.refusals: dict[str, str | None] = {}
        self.registry = CollectorRegistry()
        self.make: Callable[..., Worker] = lambda **more: Worker(
            consumer=self.consumer,
            publisher=self.publisher,
            database=database,
            faults=self.faults,
            expects=(INVENTORY_RESERVED,),
            handle=self.handle,
            **{"registry": self.registry} | more,
        )
        self.worker = self.make()
        self.step = self.worker.step

    def handle(self, _tx, tasks) -> list[Message]:
        orders = [task.message.order_id for task in tasks]
        self.batches.append(orders)
        self.journal.append("work")
        if self.broken & set(orders):
            raise self.why
        self.refusals |= {task.message.order_id: task.refusal for task in tasks}
        return [event(NOTIFICATION_SENT, order, {"user_id": "u1"}) for order in orders]

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
def bench(tmp_path, world):
    database = LoggedDatabase(f"sqlite:///{tmp_path}/work.db", metadata)
    database.journal = []
    yield Bench(database, world)
    database.close()


def test_a_batch_is_one_transaction_then_published_then_acknowledged(bench):
    tags = bench.put("o1", "o2", "o3")
    assert bench.step()
    assert bench.journal == ["work", "commit", "publish", "ack"]
    assert bench.batches == [["o1", "o2", "o3"]]
    assert bench.publisher.keys == ["notification.sent"] * 3
    assert bench.publisher.orders == ["o1", "o2", "o3"]
    assert (bench.consumer.acked, bench.consumer.all_before) == (tags, [True])
    assert bench.count("done") == 3


def test_without_messages_there_is_nothing_to_do(bench):
    assert not bench.step()
    assert bench.journal == []


def test_a_batch_has_a_limit(bench):
    bench.put(*(f"o{n}" for n in range(BATCH + 1)))
    bench.step()
    bench.step()
    assert bench.consumer.taken == [BATCH, 1]


def test_poison_is_dead_lettered_at_once_with_its_reason_and_the_others_are_done(bench):
    bench.put("o1")
    bench.consumer.put(b"{not json")
    bench.consumer.put(event(NOTIFICATION_SENT, "o9", {"user_id": "u1"}))
    bench.put("o2")
    bench.step()
    assert bench.batches == [["o1", "o2"]]
    letters = [m for m in bench.sent if m.key == "work.dlq"]
    assert [(m.exchange, m.body[:9]) for m in letters] == [("", b"{not json"), ("", b'{"event_i')]
    assert letters[0].reason.startswith("this is not JSON")
    assert letters[1].reason.startswith("NotificationSent is not expected here")
    assert sorted(bench.consumer.acked) == [1, 2, 3, 4]
    assert (bench.count("dead_lettered"), bench.count("done"), bench.count("retried")) == (2, 2, 0)


def test_a_failing_message_waits_longer_each_time_and_is_then_dead_lettered_with_its_history(bench):
    bench.broken = {"o1"}
    headers: dict = {}
    for seconds in RETRY_SECONDS:
        bench.consumer.put(reserved("o1"), **headers)
        bench.step()
        assert bench.sent[-1].key == f"work.retry-{seconds}s"
        headers = bench.publisher.sent[-1].headers
    bench.consumer.put(reserved("o1"), **headers)
    bench.step()
    last = bench.sent[-1]
    assert (last.key, last.body) == ("work.dlq", reserved("o1").encode())
    assert last.reason == "failed 5 times, last: ValueError: it is broken"
    assert [failure["why"] for failure in last.history] == ["ValueError: it is broken"] * 5
    assert [failure["at"] for failure in last.history] == sorted(failure["at"] for failure in last.history)
    assert bench.consumer.acked == [1, 2, 3, 4, 5]
    assert (bench.count("retried"), bench.count("dead_lettered")) == (4, 1)


@pytest.mark.parametrize("history", ["{", "{}", "7", 7, None, ["x"], b"\xff"])
def test_a_history_that_is_none_of_ours_is_taken_for_the_first_failure(bench, history):
    bench.broken = {"o1"}
    bench.consumer.put(reserved("o1"), **{HISTORY: history})
    bench.step()
    assert (bench.sent[-1].key, len(bench.sent[-1].history)) == ("work.retry-1s", 1)


def test_a_failing_message_does_not_harm_the_others_of_its_batch(bench):
    bench.broken = {"o2"}
    bench.put("o1", "o2", "o3")
    bench.step()
    assert bench.batches == [["o1", "o2", "o3"], ["o1"], ["o2"], ["o3"]]
    assert bench.publisher.keys == ["notification.sent", "work.retry-1s", "notification.sent"]
    assert sorted(bench.consumer.acked) == [1, 2, 3]
    assert bench.count("done") == 2


def test_an_event_that_is_not_confirmed_is_published_again_and_nothing_is_acknowledged_before(bench):
    bench.put("o1", "o2")
    lost = event(NOTIFICATION_SENT, "o2", {}).event_id
    bench.publisher.troubles = {lost: "returned: NO_ROUTE for notification.sent"}
    for _ in range(2):
        with pytest.raises(ConnectionError, match=r"1 messages were not confirmed: returned: NO_ROUTE"):
            bench.step()
    assert bench.consumer.acked == []
    bench.publisher.troubles = {}
    assert bench.step()
    assert bench.publisher.orders == ["o1", "o2"]  # and o1 was not published again
    assert (bench.consumer.acked, bench.batches) == ([1, 2], [["o1", "o2"]])


def test_while_the_broker_is_down_no_new_messages_are_taken(bench):
    bench.put("o1")
    bench.publisher.down = "the broker is down"
    for _ in range(3):
        with pytest.raises(ConnectionError, match="the broker is down"):
            bench.step()
    bench.put("o2")
    bench.publisher.down = None
    bench.step()
    assert bench.batches == [["o1"]]
    bench.step()
    assert bench.batches == [["o1"], ["o2"]]
    assert bench.consumer.acked == [1, 2]


def test_poison_that_cannot_be_dead_lettered_is_not_acknowledged(bench):
    bench.consumer.put(b"{not json")
    bench.publisher.troubles = {"work.dlq": "RabbitMQ refused it (nack)"}
    with pytest.raises(ConnectionError, match="nack"):
        bench.step()
    assert bench.consumer.acked == []


def test_a_hanging_message_is_held_and_let_go_after_the_reset(bench):
    bench.faults.configure({"failure_mode": "hang", "failure_rate": 1})
    bench.put("o1", "o2")
    bench.step()
    assert (bench.batches, bench.consumer.acked, bench.publisher.sent) == ([], [], [])
    bench.faults.reset()
    bench.step()
    assert (bench.batches, bench.consumer.acked, bench.consumer.all_before) == ([["o1", "o2"]], [1, 2], [True])


def test_while_something_is_held_each_of_the_others_is_acknowledged_by_itself(bench):
    bench.faults.configure({"failure_mode": "hang", "failure_rate": 0.5, "seed": 2})
    bench.put(*(f"o{n}" for n in range(20)))
    bench.step()
    done = list(bench.consumer.acked)
    assert 0 < len(done) < 20
    assert bench.consumer.all_before == [False]
    bench.faults.reset()
    bench.step()
    assert sorted(bench.consumer.acked) == list(range(1, 21))
    assert bench.consumer.all_before == [False, True]


def test_what_was_held_over_a_lost_connection_is_left_to_come_again(bench):
    bench.faults.configure({"failure_mode": "hang", "failure_rate": 1})
    bench.put("o1")
    bench.step()
    bench.consumer.connection = 2
    bench.faults.reset()
    assert not bench.step()
    assert bench.batches == []


def test_drop_closes_the_connection_and_does_nothing_of_the_message(bench):
    bench.faults.configure({"failure_mode": "drop", "failure_rate": 1})
    bench.put("o1", "o2")
    bench.step()
    assert bench.consumer.drops == 1
    assert bench.journal == []


def test_what_was_done_before_a_drop_is_committed_and_acknowledged(bench):
    bench.faults.configure({"failure_mode": "drop", "failure_rate": 0.2, "seed": 2})
    bench.put(*(f"o{n}" for n in range(20)))
    bench.step()
    done = len(bench.consumer.acked)
    assert bench.consumer.drops == 1
    assert 0 < done < 20
    assert bench.batches == [[f"o{n}" for n in range(done)]]
    assert bench.consumer.acked == list(range(1, done + 1))
    bench.faults.reset()
    assert not bench.step()  # the rest comes again over the next connection


def test_a_message_that_drops_the_connection_again_and_again_is_tried_later(bench):
    bench.put("o0")
    bench.step()
    bench.faults.configure({"failure_mode": "drop", "failure_rate": 1})
    bench.publisher.sent.clear()
    bench.consumer.put(reserved("o1"), **{"x-delivery-count": MOST_RETURNS})
    bench.step()
    assert (bench.sent[0].key, bench.consumer.acked, bench.consumer.drops) == ("work.retry-1s", [1, 2], 1)
    assert "it dropped the connection 6 times" in bench.sent[0].history[0]["why"]


@pytest.mark.parametrize("count", ["x-delivery-count", "x-acquired-count"])  # RabbitMQ 3 and 4
def test_what_ended_its_consumer_again_and_again_makes_room_for_the_others(bench, count):
    bench.consumer.put(reserved("o1"), **{count: MOST_RETURNS})
    bench.consumer.put(reserved("o2"), **{count: MOST_RETURNS})
    bench.step()
    assert [m.key for m in bench.sent] == ["work.retry-1s", "notification.sent"]
    assert "its consumer ended 5 times" in bench.sent[0].history[0]["why"]
    assert bench.batches == [["o2"]]  # it was behind, and only the first is to blame


def test_what_came_back_often_over_lost_connections_is_worked_on_like_any_other(bench):
    bench.put("o1")
    bench.step()
    bench.consumer.put(reserved("o2"), **{"x-delivery-count": 1000})
    bench.step()
    assert bench.batches == [["o1"], ["o2"]]
    assert bench.count("retried") == 0


@pytest.mark.parametrize("why", [DatabaseDown("the disk is full"), ConnectionResetError("gone"), OSError(28, "full")])
def test_a_fault_of_the_infrastructure_is_no_messages_fault(bench, why):
    bench.broken, bench.why = {"o2"}, why
    bench.put("o1", "o2", "o3")
    for _ in range(10):
        with pytest.raises(OSError, match=str(why)[-4:]):
            bench.step()
    assert bench.batches == [["o1", "o2", "o3"]] * 10  # together: it is none of them
    assert (bench.publisher.sent, bench.consumer.acked) == ([], [])
    bench.broken = set()
    bench.step()
    assert bench.batches[-1] == ["o1", "o2", "o3"]
    assert bench.consumer.acked == [1, 2, 3]


def test_what_is_settled_while_the_database_is_away_is_settled(bench):
    bench.broken, bench.why = {"o1"}, DatabaseDown("away")
    bench.put("o1")
    bench.consumer.put(b"{not json")
    with pytest.raises(DatabaseDown):
        bench.step()
    assert (bench.publisher.keys, bench.consumer.acked, bench.consumer.all_before) == (["work.dlq"], [2], [False])
    bench.broken = set()
    bench.step()
    assert bench.consumer.acked == [2, 1]


def test_what_is_in_hand_when_the_connection_is_lost_is_left_to_come_again(bench):
    bench.broken, bench.why = {"o1"}, DatabaseDown("away")
    bench.put("o1")
    with pytest.raises(DatabaseDown):
        bench.step()
    bench.consumer.connection += 1
    assert not bench.step()


def test_what_can_never_be_applied_is_dead_lettered_at_once(bench):
    bench.broken, bench.why = {"o2"}, IllegalTransition("order o2 is notified and cannot become failed")
    bench.put("o1", "o2", "o3")
    bench.step()
    assert bench.publisher.keys == ["notification.sent", "work.dlq", "notification.sent"]
    (letter,) = [m for m in bench.sent if m.key == "work.dlq"]
    assert letter.reason == "IllegalTransition: order o2 is notified and cannot become failed"
    assert sorted(bench.consumer.acked) == [1, 2, 3]


def test_what_was_held_comes_out_at_the_speed_that_is_configured(bench, world):
    bench.faults.configure({"failure_mode": "hang", "failure_rate": 1})
    bench.put("o1", "o2", "o3")
    bench.step()
    bench.faults.configure({"failure_rate": 0, "delay": 1})
    for n in (1, 2, 3):
        bench.step()
        assert (bench.batches[n - 1 :], bench.consumer.acked) == ([[f"o{n}"]], list(range(1, n + 1)))
    assert world.slept == [1.0, 1.0, 1.0]


def test_messages_that_are_slowed_down_while_they_are_taken_go_on_one_by_one(bench):
    inject = bench.faults.inject

    def slow_down() -> None:
        bench.faults.configure({"delay": 1})
        bench.faults.inject = inject

    bench.faults.inject = slow_down
    bench.put("o1", "o2", "o3")
    for _ in range(3):
        bench.step()
    assert bench.batches == [["o1"], ["o2"], ["o3"]]
    assert bench.consumer.acked == [1, 2, 3]


def test_an_injected_error_is_tried_again_later(bench):
    bench.faults.configure({"failure_rate": 1})
    bench.put("o1")
    bench.step()
    assert bench.batches == []
    assert bench.sent[0].key == "work.retry-1s"
    assert "injected" in bench.sent[0].history[0]["why"]


def test_a_refusal_is_told_to_the_work(bench):
    bench.faults.configure({"failure_mode": "reject", "failure_rate": 1})
    bench.put("o1")
    bench.step()
    assert bench.refusals == {"o1": "injected"}


def test_a_worker_that_does_not_inject_knows_no_refusals(bench, world):
    bench.faults.configure({"failure_mode": "reject", "failure_rate": 1, "delay": 5})
    bench.put("o1")
    bench.make(injects=False, registry=CollectorRegistry()).step()
    assert bench.refusals == {"o1": None}
    assert world.slept == []


def test_while_paused_nothing_is_taken(bench):
    bench.faults.configure({"paused": True})
    bench.put("o1")
    assert not bench.step()
    assert bench.consumer.taken == []
    bench.faults.reset()
    assert bench.step()
    assert bench.consumer.acked == [1]


@pytest.mark.parametrize("fault", ["delay", "throttle"])
def test_slow_messages_are_committed_one_by_one(bench, world, fault):
    bench.faults.configure({fault: 2})
    bench.put("o1", "o2")
    bench.step()
    assert (bench.batches, bench.consumer.acked, world.slept) == ([["o1"]], [1], [2.0])
    bench.step()
    assert bench.consumer.taken == [1, 1]


@pytest.mark.parametrize(
    ("point", "journal"),
    [
        ("before_commit", ["work"]),
        ("after_commit", ["work", "commit"]),
        ("after_publish", ["work", "commit", "publish"]),
    ],
)
def test_the_crash_points_are_where_they_are_said_to_be(bench, point, journal):
    bench.faults.configure({"crash_point": point})
    bench.put("o1")
    with pytest.raises(Died):
        bench.step()
    assert bench.journal == journal
