"""What becomes of an order that its request could not finish, one round of the resolver at a time."""

from types import SimpleNamespace

import pytest
from campus import order_store, pending
from campus.database import Database
from campus.faults import ANSWERING, Faults
from campus.orders import Order
from campus.pending import LEASE_ROUNDS, LEASE_SECONDS, ROUND, PendingSteps
from campus.service_client import ConnectFailed, OutcomeUnknown, Reply
from conftest import AT
from order_service.saga import RETRY_SECONDS, STEPS, OrderSaga
from testing.fakes import ProcessKilled

HOLDS = Reply(200, {"status": "reserved", "at": AT})
HELD_NOTHING = Reply(200, {"status": "failed", "reason": "insufficient_stock", "at": AT})
HAS_RELEASED = Reply(200, {"status": "released", "at": AT})
NEVER_SEEN = Reply(404, {})
DONE = Reply(200, {"at": AT})


class Harness:
    """The steps on a database of their own, with a clock that stands still."""

    def __init__(self, url: str, clock: SimpleNamespace, inventory, notification) -> None:
        self.url, self.clock, self.inventory, self.notification = url, clock, inventory, notification
        self.start()

    def start(self) -> None:
        """Start the order service anew on the same database."""
        self.database = Database(self.url, order_store.metadata, pending.metadata)
        self.pending = PendingSteps(self.database, clock=lambda: self.clock.now)
        self.saga = OrderSaga(
            database=self.database,
            pending=self.pending,
            inventory=self.inventory,
            notification=self.notification,
            faults=Faults(ANSWERING | {"timeout"}, timeout=5.0),
        )

    def start_after_death(self) -> None:
        """Start it anew, and let it find that the process before it does not live."""
        self.start()
        for _ in range(LEASE_ROUNDS):
            self.pending.renew()

    def place(self) -> Order:
        order = Order.place(user_id="u1", items=[{"sku": "burger", "qty": 1}], request_id="r1")
        return self.saga.place(order, None)

    def run(self, order: Order) -> Order:
        with self.pending.held(order.order_id):
            return self.saga.run(order)

    def unfinished(self, answer=None) -> Order:
        """Place an order whose reservation gets this answer, by default none."""
        self.inventory.answers["/reserve"] = answer or OutcomeUnknown("x")
        order = self.run(self.place())
        self.inventory.calls.clear()
        return order

    def reconcile(self) -> bool:
        """Do one round of each step, later ones first so that none follows from another; whether any got done."""
        done = [self.saga.reconcile(step) for step in reversed(STEPS)]
        return any(done)

    def after_a_moment(self) -> bool:
        self.clock.now += RETRY_SECONDS
        return self.reconcile()

    def look(self, order: Order) -> Order:
        with self.database.transaction() as tx:
            return order_store.find(tx, order.order_id)

    def pending_steps(self) -> list[str]:
        with self.database.transaction() as tx:
            every = tx.execute("SELECT pending FROM orders ORDER BY order_id")
            return [step for (step,) in every if step]


@pytest.fixture
def harness(tmp_path, inventory, notification):
    clock = SimpleNamespace(now=1000.0)
    made = Harness(f"sqlite:///{tmp_path}/order.db", clock, inventory, notification)
    yield made
    made.database.close()


def story(order: Order) -> list[str]:
    return [step["status"] for step in order.timeline]


def test_with_nothing_owed_nobody_is_asked(harness):
    assert harness.reconcile() is False
    assert harness.inventory.calls == harness.notification.calls == []


def test_a_reservation_that_was_made_is_completed(harness):
    order = harness.unfinished()
    harness.inventory.answers["/reservations"] = HOLDS
    assert harness.reconcile() is True
    reserved = harness.look(order)
    assert (story(reserved), reserved.timeline[-1]["at"]) == (["placed", "unknown", "reserved"], AT)
    assert harness.reconcile() is True
    assert story(harness.look(order)) == ["placed", "unknown", "reserved", "notified"]
    assert harness.pending_steps() == []
    assert harness.inventory.paths == ["/reservations"]
    assert [call.request_id for call in harness.inventory.calls + harness.notification.calls] == ["r1", "r1"]


