"""`./lab live` without a browser: what it knows of orders, which invariants it decides, and whom it obeys."""

import contextlib
import json
import os
import re
import threading
from collections import deque
from types import SimpleNamespace

import pytest
from campus.metrics import digest, metrics, minute
from flask import Flask
from lab import client
from lab.analysis.backlog import Backlog
from lab.errors import LabError
from lab.history.model import HISTORY, read
from lab.live import html, instance, one_order, runs, service_log
from lab.live.app import Live, create_app
from lab.live.facts import WINDOW, Facts
from lab.live.lists import MORE_PAGES, MORE_ROWS, ROWS, seconds
from lab.live.promises import Promises
from lab.live.service_log import ContainerTail, FileTail, Replies
from lab.live.watcher import NICE, Watcher
from lab.paths import RESULTS
from lab.runtime import processes
from lab.runtime.local import LocalRuntime
from lab.runtime.processes import Seen
from lab.services import Service

LINE = [{"sku": "burger", "qty": 1}]


def at(second: float) -> str:
    return f"2026-01-31T12:00:{second:09.6f}Z"


NOW = seconds(at(30))


class Part:
    """The lists of a part's three services; `silent` are those that do not answer."""

    def __init__(self) -> None:
        self.lists: dict[str, list[dict]] = {"orders": [], "reservations": [], "notifications": []}
        self.silent: set[str] = set()
        self.asked: list[tuple[str, int]] = []  # of each request: what was asked for, and how many rows came
        names = ("order", "inventory", "notification")
        self.services = {name: Service("made", name, [], {}, "", port, {}) for port, name in enumerate(names, 1)}

    def order(self, id: str, placed: float, reserved: float | None = None, notified: float | None = None) -> dict:
        """Add an order with what the services did for it; return its row."""
        timeline = [{"status": "placed", "at": at(placed)}]
        row = {"order_id": id, "user_id": f"u-{id}", "items": LINE, "status": "placed", "timeline": timeline}
        self.lists["orders"].append(row)
        if reserved is not None:
            self.reserve(id, reserved)
        if notified is not None:
            self.notify(id, notified)
        return row

    def reserve(self, id: str, second: float, status: str = "reserved") -> None:
        self.lists["reservations"].append({"order_id": id, "items": LINE, "status": status, "at": at(second)})

    def notify(self, id: str, second: float) -> None:
        self.lists["notifications"].append({"order_id": id, "user_id": f"u-{id}", "at": at(second)})

    def call(self, _method: str, url: str, *, timeout: float, params: dict | None = None) -> SimpleNamespace:
        """Answer as the service with this port would."""
        port, _, path = url.removeprefix("http://127.0.0.1:").partition("/")
        if list(self.services)[int(port) - 1] in self.silent:
            raise LabError(f"{url} does not answer")
        name, _, one = path.partition("/")
        self.asked.append((path, 0))
        if name == "stock":
            return answer({"stock": {"burger": {"initial": 9999, "on_hand": 9999 - len(self.lists["reservations"])}}})
        rows = self.lists[name]
        if one:
            found = next((row for row in rows if row["order_id"] == one), None)
            return answer(found) if found else SimpleNamespace(status_code=404)
        after, limit = params["after"], params["limit"]
        place = next((n for n, row in enumerate(rows) if row["order_id"] == after), None) if after else -1
        if place is None:
            return SimpleNamespace(status_code=400)
        page = rows[place + 1 : place + 1 + limit]
        self.asked[-1] = name, len(page)
        return answer({name: page, "next": page[-1]["order_id"] if len(page) == limit else None})


def answer(value: dict) -> SimpleNamespace:
    return SimpleNamespace(status_code=200, json=lambda: json.loads(json.dumps(value)))


@pytest.fixture
def part(monkeypatch) -> Part:
    made = Part()
    monkeypatch.setattr(client, "call", made.call)
    return made


def checked(facts: Facts, has_log: bool = False) -> Promises:
    promises = Promises("made", has_log)
    promises.check(facts)
    return promises


