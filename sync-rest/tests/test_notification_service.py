"""The notification service: one notification for each order."""

import pytest


@pytest.fixture
def client(make):
    return make("notification")


def send(client, order_id: str = "o1", user_id: str = "u1"):
    return client.post("/send", json={"order_id": order_id, "user_id": user_id})


def test_send_answers_with_the_notification(client):
    response = send(client)
    assert response.status_code == 200
    assert (response.json["order_id"], response.json["user_id"]) == ("o1", "u1")
    assert client.get("/notifications").json == {"notifications": [response.json], "next": None}


def test_a_second_call_answers_with_the_first_notification(client):
    first = send(client)
    assert send(client).json == first.json
    assert len(client.get("/notifications").json["notifications"]) == 1


def test_notifications_of_one_order(client):
    send(client, "o1")
    sent = send(client, "o2").json
    assert client.get("/notifications?order_id=o2").json["notifications"] == [sent]
    assert client.get("/notifications?order_id=o9").json == {"notifications": [], "next": None}


def test_notifications_come_in_pages(client):
    for order_id in ("o1", "o2", "o3"):
        send(client, order_id)
    first = client.get("/notifications?limit=2").json
    second = client.get(f"/notifications?limit=2&after={first['next']}").json
    rows = [*first["notifications"], *second["notifications"]]
    assert [row["order_id"] for row in rows] == ["o1", "o2", "o3"]
    assert second["next"] is None


def test_paging_through_one_order_comes_to_an_end(client):
    send(client)
    first = client.get("/notifications?order_id=o1&limit=1").json
    second = client.get(f"/notifications?order_id=o1&limit=1&after={first['next']}").json
    assert second == {"notifications": [], "next": None}


def test_what_was_sent_survives_a_restart(client, make):
    first = send(client)
    assert send(make("notification")).json == first.json


def test_an_injected_refusal_sends_nothing(client, problem):
    client.post("/configure", json={"failure_rate": 1, "failure_mode": "reject"})
    response = send(client)
    assert (response.status_code, problem(response)["reason"]) == (409, "injected")
    assert client.get("/notifications").json["notifications"] == []


def test_ready(client):
    assert client.get("/ready").json["checks"] == {"database": "ok"}