@pytest.mark.parametrize(
    ("verdict", "reason"), [(HELD_NOTHING, "insufficient_stock"), (HAS_RELEASED, "inventory_timeout")]
)
def test_a_reservation_that_was_refused_fails_the_order(harness, verdict, reason):
    order = harness.unfinished()
    harness.inventory.answers["/reservations"] = verdict
    assert harness.reconcile() is True
    failed = harness.look(order)
    assert (failed.status, failed.reason) == ("failed", reason)
    assert harness.pending_steps() == []
    assert harness.inventory.paths == ["/reservations"]
    assert harness.notification.calls == []


def test_a_reservation_that_inventory_never_saw_is_released_and_the_order_fails(harness):
    order = harness.unfinished()
    assert harness.reconcile() is True
    failed = harness.look(order)
    assert (failed.status, failed.reason) == ("failed", "inventory_timeout")
    assert harness.inventory.paths == ["/reservations", "/release"]
    assert harness.inventory.calls[-1].body == {"order_id": order.order_id}
    assert harness.pending_steps() == []


def test_the_decision_to_release_is_written_down_before_it_is_carried_out(harness):
    harness.unfinished()
    seen = []
    harness.inventory.answers["/release"] = lambda _body: seen.append(harness.pending_steps()) or HAS_RELEASED
    harness.reconcile()
    assert seen == [["release"]]


@pytest.mark.promise("INV-5")
@pytest.mark.parametrize(
    "trouble", [ConnectFailed("x"), OutcomeUnknown("x"), Reply(500, {}), Reply(409, {"reason": "injected"})]
)
def test_after_deciding_to_release_it_never_completes(harness, trouble):
    order = harness.unfinished()
    harness.inventory.answers["/release"] = [trouble, trouble, HAS_RELEASED]
    assert harness.reconcile() is False
    harness.inventory.answers["/reservations"] = HOLDS  # the late request arrived after all
    assert harness.after_a_moment() is False
    assert harness.pending_steps() == ["release"]
    assert harness.after_a_moment() is True
    assert story(harness.look(order)) == ["placed", "unknown", "failed"]
    assert harness.inventory.paths == ["/reservations", "/release", "/release", "/release"]
    assert harness.notification.calls == []


def test_the_decision_to_release_holds_after_a_restart(harness):
    order = harness.unfinished()
    harness.inventory.answers |= {"/release": [OutcomeUnknown("x"), HAS_RELEASED]}
    harness.reconcile()
    harness.inventory.answers["/reservations"] = HOLDS
    harness.start_after_death()
    assert harness.reconcile() is True
    assert harness.look(order).status == "failed"


@pytest.mark.promise("INV-5")
def test_a_server_error_of_inventory_is_released(harness):
    order = harness.unfinished(Reply(500, {}))
    assert harness.pending_steps() == ["release"]
    assert harness.reconcile() is True
    failed = harness.look(order)
    assert (failed.status, failed.reason) == ("failed", "inventory_error")
    assert harness.inventory.paths == ["/release"]


def test_an_inventory_that_cannot_tell_is_asked_again(harness):
    order = harness.unfinished()
    harness.inventory.answers["/reservations"] = [Reply(500, {}), HOLDS]
    assert harness.reconcile() is False
    assert harness.look(order) == order
    assert harness.reconcile() is False  # not before a moment has passed
    assert harness.inventory.paths == ["/reservations"]
    assert harness.after_a_moment() is True
    assert harness.look(order).status == "reserved"


