"""The inventory service: reserve, release, what it shows, and its stock."""

import pytest


@pytest.fixture
def client(make):
    return make("inventory")


def reserve(client, order_id: str = "o1", **lines: int):
    items = [{"sku": sku, "qty": qty} for sku, qty in lines.items()]
    return client.post("/reserve", json={"order_id": order_id, "items": items})


def stock(client) -> dict[str, tuple[int, int, int]]:
    shown = client.get("/stock").json["stock"]
    return {sku: (level["initial"], level["on_hand"], level["reserved"]) for sku, level in shown.items()}


FULL = {"burger": (5, 5, 0), "fries": (5, 5, 0)}


def test_reserve_answers_with_the_reservation(client):
    response = reserve(client, burger=2)
    assert response.status_code == 200
    assert response.json.pop("at")
    assert {key: response.json[key] for key in ("order_id", "items", "status")} == {
        "order_id": "o1",
        "items": [{"sku": "burger", "qty": 2}],
        "status": "reserved",
    }
    assert stock(client) == FULL | {"burger": (5, 3, 2)}


def test_lines_of_one_sku_are_added_up(client):
    lines = [{"sku": "burger", "qty": 3}, {"sku": "burger", "qty": 3}]
    response = client.post("/reserve", json={"order_id": "o1", "items": lines})
    assert (response.status_code, response.json["reason"]) == (409, "insufficient_stock")
    assert stock(client) == FULL


@pytest.mark.parametrize(
    ("lines", "status", "reason"),
    [({"burger": 1, "fries": 6}, 409, "insufficient_stock"), ({"burger": 1, "unicorn": 1}, 404, "unknown_sku")],
)
def test_a_refusal_says_why_and_takes_nothing(client, problem, lines, status, reason):
    response = reserve(client, **lines)
    body = problem(response)
    assert (response.status_code, body["reason"], body["order_id"]) == (status, reason, "o1")
    assert body["reservation"]["status"] == "failed"
    assert stock(client) == FULL


@pytest.mark.promise("INV-2", "a-duplicates")
def test_a_second_call_answers_with_the_first_verdict(client):
    first = reserve(client, burger=2)
    assert reserve(client, burger=2).json == first.json
    refused = reserve(client, "o2", burger=9).json["reservation"]
    client.post("/stock", json={"sku": "burger", "add": 20})
    assert reserve(client, "o2", burger=9).json["reservation"] == refused
    assert stock(client)["burger"] == (25, 23, 2)


def test_release_gives_back_once(client):
    reserve(client, burger=2)
    first = client.post("/release", json={"order_id": "o1"})
    assert (first.status_code, first.json["status"]) == (200, "released")
    assert client.post("/release", json={"order_id": "o1"}).json == first.json
    assert stock(client) == FULL


def test_a_reservation_that_comes_after_its_release_takes_nothing(client, problem):
    assert client.post("/release", json={"order_id": "o1"}).status_code == 200
    response = reserve(client, burger=2)
    assert problem(response)["reason"] == "released"
    assert response.status_code == 409
    assert stock(client) == FULL


def test_one_reservation_can_be_seen(client, problem):
    made = reserve(client, burger=2).json
    assert client.get("/reservations/o1").json == made
    missing = client.get("/reservations/o9")
    assert (missing.status_code, problem(missing)["order_id"]) == (404, "o9")


def test_reservations_come_in_pages(client):
    for order_id in ("o1", "o2", "o3"):
        reserve(client, order_id, burger=1)
    first = client.get("/reservations?limit=2").json
    assert [row["order_id"] for row in first["reservations"]] == ["o1", "o2"]
    second = client.get(f"/reservations?limit=2&after={first['next']}").json
    assert [row["order_id"] for row in second["reservations"]] == ["o3"]
    assert second["next"] is None


def test_stock_can_be_set_and_added_to(client):
    reserve(client, burger=2)
    response = client.post("/stock", json={"sku": "burger", "set": 7})
    assert (response.status_code, response.json) == (200, client.get("/stock").json)
    assert stock(client)["burger"] == (9, 7, 2)
    client.post("/stock", json={"sku": "burger", "add": 1})
    assert stock(client)["burger"] == (10, 8, 2)
    client.post("/stock", json={"sku": "tea", "add": 1})
    assert stock(client)["tea"] == (1, 1, 0)


def test_stock_and_reservations_survive_a_restart(client, make):
    made = reserve(client, burger=2).json
    again = make("inventory")
    assert stock(again) == FULL | {"burger": (5, 3, 2)}
    assert reserve(again, burger=2).json == made


def test_the_menu_is_the_default_stock(make, tmp_path):
    client = make("inventory", INITIAL_STOCK="", DATABASE_URL=f"sqlite:///{tmp_path}/other.db")
    assert stock(client)["taco"] == (100_000, 100_000, 0)
    assert " ".join(stock(client)) == "burger fries pizza salad sandwich soda sushi taco"


def test_a_bad_initial_stock_stops_the_service_at_start(make, tmp_path):
    with pytest.raises(ValueError, match="INITIAL_STOCK"):
        make("inventory", INITIAL_STOCK="-1", DATABASE_URL=f"sqlite:///{tmp_path}/other.db")


def test_ready(client):
    assert client.get("/ready").json["checks"] == {"database": "ok"}