def test_an_order_is_followed_from_placed_to_notified(part):
    facts = Facts(part.services)
    part.order("o1", 10)
    facts.follow(NOW)
    assert list(facts.open) == ["o1"]
    assert facts.oldest(NOW) == 20
    part.reserve("o1", 12)
    part.notify("o1", 13.5)
    facts.follow(seconds(at(14)))
    assert not facts.open
    assert list(facts.latencies) == [(seconds(at(13.5)), 3.5)]
    assert facts.completed[int(seconds(at(13)))] == 1
    assert [what for what, _ in facts.news] == ["placed", "reserved", "notified"]


def test_more_orders_than_a_page_holds_are_all_seen(part):
    for n in range(600):
        part.order(f"o{n:03}", 1 + n / 100, 8, 9)
    facts = Facts(part.services)
    facts.follow(NOW)
    assert (facts.count, len(facts.open)) == (600, 0)
    assert facts.caught_up


def with_orders(part: Part, count: int) -> tuple[Facts, Promises]:
    """Let a part have so many orders that ended and were checked."""
    for n in range(count):
        second = 1 + n / count
        part.order(f"o{n:04}", second, second + 1, second + 2)
    facts, promises = Facts(part.services), Promises("made", has_log=False)
    for _ in range(1 + count // ROWS):
        facts.follow(NOW)
        promises.check(facts)
    assert (promises.checked, facts.caught_up) == (count, True)
    return facts, promises


def held(facts: Facts, promises: Promises) -> int:
    """Return how many rows, ids and counts are kept."""
    tables = [*vars(facts).values(), *vars(promises).values(), *facts._early.values()]
    tables += [table for of in facts._lists.values() for table in vars(of).values()]
    return sum(len(table) for table in tables if isinstance(table, (dict, list, set, deque)))


@pytest.fixture(params=[100, 5000])
def known(request, part) -> tuple[Facts, Promises]:
    return with_orders(part, request.param)


def test_a_look_asks_each_service_once_however_many_orders_there_were(known, part):
    facts, promises = known
    for n in range(50):
        part.order(f"new{n:02}", 28, 28.1, 28.2)
    part.asked.clear()
    facts.follow(NOW)
    promises.check(facts)
    assert part.asked == [("notifications", 50), ("reservations", 50), ("orders", 50)]
    facts.follow(NOW + 5)
    promises.check(facts)
    assert part.asked[3:] == [("notifications", 0), ("reservations", 0), ("orders", 0)]
    assert promises.shown()["hold"] == 7


def test_what_is_kept_does_not_grow_with_the_orders(known):
    facts, promises = known
    facts.news.clear()  # each look takes them
    assert not facts.open | facts.ended
    assert held(facts, promises) < 500


def test_a_look_reads_only_so_many_rows(part):
    for n in range(5000):
        part.order(f"o{n:04}", 1 + n / 1000)
    facts = Facts(part.services)
    facts.follow(NOW)
    assert sum(rows for _, rows in part.asked) == ROWS + MORE_PAGES * MORE_ROWS + WINDOW
    assert (len(part.asked), facts.caught_up) == (3 + MORE_PAGES + 1, False)
    part.asked.clear()
    facts.follow(NOW)
    facts.follow(NOW)
    part.asked.clear()
    facts.follow(NOW + 1)  # all of them still wait
    assert part.asked == [("notifications", 0), ("reservations", 0), ("orders", 0), ("orders", WINDOW)]


def test_lists_that_are_behind_are_read_in_step(part):
    for n in range(8000):
        part.order(f"o{n:04}", 1 + n / 1000, 1 + n / 1000, 1 + n / 1000)
    facts, most = Facts(part.services), 0
    while not facts.caught_up:
        facts.follow(NOW)
        most = max(most, len(facts.open) + len(facts.ended) + sum(map(len, facts._early.values())))
        checked(facts)
    assert facts.count == 8000
    assert most <= 2000 + MORE_PAGES * MORE_ROWS  # 2 s of them may still get a row, and what a look reads


def test_every_order_that_waits_is_asked_about_again_in_turn(part):
    facts = Facts(part.services)
    rows = [part.order(f"o{n:04}", 1 + n / 1000, 2 if n % 2 else None, 3 if n % 2 else None) for n in range(1000)]
    facts.follow(NOW)
    facts.follow(NOW)
    assert len(facts.open) == 500
    for row in rows[::2]:
        row |= {"status": "failed", "timeline": [*row["timeline"], {"status": "failed", "at": at(11)}]}
    for _ in range(1000 // WINDOW + 1):
        facts.follow(NOW)
    assert not facts.open


def test_an_order_that_inventory_refused_is_asked_about_first(part):
    facts = Facts(part.services)
    rows = [part.order(f"o{n:04}", 1 + n / 1000) for n in range(1000)]
    for _ in range(3):
        facts.follow(NOW)
    part.reserve("o0900", 20, "failed")
    rows[900] |= {"status": "failed", "timeline": [*rows[900]["timeline"], {"status": "failed", "at": at(21)}]}
    facts.follow(NOW)
    facts.follow(NOW)
    assert len(facts.open) == 999


def test_orders_that_are_taken_back_are_forgotten_and_nothing_is_read_twice(part):
    """As in Part C, where an order that Kafka did not acknowledge is no longer in its list."""
    facts = Facts(part.services)
    for n in range(10):
        part.order(f"o{n}", 10, 11 if n < 5 else None, 12 if n < 5 else None)
    facts.follow(NOW)
    del part.lists["orders"][7:]
    part.lists["orders"].pop(5)
    part.order("new", 20, 21, 22)
    for _ in range(4):
        facts.follow(NOW)
    assert (list(facts.open), facts.count, facts.beginning) == (["o6"], 7, 1)


def test_at_rest_all_is_decided_once_and_then_only_the_lists_are_asked_for(part, monkeypatch):
    runtime = LocalRuntime()
    monkeypatch.setattr(runtime, "look", lambda services: [Seen("running") for _ in services])
    watcher = Watcher("sync-rest", runtime, lambda _: {})
    watcher._kinds, watcher.facts = part.services, Facts(part.services)
    part.order("o1", 10, 11, 12)
    watcher.look()
    assert "stock" in dict(part.asked)
    assert watcher.shown["promises"] == {"all": 7, "hold": 7, "orders": 1, "broken": None, "so_far": []}
    part.asked.clear()
    watcher.look()
    assert [name for name, _ in part.asked] == ["notifications", "reservations", "orders"]


def test_an_order_that_fails_is_noticed_when_it_is_asked_about_again(part):
    facts = Facts(part.services)
    row = part.order("o1", 10)
    facts.follow(NOW)
    row |= {"status": "failed", "timeline": [*row["timeline"], {"status": "failed", "at": at(11)}]}
    facts.follow(NOW + 1)
    assert not facts.open
    assert checked(facts).broken == {}


def test_a_part_that_was_emptied_is_followed_from_the_beginning(part):
    facts = Facts(part.services)
    part.order("old", 1, 2, 3)
    facts.follow(NOW)
    for rows in part.lists.values():
        rows.clear()
    part.order("new", 20)
    facts.follow(NOW)
    facts.follow(NOW)
    assert (facts.count, [*facts.open]) == (1, ["new"])


def test_good_orders_keep_every_promise_and_some_only_so_far(part):
    facts = Facts(part.services)
    part.order("o1", 10, 11, 12)
    facts.follow(NOW)
    promises = checked(facts)
    assert promises.shown() == {"all": 7, "hold": 7, "orders": 1, "broken": None,
                                "so_far": ["INV-1", "INV-3", "INV-5", "INV-6", "INV-7"]}  # fmt: skip
    promises.settle([{"sku": "burger", "initial": 5, "on_hand": 4}], None)
    assert promises.shown()["so_far"] == []


def test_while_a_service_does_not_answer_nothing_is_decided(part):
    facts = Facts(part.services)
    part.order("o1", 10)
    facts.follow(NOW)
    part.reserve("o1", 11)  # and inventory is killed before this page has read its list
    part.silent = {"inventory"}
    part.notify("o1", 12)
    with pytest.raises(LabError):
        facts.follow(NOW + 5)
    assert checked(facts).checked == 0
    part.silent = set()
    facts.follow(NOW + 10)
    assert checked(facts).shown()["hold"] == 7


def twice_reserved(part: Part) -> None:
    part.order("o1", 10, 11, 12)
    part.reserve("o1", 13)


def never_reserved(part: Part) -> None:
    part.order("o1", 10, None, 12)


def told_twice(part: Part) -> None:
    part.order("o1", 10, 11, 12)
    part.notify("o1", 13)


def other_items(part: Part) -> None:
    part.order("o1", 10, 11, 12)
    part.lists["reservations"][0]["items"] = [{"sku": "burger", "qty": 7}]


@pytest.mark.parametrize(("mistake", "invariant"), [
    (twice_reserved, "INV-2"), (never_reserved, "INV-6"), (told_twice, "INV-6"), (other_items, "INV-4"),
])  # fmt: skip
def test_a_broken_promise_is_red_with_the_first_order_that_breaks_it(part, mistake, invariant):
    mistake(part)
    facts = Facts(part.services)
    facts.follow(NOW)
    shown = checked(facts).shown()
    assert shown["hold"] < 7
    assert shown["broken"][1] == "o1"
    assert invariant in checked_again(part).broken


def checked_again(part: Part) -> Promises:
    facts = Facts(part.services)
    facts.follow(NOW)
    return checked(facts)


def test_a_second_reservation_is_seen_even_after_the_order_was_checked(part):
    facts = Facts(part.services)
    part.order("o1", 10, 11, 12)
    facts.follow(NOW)
    promises = checked(facts)
    part.reserve("o2", 13)
    part.order("o2", 13, None, 14)
    part.reserve("o1", 14)
    facts.follow(NOW + 5)
    promises.check(facts)
    assert promises.broken["INV-2"] == ("o1", "a second reservation")


def test_stock_and_analytics_are_compared_when_no_order_is_under_way(part):
    facts = Facts(part.services)
    part.order("o1", 10, 11, 12)
    facts.follow(NOW)
    promises = checked(facts, has_log=True)
    right = metrics({minute(at(10)): 1}, 1, 0, now=0)
    promises.settle([{"sku": "burger", "initial": 5, "on_hand": 4}], right | {"digest": digest(right)})
    assert promises.broken == {}
    promises.settle([{"sku": "burger", "initial": 5, "on_hand": 5}], right | {"totalOrdersSeen": 2})
    assert promises.broken.keys() == {"INV-3", "INV-8"}


def test_replies_come_from_the_log_also_when_it_is_begun_anew(tmp_path):
    log = tmp_path / "order.log"
    log.write_text("old\n")
    replies = Replies(FileTail(log))

    def line(second: float, ms: float, status: int = 201) -> str:
        shape = {"at": at(second), "path": "/order", "status": status, "ms": ms, "order_id": f"o{second}"}
        return json.dumps(shape, separators=(",", ":")) + "\n"

    with log.open("a") as file:
        file.write(line(20, 4) + line(21, 8) + line(21, 9, 503) + line(22, 1)[:30])
    replies.follow(NOW)
    assert (replies.by_second.total(), replies.refused.total()) == (3, 1)
    assert replies.quantiles[1] == pytest.approx(0.008, abs=1e-4)
    log.write_text(line(23, 5))
    replies.follow(NOW)
    assert replies.by_second[int(seconds(at(23)))] == 1


def test_what_a_container_said_is_taken_once(monkeypatch):
    now, asked = [100.0], []
    monkeypatch.setattr(service_log.time, "monotonic", lambda: now[0])
    said = [(f"2999-11-27T13:00:0{second}.000000000Z", b"%d" % second) for second in range(5)]

    def said_since(stamp: str) -> list[tuple[str, bytes]]:
        asked.append(stamp)
        return [line for line in said if line[0] >= stamp][: len(asked) + 1]  # Docker: from this time on

    tail = ContainerTail(said_since)
    assert tail() == [b"0", b"1"]
    assert tail() == []  # not yet asked again
    found = []
    for _ in range(3):
        now[0] += 1.0
        found += tail()
    assert found == [b"2", b"3", b"4"]
    assert len(asked) == 4


def test_the_sequence_of_an_order_says_what_its_services_said():
    timeline = [{"status": "placed", "at": at(1)}, {"status": "notified", "at": at(4)}]
    order = {"order_id": "o1", "status": "notified", "timeline": timeline}
    reservation = {"status": "reserved", "at": at(3.9)}
    steps = one_order.sequence("async-rabbitmq", order, reservation, [{"at": at(4)}], [])
    texts = [step["text"] for step in steps]
    assert texts[:5] == ["placed", "2.9 s pass", "OrderPlaced", "OrderPlaced", "commit: reserved"]
    assert texts[5:] == ["InventoryReserved", "InventoryReserved", "commit: notified"]
    assert steps[-1]["at"] == 3000


def recorded(order_id: str) -> list[dict]:
    def line(at_: float, service: str, kind: str, what: str, **more) -> dict:
        return {"at": at_, "service": service, "kind": kind, "what": what, "order_id": order_id} | more

    sent = {"by": "rabbitmq", "event_id": "e1"}
    return [
        line(1.0, "order", "commit", "placed"),
        line(1.1, "order", "message", "order.placed", to="rabbitmq", event_id="e1"),
        line(1.2, "order", "confirm", "", by="rabbitmq"),
        line(1.3, "inventory", "delivery", "order.placed", **sent),
        line(3.0, "inventory", "delivery", "order.placed", **sent),
    ]


def test_an_order_that_was_recorded_is_drawn_from_its_messages():
    order = {"order_id": "o1", "status": "placed", "timeline": [{"status": "placed", "at": at(1)}]}
    shape = {"part": "async-rabbitmq", "order": order, "reservation": None, "notifications": []}
    found = one_order.drawn(shape, recorded("o1"), [("inventory", 2.0)])
    assert found["recorded"]
    assert found["actors"] == ["client", "order", "rabbitmq", "inventory", "notification"]
    assert [(s["kind"], s["from"], s["to"], s["text"]) for s in found["steps"]] == [
        ("commit", "order", "order", "commit placed"),
        ("message", "order", "rabbitmq", "order.placed"),
        ("reply", "rabbitmq", "order", "confirm"),
        ("message", "rabbitmq", "inventory", "order.placed"),
        ("trouble", "inventory", "inventory", "✗ killed"),
        ("gap", "", "", "1.0 s pass"),
        ("message", "rabbitmq", "inventory", "again: order.placed"),
    ]
    assert found["steps"][-1]["again"]
    assert [s["text"] for s in found["steps"] if s.get("crash")] == ["✗ killed"]
    other = one_order.drawn(shape, recorded("o2"), [])
    assert not other["recorded"]
    assert [step["text"] for step in other["steps"]] == ["placed"]


def test_a_fault_is_a_band_until_its_service_works_again():
    watcher = Watcher("sync-rest", LocalRuntime(), lambda _: {})
    running = dict.fromkeys(("order", "inventory", "notification"), "running")

    def look(at_: float, ready: str = "yes", delay: float = 0.0, **states: str) -> list[tuple]:
        config = {"delay": delay, "failure_mode": "error", "crash_point": None}
        watcher._around.conditions = {name: {"ready": "yes", "config": {}} for name in running}
        watcher._around.conditions["inventory"] = {"ready": ready, "config": config}
        watcher._note_faults(running | states, at_)
        return [(f["service"], f["what"], f["since"], f["until"]) for f in watcher.faults]

    assert look(1) == []
    assert look(2, ready="", inventory="exited") == [("inventory", "killed", 2, None)]
    assert look(3, ready="no answer") == [("inventory", "killed", 2, None)]  # it starts
    assert look(4) == [("inventory", "killed", 2, 4)]
    assert look(5, delay=0.5)[1:] == [("inventory", "delay=0.5", 5, None)]
    assert look(6)[1:] == [("inventory", "delay=0.5", 5, 6)]
    assert look(605) == [("inventory", "delay=0.5", 5, 6)]  # the first is older than the charts


def test_when_nobody_looked_the_charts_have_a_gap():
    watcher = Watcher("sync-rest", LocalRuntime(), lambda _: {})
    for second in (100, 101, 102, 200, 201):
        watcher._note_second(second)
    assert [(row["at"], row["waiting"]) for row in watcher.seconds] == [
        (99, 0), (100, 0), (101, 0), (102, None), (199, 0), (200, 0),
    ]  # fmt: skip


def test_what_is_seen_after_its_second_is_over_counts_in_it():
    watcher = Watcher("sync-rest", LocalRuntime(), lambda _: {})
    watcher._note_second(101)
    watcher.facts.completed[100] += 1
    watcher.facts.placed[100] += 2
    watcher._note_second(102)
    assert [(row["at"], row["completed"], row["replies"]) for row in watcher.seconds] == [(100, 1, 2), (101, 0, 0)]


@pytest.mark.parametrize("wanted", [True, False])
def test_a_watcher_looks_only_when_it_is_wanted_and_gives_way(wanted):
    """A service that is started by click must not inherit it: only the thread that looks gives way."""
    watcher, looked, answers = Watcher("sync-rest", LocalRuntime(), lambda _: {}), [], [wanted]
    before = os.getpriority(os.PRIO_PROCESS, 0)

    def look() -> None:
        looked.append(os.getpriority(os.PRIO_PROCESS, threading.get_native_id()))

    def answer() -> bool:
        if not answers:
            raise SystemExit
        return answers.pop()

    def run() -> None:
        with contextlib.suppress(SystemExit):
            watcher._run(look, 0.0, answer)

    thread = threading.Thread(target=run, daemon=True)
    thread.start()
    thread.join(10)
    assert looked == ([max(before, NICE)] if wanted else [])
    assert os.getpriority(os.PRIO_PROCESS, 0) == before


@pytest.fixture
def live(monkeypatch):
    monkeypatch.setenv("CONFIGURE_TOKEN", "very-secret")
    return Live()


@pytest.fixture
def page(live):
    return create_app(live, 8030).test_client()


def test_parts_are_looked_at_only_while_a_page_is_open_or_its_load_runs(live, page):
    assert not live.wanted()
    page.get("/", headers=HOST)
    assert live.wanted()  # for a while
    live._asked_at = float("-inf")
    with live.reader():
        assert live.wanted()
    assert live.wanted()
    live._asked_at = float("-inf")
    assert not live.wanted()
    live.loads.rates["sync-rest"] = 5.0
    assert live.wanted()


HOST = {"Host": "127.0.0.1:8030"}


@pytest.mark.parametrize("path", ["/api/fault", "/api/load", "/api/predict"])
@pytest.mark.parametrize("headers", [
    {}, {"X-Live-Token": "guess"}, {"X-Live-Token": "", "Origin": "http://evil.example"},
    {"right": "yes", "Origin": "http://evil.example"}, {"right": "yes", "Sec-Fetch-Site": "cross-site"},
    {"right": "yes", "Host": "evil.example:8030"},
])  # fmt: skip
def test_only_the_page_itself_can_change_anything(page, live, path, headers, monkeypatch):
    def never(*_: object) -> None:
        raise AssertionError("it was done")

    monkeypatch.setattr("lab.faults.inject.act", never)
    monkeypatch.setattr(live.loads, "set_rate", never)
    given = HOST | {name: value for name, value in headers.items() if name != "right"}
    if "right" in headers:
        given["X-Live-Token"] = live.token
    body = {"service": "sync-rest/order", "verb": "kill", "rate": 5, "parts": ["sync-rest"]}
    assert page.post(path, json=body, headers=given).status_code == 403


def test_the_page_names_no_other_place_and_shows_no_secret(page, live):
    got = page.get("/", headers=HOST)
    assert live.token in got.text
    assert "very-secret" not in got.text
    assert "frame-ancestors 'none'" in got.headers["Content-Security-Policy"]
    assert page.get("/", headers={"Host": "evil.example"}).status_code == 403


def test_a_mistake_is_told_in_a_sentence(page, live):
    headers = HOST | {"X-Live-Token": live.token}
    answer = page.post("/api/load", json={"rate": 1e9, "parts": ["sync-rest"]}, headers=headers)
    assert (answer.status_code, "0 to 300" in answer.json["error"]) == (409, True)


def test_the_runs_are_those_of_results_with_their_verdicts():
    found = {run["name"]: run for run in runs.listed()}
    assert found["async-rabbitmq/b2_outage"]["verdict"] == "pass"
    assert found["broken/blind_retry/red"]["meant"]
    refused = "streaming-kafka/c5_broker"  # half of its orders do not exist
    assert f"over {found[refused]['orders']} orders" in (RESULTS / refused / "report.md").read_text()
    assert [name.partition("_")[0] for name in found][5:8] == ["sync-rest/a6", "async-rabbitmq/b1", "async-rabbitmq/b2"]
    with pytest.raises(LabError):
        runs.folder_of("../experiments")


def test_a_run_that_is_played_has_the_figures_of_its_report():
    folder = RESULTS / "async-rabbitmq/b2_outage"
    played, summary = runs.play(folder), json.loads((folder / "summary.json").read_text())
    placed = sorted(order[0] for order in played["orders"])
    ended = sorted(order[2] for order in played["orders"] if order[2] is not None)
    peak = max(n + 1 - sum(end <= at_ for end in ended) for n, at_ in enumerate(placed))
    assert peak == pytest.approx(Backlog(read(folder), "completion").peak(), abs=1)
    predicted = next(p for p in summary["predictions"] if p["id"] == "b2-backlog-peak")
    assert peak == pytest.approx(predicted["measured"], rel=0.01)
    assert played["faults"] == summary["windows"]
    assert played["waiting_predicted"] == predicted["predicted"]
    assert len(placed) == sum(summary["orders"]["by_status"].values())


def largest() -> str:
    """Return the committed run with the most raw data."""
    folders = [raw.parent for raw in RESULTS.rglob(HISTORY)]
    found = max(folders, key=lambda folder: sum(file.stat().st_size for file in folder.glob("*.gz")))
    return str(found.relative_to(RESULTS))


@pytest.mark.parametrize("name", ["sync-rest/a5_outage", largest()])
def test_a_run_is_one_file_of_at_most_two_megabytes_that_fetches_nothing(name, tmp_path):
    for file in (RESULTS / name).iterdir():
        (tmp_path / file.name).write_bytes(file.read_bytes())
    written = html.write(tmp_path)
    text = written.read_text()
    assert len(text.encode()) <= html.MAX_BYTES
    assert not re.search(r'(src|href)="(?!data:)', text.partition("<script")[0])
    shape = json.loads(re.search(r'id="run">(.*?)</script>', text, re.DOTALL)[1])
    assert shape["verdict"] == "pass"


def test_a_second_page_says_where_the_first_is(tmp_path, monkeypatch):
    record = tmp_path / "live.json"
    monkeypatch.setattr(instance, "RECORD", record)
    processes.save(processes.record_of(1), record)
    record.with_suffix(".url").write_text("http://127.0.0.1:8030/")
    with pytest.raises(LabError, match=r"http://127\.0\.0\.1:8030/"):
        instance.serve(8031, Flask, print)