@pytest.mark.promise("a-accepted")
@pytest.mark.parametrize(
    "trouble", [ConnectFailed("x"), OutcomeUnknown("x"), Reply(500, {}), Reply(409, {"reason": "injected"})]
)
def test_a_notification_that_failed_is_tried_until_it_is_sent(harness, trouble):
    harness.notification.answers["/send"] = [trouble, trouble, trouble, DONE]
    order = harness.run(harness.place())
    assert (order.status, harness.pending_steps()) == ("reserved", ["notify"])
    assert harness.reconcile() is False
    assert harness.after_a_moment() is False
    assert harness.after_a_moment() is True
    sent = harness.look(order)
    assert (story(sent), sent.timeline[-1]["at"]) == (["placed", "reserved", "notified"], AT)
    assert harness.pending_steps() == []
    assert len(harness.notification.calls) == 4


def test_an_order_belongs_to_its_request_however_long_that_takes(harness):
    order = harness.place()
    with harness.pending.held(order.order_id):
        harness.clock.now += 3600
        assert harness.reconcile() is False
        assert harness.inventory.calls == []
    harness.reconcile()
    assert harness.look(order).status == "failed"


def test_a_process_that_may_be_taken_for_dead_leaves_the_notification_to_a_loop(harness):
    order = harness.place()
    harness.clock.now += LEASE_SECONDS
    assert harness.run(order).status == "reserved"
    assert harness.notification.calls == []
    assert harness.reconcile() is True
    assert harness.look(order).status == "notified"


@pytest.mark.promise("INV-1")
@pytest.mark.parametrize(("answer", "end"), [(HOLDS, "notified"), (HELD_NOTHING, "failed"), (NEVER_SEEN, "failed")])
def test_a_restart_resolves_what_a_killed_process_left(harness, answer, end):
    order = harness.place()  # and here the process was killed
    harness.inventory.answers["/reservations"] = answer
    harness.start_after_death()
    for _ in range(2):
        harness.reconcile()
    assert harness.look(order).status == end
    assert harness.pending_steps() == []
    assert "/reserve" not in harness.inventory.paths


def test_a_restart_notifies_what_a_killed_process_had_reserved(harness):
    order = harness.place()
    harness.notification.answers["/send"] = [ConnectFailed("x"), DONE]
    harness.run(order)
    harness.start_after_death()
    assert harness.reconcile() is True
    assert harness.look(order).status == "notified"


def test_a_process_killed_between_the_calls_and_their_commit_leaves_nothing_undone(harness):
    order = harness.place()
    harness.notification.answers["/send"] = [ProcessKilled, DONE]
    with pytest.raises(ProcessKilled):
        harness.run(order)
    harness.inventory.answers["/reservations"] = HOLDS
    harness.start_after_death()
    for _ in range(2):
        harness.reconcile()
    assert story(harness.look(order)) == ["placed", "reserved", "notified"]
    assert harness.pending_steps() == []


@pytest.mark.parametrize("trouble", [ConnectFailed("x"), OutcomeUnknown("x")])
def test_an_unreachable_service_ends_the_round_and_the_next_begins_with_another(harness, trouble):
    first, second = harness.unfinished(), harness.unfinished()
    harness.inventory.answers["/reservations"] = trouble
    assert harness.reconcile() is False
    assert [call.path for call in harness.inventory.calls] == [f"/reservations/{first.order_id}"]
    harness.inventory.answers["/reservations"] = HOLDS
    assert harness.reconcile() is True
    assert harness.inventory.calls[-1].path == f"/reservations/{second.order_id}"
    harness.after_a_moment()
    assert harness.look(first).status == "reserved"


def test_an_order_that_cannot_be_done_yet_does_not_hold_up_others(harness):
    first, second = harness.unfinished(), harness.unfinished()
    harness.inventory.answers["/reservations"] = [Reply(500, {}), HOLDS]
    assert harness.reconcile() is True
    assert (harness.look(first).status, harness.look(second).status) == ("unknown", "reserved")


def test_a_round_is_bounded_and_the_rest_comes_next(harness):
    for _ in range(ROUND + 5):
        harness.unfinished()
    assert harness.reconcile() is True
    assert len(harness.pending_steps()) == 5
    assert harness.reconcile() is True
    assert harness.pending_steps() == []


