"""The inventory and the notification service, their broker being fakes: what they do once, and what they tell."""

import pytest
from campus.events import INVENTORY_RESERVED, ORDER_PLACED, Event, new_event
from conftest import STOCK, Served


@pytest.fixture
def inventory(make) -> Served:
    return make("inventory")


@pytest.fixture
def notification(make) -> Served:
    return make("notification")


def placed(order_id: str, sku: str = "burger", qty: int = 1, **more) -> Event:
    return new_event(ORDER_PLACED, order_id, {"user_id": "u1", "items": [{"sku": sku, "qty": qty}]}, **more)


def reserved(order_id: str, **more) -> Event:
    data = {"user_id": "u1", "items": [{"sku": "burger", "qty": 1}]}
    return new_event(INVENTORY_RESERVED, order_id, data, **more)


def on_hand(inventory: Served) -> dict[str, int]:
    levels = inventory.client.get("/stock").json["stock"]
    return {sku: level["on_hand"] for sku, level in levels.items()}


def test_a_placed_order_is_reserved_and_told(inventory):
    inventory.take(placed("o1", request_id="r1"))
    (published,) = inventory.events()
    (held,) = inventory.listed("/reservations")
    assert (published.event_type, published.order_id, published.request_id) == ("InventoryReserved", "o1", "r1")
    assert published.data == placed("o1").data
    assert published.occurred_at == held["at"]
    assert on_hand(inventory) == STOCK | {"burger": 4}


@pytest.mark.parametrize(("sku", "qty", "reason"), [("burger", 6, "insufficient_stock"), ("gold", 1, "unknown_sku")])
def test_an_order_that_cannot_be_reserved_fails_with_its_reason(inventory, sku, qty, reason):
    inventory.take(placed("o1", sku, qty))
    (published,) = inventory.events()
    assert (published.event_type, published.data) == ("InventoryFailed", {"reason": reason})
    assert on_hand(inventory) == STOCK


@pytest.mark.promise("b-duplicates")
def test_a_batch_of_orders_is_one_transaction(inventory):
    inventory.take(placed("o1"), placed("o2"), placed("o3", qty=4))
    assert inventory.journal == ["commit", "publish", "ack"]
    assert [published.event_type for published in inventory.events()] == ["InventoryReserved"] * 2 + ["InventoryFailed"]


@pytest.mark.promise("b-duplicates")
def test_an_order_that_comes_again_takes_nothing_and_the_same_event_is_told_again(inventory, make):
    inventory.take(placed("o1"))
    inventory.take(placed("o1"), placed("o1"))
    again = make("inventory")  # as after a restart
    again.take(placed("o1"))
    published = inventory.events() + again.events()
    assert len(published) == 4
    assert len({message.encode() for message in published}) == 1
    assert on_hand(again) == STOCK | {"burger": 4}


def test_a_refusal_stays_a_refusal_when_the_order_comes_again(inventory):
    inventory.configure(failure_rate=1, failure_mode="reject")
    inventory.take(placed("o1"))
    inventory.client.delete("/configure")
    inventory.take(placed("o1"))
    first, second = inventory.events()
    assert first == second
    assert first.data == {"reason": "injected"}


def test_a_reserved_order_is_notified_and_told(notification):
    notification.take(reserved("o1", request_id="r1"))
    (published,) = notification.events()
    (sent,) = notification.listed("/notifications")
    assert (published.event_type, published.order_id, published.request_id) == ("NotificationSent", "o1", "r1")
    assert (published.occurred_at, published.data) == (sent["at"], {"user_id": "u1"})
    assert (sent["order_id"], sent["user_id"]) == ("o1", "u1")


@pytest.mark.promise("INV-6")
def test_an_order_is_notified_once_however_often_it_is_told(notification, make):
    notification.take(reserved("o1"), reserved("o1"))
    again = make("notification")
    again.take(reserved("o1"))
    assert len(again.listed("/notifications")) == 1
    published = notification.events() + again.events()
    assert len({message.encode() for message in published}) == 1


def test_a_notification_that_is_refused_is_tried_again_later_and_harms_nobody(notification):
    notification.configure(failure_rate=0.5, failure_mode="reject", seed=2)
    notification.take(*(reserved(f"o{n}") for n in range(20)))
    done = len(notification.listed("/notifications"))
    assert 0 < done < 20
    assert notification.publisher.keys.count("notification.sent") == done
    assert notification.publisher.keys.count("inventory-reserved.retry-1s") == 20 - done
