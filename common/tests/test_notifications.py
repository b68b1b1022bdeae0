"""Notifications: one for each order."""

import pytest
from campus import notifications


@pytest.fixture
def database(open_database):
    return open_database(notifications.metadata)


def send(database, *order_ids: str) -> list[dict]:
    sent = []
    for order_id in order_ids:
        with database.transaction() as tx:
            sent.append(notifications.send(tx, order_id, "u1"))
    return sent


def ids(database, **query) -> list[str]:
    with database.transaction() as tx:
        return [row["order_id"] for row in notifications.page(tx, **{"after": "", "limit": 100} | query)]


def test_a_notification_is_stored(database):
    (sent,) = send(database, "o1")
    assert (sent["order_id"], sent["user_id"]) == ("o1", "u1")
    with database.transaction() as tx:
        assert notifications.page(tx, after="", limit=10) == [sent]


@pytest.mark.promise("INV-6")
def test_a_second_call_answers_with_the_first_notification(database):
    first, second = send(database, "o1", "o1")
    assert first == second
    assert ids(database) == ["o1"]


def test_pages(database):
    for order_id in ("o3", "o1", "o2"):
        send(database, order_id)
    assert ids(database, limit=2) == ["o3", "o1"]
    assert ids(database, limit=2, after="o1") == ["o2"]
    assert ids(database, after="o2") == []


def test_one_order(database):
    send(database, "o1", "o2")
    assert ids(database, order_id="o2") == ["o2"]
    assert ids(database, order_id="o9") == []


def test_paging_through_one_order_comes_to_an_end(database):
    send(database, "o1")
    assert ids(database, order_id="o1", limit=1) == ["o1"]
    assert ids(database, order_id="o1", limit=1, after="o1") == []
