"""The checker, with hand-made histories: a good one, and one for each way in which an invariant can break."""

import pytest
from hand_made import Change, Raw, good, items
from lab.checker.invariants import RULES, check
from lab.verdict import FAIL, PASS, UNKNOWN


def red(raw: Raw) -> set[str]:
    """Return the ids of the invariants that are broken."""
    return {finding.id for finding in check(raw.run()) if finding.verdict == FAIL}


def steps(raw: Raw, order_id: str, *statuses: str) -> None:
    """Give an order another history, and the status at its end."""
    order = raw.find("order", order_id)
    first = order["timeline"][0]["at"]
    order["timeline"] = [{"status": status, "at": first} for status in statuses]
    order["status"] = statuses[-1]


def never_ends(raw):
    steps(raw, "o0", "placed", "reserved")


def ends_twice(raw):
    steps(raw, "o0", "placed", "reserved", "notified", "notified")


def ends_both_ways(raw):
    steps(raw, "o0", "placed", "failed", "notified")


def is_not_what_it_ended_as(raw):
    raw.find("order", "o0")["status"] = "reserved"


def acknowledged_and_gone(raw):
    for what in ("order", "reservation", "notification"):
        raw.remove(what, "o0")
    raw.moves(+2)


def acknowledged_and_failed(raw):
    steps(raw, "o0", "placed", "failed")
    raw.find("reservation", "o0")["status"] = "released"
    raw.remove("notification", "o0")
    raw.moves(+2)


def reserved_twice(raw):
    raw.reservation("o0", "reserved", 1.016, items(2))
    raw.moves(-2)


def one_request_two_orders(raw):
    raw.order("o9", "a-0", items(2), (1.05, "placed"), (1.06, "reserved"), (1.07, "notified"))
    raw.reservation("o9", "reserved", 1.055, items(2))
    raw.notification("o9", "a-0", 1.065)
    raw.moves(-2)


def stock_is_lost(raw):
    raw.moves(-1)


def stock_appears(raw):
    raw.moves(+1)


def stock_is_negative(raw):
    raw.find("stock", "burger")["initial"] = 2
    raw.moves(-8)


def reserved_off_the_menu(raw):
    caviar = items(2, "caviar")
    raw.find("reservation", "o0")["items"] = caviar
    next(e for e in raw.events if e["type"] == "invoke" and e["op"] == "a-0")["items"] = caviar
    raw.moves(+2)


def reserved_without_an_order(raw):
    raw.reservation("ghost", "reserved", 1.5, items(1))
    raw.moves(-1)


def an_order_without_a_client(raw):
    raw.order("ghost", "nobody", items(1), (1.4, "placed"), (1.5, "reserved"), (1.6, "notified"))
    raw.reservation("ghost", "reserved", 1.5, items(1))
    raw.notification("ghost", "nobody", 1.55)
    raw.moves(-1)


def reserved_something_else(raw):
    next(e for e in raw.events if e["type"] == "invoke" and e["op"] == "a-0")["items"] = items(3)


def notified_without_an_order(raw):
    raw.notification("ghost", "a-0", 1.5)


def notified_somebody_else(raw):
    raw.find("notification", "o0")["user_id"] = "a-3"


def refused_and_done(raw):
    steps(raw, "o1", "placed", "reserved", "notified")
    raw.find("reservation", "o1").update(status="reserved")
    raw.notification("o1", "a-1", 2.03)
    raw.find("stock", "burger")["initial"] = 60  # 50 + 2 + 1 are reserved


def never_notified(raw):
    raw.remove("notification", "o0")


def notified_twice(raw):
    raw.notification("o0", "a-0", 1.027)


def failed_and_notified(raw):
    raw.notification("o1", "a-1", 2.03)


def notified_and_holds_nothing(raw):
    raw.find("reservation", "o3")["status"] = "released"
    raw.moves(+1)


def failed_and_holds_stock(raw):
    raw.find("reservation", "o2")["status"] = "reserved"
    raw.moves(-1, "soda")


def never_resolved(raw):
    steps(raw, "o2", "placed", "unknown")


def happened_twice(raw):
    raw.order("o9", "a-3", items(1), (4.05, "placed"), (4.06, "reserved"), (4.07, "notified"))
    raw.reservation("o9", "reserved", 4.055, items(1))
    raw.notification("o9", "a-3", 4.065)
    raw.moves(-1)