def test_a_service_that_hangs_holds_up_only_its_own_steps(harness):
    harness.notification.answers["/send"] = OutcomeUnknown("x")
    reserved = harness.run(harness.place())
    waiting = harness.unfinished()
    harness.inventory.answers["/reservations"] = HOLDS
    harness.after_a_moment()
    assert harness.look(waiting).status == harness.look(reserved).status == "reserved"


@pytest.mark.promise("infrastructure")
def test_a_database_that_is_away_is_not_blamed_on_an_order(harness, monkeypatch):
    order = harness.unfinished()
    harness.inventory.answers["/reservations"] = HOLDS
    away = ConnectionError("the database is away")
    with monkeypatch.context() as patch:
        patch.setattr(order_store, "save", lambda *_args, **_options: raise_(away))
        with pytest.raises(ConnectionError):
            harness.saga.reconcile("ask")
    assert harness.reconcile() is True  # at once: nothing was postponed
    assert harness.look(order).status == "reserved"


def raise_(error: Exception) -> None:
    raise error


def test_a_request_that_goes_on_after_the_decision_to_release_does_not_complete(harness):
    """The order service was frozen in mid-request; another took over its orders before it woke up."""
    order, frozen, meanwhile = harness.place(), harness.saga, []

    def request_goes_on(_body) -> Reply:
        meanwhile.append(frozen.run(order))
        return HAS_RELEASED

    harness.inventory.answers["/release"] = request_goes_on
    harness.clock.now += 60
    harness.start_after_death()
    for _ in range(3):
        harness.after_a_moment()
    assert meanwhile[0].status == "unknown"
    assert (harness.look(order).status, harness.pending_steps()) == ("failed", [])
    assert harness.notification.calls == []


def test_a_loop_that_goes_on_after_the_decision_to_release_does_not_complete(harness):
    """The order service was frozen while it asked; the one that took over had decided to release."""
    order, frozen = harness.unfinished(), harness.saga

    def another_decides(_body) -> Reply:
        harness.inventory.answers |= {"/reservations": NEVER_SEEN, "/release": OutcomeUnknown("x")}
        harness.start_after_death()
        harness.saga.reconcile("ask")
        return HOLDS  # what inventory had answered before

    harness.inventory.answers["/reservations"] = another_decides
    frozen.reconcile("ask")
    assert (harness.look(order).status, harness.pending_steps()) == ("unknown", ["release"])
    harness.inventory.answers["/release"] = HAS_RELEASED
    harness.after_a_moment()
    assert (harness.look(order).status, harness.pending_steps()) == ("failed", [])
    assert harness.notification.calls == []


def test_a_loop_that_goes_on_after_another_completed_the_order_does_not_release_it(harness):
    order, frozen = harness.unfinished(), harness.saga

    def another_completes(_body) -> Reply:
        harness.inventory.answers["/reservations"] = HOLDS
        harness.start_after_death()
        harness.saga.reconcile("ask")
        return NEVER_SEEN

    harness.inventory.answers["/reservations"] = another_completes
    frozen.reconcile("ask")
    assert "/release" not in harness.inventory.paths
    assert harness.look(order).status == "reserved"


def test_a_request_that_goes_on_before_the_decision_to_release_keeps_its_reservation(harness):
    order, frozen = harness.place(), harness.saga

    def request_goes_on(_body) -> Reply:
        frozen.run(order)
        return NEVER_SEEN  # for inventory had looked a little earlier

    harness.inventory.answers["/reservations"] = request_goes_on
    harness.clock.now += 60
    harness.start_after_death()
    for _ in range(3):
        harness.after_a_moment()
    assert (harness.look(order).status, harness.pending_steps()) == ("reserved", ["notify"])
    assert frozen.reconcile("notify") is True
    assert "/release" not in harness.inventory.paths
