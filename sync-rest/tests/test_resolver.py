"""What becomes of an order that its request could not finish, one round of the resolver at a time."""

from types import SimpleNamespace

import pytest
from campus import order_book
from campus.database import Database
from campus.faults import ANSWERING, Faults
from campus.neighbours import NoAnswer, NotSent, Reply
from campus.orders import Order
from campus.pending import LEASE_ROUNDS, LEASE_SECONDS, ROUND, PendingSteps
from conftest import AT, Died
from order_service.steps import RETRY_SECONDS, STEPS, Steps
from sqlalchemy import select

HOLDS = Reply(200, {"status": "reserved", "at": AT})
HELD_NOTHING = Reply(200, {"status": "failed", "reason": "insufficient_stock", "at": AT})
HAS_RELEASED = Reply(200, {"status": "released", "at": AT})
NEVER_SEEN = Reply(404, {})
DONE = Reply(200, {"at": AT})


class Kitchen:
    """The steps on a database of their own, with a clock that stands still."""

    def __init__(self, url: str, clock: SimpleNamespace, inventory, notification) -> None:
        self.url, self.clock, self.inventory, self.notification = url, clock, inventory, notification
        self.start()

    def start(self) -> None:
        """Start the order service anew on the same database."""
        self.database = Database(self.url, order_book.metadata)
        self.pending = PendingSteps(self.database, clock=lambda: self.clock.now)
        self.steps = Steps(
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
        return self.steps.place(order, None)

    def fulfil(self, order: Order) -> Order:
        with self.pending.held(order.order_id):
            return self.steps.fulfil(order)

    def unfinished(self, answer=None) -> Order:
        """Place an order whose reservation gets this answer, by default none."""
        self.inventory.answers["/reserve"] = answer or NoAnswer("x")
        order = self.fulfil(self.place())
        self.inventory.calls.clear()
        return order

    def resolve(self) -> bool:
        """Do one round of each step, later ones first so that none follows from another; whether any got done."""
        done = [self.steps.resolve(step) for step in reversed(STEPS)]
        return any(done)

    def after_a_moment(self) -> bool:
        self.clock.now += RETRY_SECONDS
        return self.resolve()

    def look(self, order: Order) -> Order:
        with self.database.transaction() as tx:
            return order_book.find(tx, order.order_id)

    def owed(self) -> list[str]:
        with self.database.transaction() as tx:
            every = tx.execute(select(order_book.orders.c.pending).order_by(order_book.orders.c.order_id)).scalars()
            return [step for step in every if step]


@pytest.fixture
def kitchen(tmp_path, inventory, notification):
    clock = SimpleNamespace(now=1000.0)
    made = Kitchen(f"sqlite:///{tmp_path}/order.db", clock, inventory, notification)
    yield made
    made.database.close()


def story(order: Order) -> list[str]:
    return [step["status"] for step in order.timeline]


def test_with_nothing_owed_nobody_is_asked(kitchen):
    assert kitchen.resolve() is False
    assert kitchen.inventory.calls == kitchen.notification.calls == []


def test_a_reservation_that_was_made_is_completed(kitchen):
    order = kitchen.unfinished()
    kitchen.inventory.answers["/reservations"] = HOLDS
    assert kitchen.resolve() is True
    reserved = kitchen.look(order)
    assert (story(reserved), reserved.timeline[-1]["at"]) == (["placed", "unknown", "reserved"], AT)
    assert kitchen.resolve() is True
    assert story(kitchen.look(order)) == ["placed", "unknown", "reserved", "notified"]
    assert kitchen.owed() == []
    assert kitchen.inventory.paths == ["/reservations"]
    assert [call.request_id for call in kitchen.inventory.calls + kitchen.notification.calls] == ["r1", "r1"]


@pytest.mark.parametrize(
    ("verdict", "reason"), [(HELD_NOTHING, "insufficient_stock"), (HAS_RELEASED, "inventory_timeout")]
)
def test_a_reservation_that_was_refused_fails_the_order(kitchen, verdict, reason):
    order = kitchen.unfinished()
    kitchen.inventory.answers["/reservations"] = verdict
    assert kitchen.resolve() is True
    failed = kitchen.look(order)
    assert (failed.status, failed.reason) == ("failed", reason)
    assert kitchen.owed() == []
    assert kitchen.inventory.paths == ["/reservations"]
    assert kitchen.notification.calls == []


def test_a_reservation_that_inventory_never_saw_is_released_and_the_order_fails(kitchen):
    order = kitchen.unfinished()
    assert kitchen.resolve() is True
    failed = kitchen.look(order)
    assert (failed.status, failed.reason) == ("failed", "inventory_timeout")
    assert kitchen.inventory.paths == ["/reservations", "/release"]
    assert kitchen.inventory.calls[-1].body == {"order_id": order.order_id}
    assert kitchen.owed() == []


def test_the_decision_to_release_is_written_down_before_it_is_carried_out(kitchen):
    kitchen.unfinished()
    seen = []
    kitchen.inventory.answers["/release"] = lambda _body: seen.append(kitchen.owed()) or HAS_RELEASED
    kitchen.resolve()
    assert seen == [["release"]]


@pytest.mark.parametrize("trouble", [NotSent("x"), NoAnswer("x"), Reply(500, {}), Reply(409, {"reason": "injected"})])
def test_after_deciding_to_release_it_never_completes(kitchen, trouble):
    order = kitchen.unfinished()
    kitchen.inventory.answers["/release"] = [trouble, trouble, HAS_RELEASED]
    assert kitchen.resolve() is False
    kitchen.inventory.answers["/reservations"] = HOLDS  # the late request arrived after all
    assert kitchen.after_a_moment() is False
    assert kitchen.owed() == ["release"]
    assert kitchen.after_a_moment() is True
    assert story(kitchen.look(order)) == ["placed", "unknown", "failed"]
    assert kitchen.inventory.paths == ["/reservations", "/release", "/release", "/release"]
    assert kitchen.notification.calls == []


def test_the_decision_to_release_holds_after_a_restart(kitchen):
    order = kitchen.unfinished()
    kitchen.inventory.answers |= {"/release": [NoAnswer("x"), HAS_RELEASED]}
    kitchen.resolve()
    kitchen.inventory.answers["/reservations"] = HOLDS
    kitchen.start_after_death()
    assert kitchen.resolve() is True
    assert kitchen.look(order).status == "failed"


def test_a_server_error_of_inventory_is_released(kitchen):
    order = kitchen.unfinished(Reply(500, {}))
    assert kitchen.owed() == ["release"]
    assert kitchen.resolve() is True
    failed = kitchen.look(order)
    assert (failed.status, failed.reason) == ("failed", "inventory_error")
    assert kitchen.inventory.paths == ["/release"]


def test_an_inventory_that_cannot_tell_is_asked_again(kitchen):
    order = kitchen.unfinished()
    kitchen.inventory.answers["/reservations"] = [Reply(500, {}), HOLDS]
    assert kitchen.resolve() is False
    assert kitchen.look(order) == order
    assert kitchen.resolve() is False  # not before a moment has passed
    assert kitchen.inventory.paths == ["/reservations"]
    assert kitchen.after_a_moment() is True
    assert kitchen.look(order).status == "reserved"


@pytest.mark.parametrize("trouble", [NotSent("x"), NoAnswer("x"), Reply(500, {}), Reply(409, {"reason": "injected"})])
def test_a_notification_that_failed_is_tried_until_it_is_sent(kitchen, trouble):
    kitchen.notification.answers["/send"] = [trouble, trouble, trouble, DONE]
    order = kitchen.fulfil(kitchen.place())
    assert (order.status, kitchen.owed()) == ("reserved", ["notify"])
    assert kitchen.resolve() is False
    assert kitchen.after_a_moment() is False
    assert kitchen.after_a_moment() is True
    sent = kitchen.look(order)
    assert (story(sent), sent.timeline[-1]["at"]) == (["placed", "reserved", "notified"], AT)
    assert kitchen.owed() == []
    assert len(kitchen.notification.calls) == 4


def test_an_order_belongs_to_its_request_however_long_that_takes(kitchen):
    order = kitchen.place()
    with kitchen.pending.held(order.order_id):
        kitchen.clock.now += 3600
        assert kitchen.resolve() is False
        assert kitchen.inventory.calls == []
    kitchen.resolve()
    assert kitchen.look(order).status == "failed"


def test_a_process_that_may_be_taken_for_dead_leaves_the_notification_to_a_loop(kitchen):
    order = kitchen.place()
    kitchen.clock.now += LEASE_SECONDS
    assert kitchen.fulfil(order).status == "reserved"
    assert kitchen.notification.calls == []
    assert kitchen.resolve() is True
    assert kitchen.look(order).status == "notified"


@pytest.mark.parametrize(("answer", "end"), [(HOLDS, "notified"), (HELD_NOTHING, "failed"), (NEVER_SEEN, "failed")])
def test_a_restart_resolves_what_a_killed_process_left(kitchen, answer, end):
    order = kitchen.place()  # and here the process was killed
    kitchen.inventory.answers["/reservations"] = answer
    kitchen.start_after_death()
    for _ in range(2):
        kitchen.resolve()
    assert kitchen.look(order).status == end
    assert kitchen.owed() == []
    assert "/reserve" not in kitchen.inventory.paths


def test_a_restart_notifies_what_a_killed_process_had_reserved(kitchen):
    order = kitchen.place()
    kitchen.notification.answers["/send"] = [NotSent("x"), DONE]
    kitchen.fulfil(order)
    kitchen.start_after_death()
    assert kitchen.resolve() is True
    assert kitchen.look(order).status == "notified"


def test_a_process_killed_between_the_calls_and_their_commit_leaves_nothing_undone(kitchen):
    order = kitchen.place()
    kitchen.notification.answers["/send"] = [Died, DONE]
    with pytest.raises(Died):
        kitchen.fulfil(order)
    kitchen.inventory.answers["/reservations"] = HOLDS
    kitchen.start_after_death()
    for _ in range(2):
        kitchen.resolve()
    assert story(kitchen.look(order)) == ["placed", "reserved", "notified"]
    assert kitchen.owed() == []


@pytest.mark.parametrize("trouble", [NotSent("x"), NoAnswer("x")])
def test_an_unreachable_neighbour_ends_the_round_and_the_next_begins_with_another(kitchen, trouble):
    first, second = kitchen.unfinished(), kitchen.unfinished()
    kitchen.inventory.answers["/reservations"] = trouble
    assert kitchen.resolve() is False
    assert [call.path for call in kitchen.inventory.calls] == [f"/reservations/{first.order_id}"]
    kitchen.inventory.answers["/reservations"] = HOLDS
    assert kitchen.resolve() is True
    assert kitchen.inventory.calls[-1].path == f"/reservations/{second.order_id}"
    kitchen.after_a_moment()
    assert kitchen.look(first).status == "reserved"


def test_an_order_that_cannot_be_done_yet_does_not_hold_up_others(kitchen):
    first, second = kitchen.unfinished(), kitchen.unfinished()
    kitchen.inventory.answers["/reservations"] = [Reply(500, {}), HOLDS]
    assert kitchen.resolve() is True
    assert (kitchen.look(first).status, kitchen.look(second).status) == ("unknown", "reserved")


def test_a_round_is_bounded_and_the_rest_comes_next(kitchen):
    for _ in range(ROUND + 5):
        kitchen.unfinished()
    assert kitchen.resolve() is True
    assert len(kitchen.owed()) == 5
    assert kitchen.resolve() is True
    assert kitchen.owed() == []


def test_a_neighbour_that_hangs_holds_up_only_its_own_steps(kitchen):
    kitchen.notification.answers["/send"] = NoAnswer("x")
    reserved = kitchen.fulfil(kitchen.place())
    waiting = kitchen.unfinished()
    kitchen.inventory.answers["/reservations"] = HOLDS
    kitchen.after_a_moment()
    assert kitchen.look(waiting).status == kitchen.look(reserved).status == "reserved"


def test_a_database_that_is_away_is_not_blamed_on_an_order(kitchen, monkeypatch):
    order = kitchen.unfinished()
    kitchen.inventory.answers["/reservations"] = HOLDS
    away = ConnectionError("the database is away")
    with monkeypatch.context() as patch:
        patch.setattr(order_book, "save", lambda *_args, **_options: raise_(away))
        with pytest.raises(ConnectionError):
            kitchen.steps.resolve("ask")
    assert kitchen.resolve() is True  # at once: nothing was postponed
    assert kitchen.look(order).status == "reserved"


def raise_(error: Exception) -> None:
    raise error


def test_a_request_that_goes_on_after_the_decision_to_release_does_not_complete(kitchen):
    """The order service was frozen in mid-request; another took over its orders before it woke up."""
    order, frozen, meanwhile = kitchen.place(), kitchen.steps, []

    def request_goes_on(_body) -> Reply:
        meanwhile.append(frozen.fulfil(order))
        return HAS_RELEASED

    kitchen.inventory.answers["/release"] = request_goes_on
    kitchen.clock.now += 60
    kitchen.start_after_death()
    for _ in range(3):
        kitchen.after_a_moment()
    assert meanwhile[0].status == "unknown"
    assert (kitchen.look(order).status, kitchen.owed()) == ("failed", [])
    assert kitchen.notification.calls == []


def test_a_loop_that_goes_on_after_the_decision_to_release_does_not_complete(kitchen):
    """The order service was frozen while it asked; the one that took over had decided to release."""
    order, frozen = kitchen.unfinished(), kitchen.steps

    def another_decides(_body) -> Reply:
        kitchen.inventory.answers |= {"/reservations": NEVER_SEEN, "/release": NoAnswer("x")}
        kitchen.start_after_death()
        kitchen.steps.resolve("ask")
        return HOLDS  # what inventory had answered before

    kitchen.inventory.answers["/reservations"] = another_decides
    frozen.resolve("ask")
    assert (kitchen.look(order).status, kitchen.owed()) == ("unknown", ["release"])
    kitchen.inventory.answers["/release"] = HAS_RELEASED
    kitchen.after_a_moment()
    assert (kitchen.look(order).status, kitchen.owed()) == ("failed", [])
    assert kitchen.notification.calls == []


def test_a_loop_that_goes_on_after_another_completed_the_order_does_not_release_it(kitchen):
    order, frozen = kitchen.unfinished(), kitchen.steps

    def another_completes(_body) -> Reply:
        kitchen.inventory.answers["/reservations"] = HOLDS
        kitchen.start_after_death()
        kitchen.steps.resolve("ask")
        return NEVER_SEEN

    kitchen.inventory.answers["/reservations"] = another_completes
    frozen.resolve("ask")
    assert "/release" not in kitchen.inventory.paths
    assert kitchen.look(order).status == "reserved"


def test_a_request_that_goes_on_before_the_decision_to_release_keeps_its_reservation(kitchen):
    order, frozen = kitchen.place(), kitchen.steps

    def request_goes_on(_body) -> Reply:
        frozen.fulfil(order)
        return NEVER_SEEN  # for inventory had looked a little earlier

    kitchen.inventory.answers["/reservations"] = request_goes_on
    kitchen.clock.now += 60
    kitchen.start_after_death()
    for _ in range(3):
        kitchen.after_a_moment()
    assert (kitchen.look(order).status, kitchen.owed()) == ("reserved", ["notify"])
    assert frozen.resolve("notify") is True
    assert "/release" not in kitchen.inventory.paths