# What is done to the good run, the order (or sku, or request) that must be named, the invariant that it breaks, and
# the invariants that break with it, as the same fact breaks them too.
BROKEN: list[tuple[Change, str, str, set[str]]] = [
    (never_ends, "o0", "INV-1", set()),
    (ends_twice, "o0", "INV-1", set()),
    (ends_both_ways, "o0", "INV-1", set()),
    (is_not_what_it_ended_as, "o0", "INV-1", set()),
    (acknowledged_and_gone, "a-0", "INV-1", set()),
    (acknowledged_and_failed, "o0", "INV-1", set()),
    (reserved_twice, "o0", "INV-2", set()),
    (one_request_two_orders, "a-0", "INV-2", set()),
    (stock_is_lost, "burger", "INV-3", set()),
    (stock_appears, "burger", "INV-3", set()),
    (stock_is_negative, "burger", "INV-3", set()),
    (reserved_off_the_menu, "caviar", "INV-3", set()),
    (reserved_without_an_order, "ghost", "INV-4", set()),
    (an_order_without_a_client, "ghost", "INV-4", set()),
    (reserved_something_else, "o0", "INV-4", set()),
    (notified_without_an_order, "ghost", "INV-4", set()),
    (notified_somebody_else, "o0", "INV-4", set()),
    (refused_and_done, "o1", "INV-5", set()),
    (never_notified, "o0", "INV-6", set()),
    (notified_twice, "o0", "INV-6", set()),
    (failed_and_notified, "o1", "INV-6", set()),
    (notified_and_holds_nothing, "o3", "INV-6", set()),
    (failed_and_holds_stock, "o2", "INV-6", set()),
    (never_resolved, "a-2", "INV-7", {"INV-1"}),  # an open order has not ended, either
    (happened_twice, "a-3", "INV-7", {"INV-2"}),  # two orders of one request hold stock
]


def test_a_good_run_passes_all_seven():
    findings = check(good().run())
    assert [finding.verdict for finding in findings] == [PASS] * 7
    assert [finding.id for finding in findings] == [f"INV-{n}" for n in range(1, 8)]
    assert "4 orders and 5 requests" in findings[0].sentence


@pytest.mark.promise("INV-1", "INV-2", "INV-3", "INV-4", "INV-5", "INV-6", "INV-7")
@pytest.mark.parametrize(("change", "named", "rule", "others"), BROKEN, ids=[case[0].__name__ for case in BROKEN])
def test_a_broken_promise_turns_its_rule_red(change, named, rule, others):
    raw = good()
    change(raw)
    assert red(raw) == {rule} | others
    [finding] = [finding for finding in check(raw.run()) if finding.id == rule]
    assert named in [violation["subject"] for violation in finding.violations]
    assert named in finding.sentence
    assert finding.rule == RULES[rule].__doc__


def test_each_rule_is_broken_by_some_case():
    assert {rule for _, _, rule, _ in BROKEN} == set(RULES)


def test_the_story_is_told_in_order_of_time():
    raw = good()
    never_resolved(raw)
    [violation] = check(raw.run())[6].violations
    told = violation["story"]
    assert told == sorted(told, key=lambda line: float(line.split(" s  ")[0]))
    assert [line.split(" s  ")[1] for line in told] == [
        "client a-2 sends 1 soda",
        "-- pause inventory",
        "order o2 is placed",
        "order o2 is unknown",
        "client a-2 gets 504 (info)",
        "-- unpause inventory",
        "inventory: released 1 soda for o2",
    ]


def test_the_story_of_an_order_tells_its_notification():
    raw = good()
    notified_and_holds_nothing(raw)
    [violation] = check(raw.run())[5].violations
    assert "     4.450 s  a-3 is notified of o3" in violation["story"]


def test_the_story_tells_what_was_wrong_already_when_it_began():
    raw = good()
    failed_and_notified(raw)
    raw.fault("configure", "order", 0.2, delay=1)
    raw.fault("reset", "order", 0.3)
    raw.fault("configure", "inventory", 0.5, failure_rate=1)
    [violation] = check(raw.run())[5].violations
    assert violation["story"][0] == "     0.500 s  -- configure inventory {'failure_rate': 1}"
    assert "order" not in violation["story"][0]


def test_a_stranger_has_a_story_too():
    raw = good()
    reserved_without_an_order(raw)
    [violation] = check(raw.run())[3].violations
    assert violation["story"] == ["     1.500 s  inventory: reserved 1 burger for ghost"]


def test_of_many_violations_ten_are_told():
    raw = good()
    for n in range(12):
        raw.notification(f"ghost-{n:02}", "a-0", 1.5)
    finding = check(raw.run())[3]
    assert finding.sentence.startswith("Broken 12 times: ghost-00, ghost-01, ghost-02 …")
    assert len(finding.violations) == 10


@pytest.mark.parametrize("service", ["order", "inventory", "notification"])
def test_nothing_is_decided_without_the_state_of_a_service(service):
    raw = good()
    raw.state.append({"what": "missing", "service": service, "why": "it does not answer"})
    assert all(finding.verdict == UNKNOWN and service in finding.sentence for finding in check(raw.run()))


def test_nothing_is_decided_when_nothing_was_completed():
    raw = good()
    raw.events = [e for e in raw.events if e["type"] != "ok"]
    assert {finding.verdict for finding in check(raw.run())} == {UNKNOWN}


def test_nothing_is_decided_from_an_empty_state():
    raw = good()
    raw.state = []
    assert {finding.verdict for finding in check(raw.run())} == {UNKNOWN}
