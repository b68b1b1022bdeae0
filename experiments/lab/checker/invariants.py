"""The checker: decides each invariant from the history and from what the services held at the end.

Each rule is a function whose docstring is the rule in one sentence; it yields `(operation or order id, what is wrong)`
for everything that breaks it. It reads only the raw files, so every reader can check again.
"""

from collections import Counter, defaultdict
from collections.abc import Callable, Iterator
from typing import Any

from campus.metrics import digest

from lab.analysis import reports
from lab.checker.finding import Finding, found
from lab.history.model import Run, seconds_at

FINAL = ("notified", "failed")
MAX_TOLD = 10

Wrong = Iterator[tuple[str, str]]


class RunIndex:
    """The raw files, indexed by operation (which is the order's user_id) and by order."""

    def __init__(self, run: Run) -> None:
        self.run = run
        self.operations = {op.op: op for op in run.operations}
        self.orders = {o["order_id"]: o for o in run.held("order")}
        self.reservations = run.held("reservation")
        self.notifications = run.held("notification")
        self.stock = run.held("stock")
        self.missing = run.held("missing")
        self.reports = [{k: v for k, v in line.items() if k != "what"} for line in run.held("report")]
        self.holding = [r for r in self.reservations if r["status"] == "reserved"]
        self.holding_by_order = {r["order_id"] for r in self.holding}
        self.orders_of = defaultdict(list)
        for order in self.orders.values():
            self.orders_of[order["user_id"]].append(order)

    def in_the_log(self) -> Iterator[dict[str, Any]]:
        """Yield the orders that were published: not those that the order service refused and only stored."""
        seen_by_inventory = {r["order_id"] for r in self.reservations}
        return (o for id, o in self.orders.items() if o["status"] != "failed" or id in seen_by_inventory)


Rule = Callable[[RunIndex], Wrong]


def acknowledged_orders_end(e: RunIndex) -> Wrong:
    """Every acknowledged order reaches exactly one final state."""
    for order in e.orders.values():
        ends = [step["status"] for step in order["timeline"] if step["status"] in FINAL]
        if len(ends) != 1 or order["status"] != ends[0]:
            yield order["order_id"], f"it has {len(ends)} final states and is {order['status']}"
    for op in e.operations.values():
        if op.result != "ok":
            continue
        order = e.orders.get(op.order_id or "")
        if order is None:
            yield op.op, "it was acknowledged and does not exist"
        elif op.kind == "201" and order["status"] == "failed":
            yield order["order_id"], "the client got 201, and the order failed"


def nothing_reserved_twice(e: RunIndex) -> Wrong:
    """No order holds two reservations."""
    for order_id, n in Counter(r["order_id"] for r in e.holding).items():
        if n > 1:
            yield order_id, f"it holds {n} reservations"
    for user, orders in e.orders_of.items():
        n = sum(order["order_id"] in e.holding_by_order for order in orders)
        if n > 1:
            yield user, f"one order of a client became {n} orders that hold stock"


def stock_adds_up(e: RunIndex) -> Wrong:
    """The initial and the added stock equal the stock on hand and the reserved stock, and no stock is negative."""
    taken: Counter[str] = Counter()
    for reservation in e.holding:
        for line in reservation["items"]:
            taken[line["sku"]] += line["qty"]
    for level in e.stock:
        sku = level["sku"]
        if level["initial"] != level["on_hand"] + taken[sku] or level["on_hand"] < 0:
            yield sku, f"{level['initial']} initial, {level['on_hand']} on hand, {taken[sku]} reserved by orders"
    for sku in sorted(taken.keys() - {level["sku"] for level in e.stock}):
        yield sku, f"{taken[sku]} reserved of an item that does not exist"


def nothing_out_of_nowhere(e: RunIndex) -> Wrong:
    """Each reservation and each notification belongs to an order of a client."""
    for reservation in e.holding:
        order = e.orders.get(reservation["order_id"])
        op = e.operations.get(order["user_id"]) if order else None
        if op is None:
            yield reservation["order_id"], "it holds stock and no client ordered it"
        elif reservation["items"] != op.items:
            yield reservation["order_id"], f"it holds {reservation['items']} and the client ordered {op.items}"
    for notification in e.notifications:
        order = e.orders.get(notification["order_id"])
        if order is None or order["user_id"] not in e.operations or order["user_id"] != notification["user_id"]:
            yield (
                notification["order_id"],
                f"{notification['user_id']} was notified, and did not place this order",
            )


def refused_orders_hold_nothing(e: RunIndex) -> Wrong:
    """An order that was refused with certainty holds no reservation at the end."""
    for op in e.operations.values():
        if op.result == "fail":
            for order in e.orders_of[op.op]:
                if order["order_id"] in e.holding_by_order:
                    yield order["order_id"], f"the client got {op.kind}, and the order holds stock"


def one_notification_each(e: RunIndex) -> Wrong:
    """Each reserved order has a reservation and one notification; a failed order has neither."""
    sent = Counter(n["order_id"] for n in e.notifications)
    for order_id, order in e.orders.items():
        wanted = 1 if order["status"] in ("reserved", "notified") else 0
        if sent[order_id] != wanted:
            yield order_id, f"it is {order['status']} and has {sent[order_id]} notifications"
        if (order_id in e.holding_by_order) != bool(wanted):
            yield order_id, f"it is {order['status']} and holds {'no' if wanted else 'a'} reservation"


def open_outcomes_are_resolved(e: RunIndex) -> Wrong:
    """An order with an unknown outcome happened once or not at all."""
    for op in e.operations.values():
        if op.result in ("ok", "fail"):
            continue
        done = [o for o in e.orders_of[op.op] if o["status"] == "notified"]
        open_ones = [o for o in e.orders_of[op.op] if o["status"] not in FINAL]
        if len(done) > 1 or open_ones:
            states = ", ".join(o["status"] for o in e.orders_of[op.op])
            yield op.op, f"the client got {op.kind}; its orders are {states}"


def replay_rebuilds_the_numbers(e: RunIndex) -> Wrong:
    """A replay from the beginning of the log rebuilds the same numbers."""
    counted = reports.of_orders(e.in_the_log())
    for report in e.reports:
        for name in reports.differences(counted, report):
            yield name, "analytics has another number than the orders and their final states give"
        if report["digest"] != digest(report):
            yield "digest", "it is not the digest of the report"
    for before, after in reports.replays(e.run):
        for name in reports.differences(before, after):
            yield name, "the number was different after the replay"


def each_result_is_there_once(e: RunIndex) -> Wrong:
    """Each result of an order appears once in the committed view of the log."""
    ours = {published["message_id"] for published in e.run.of_type("published")}
    for topic in e.run.held("log"):
        for order_id, places in topic["repeated"].items():
            n = len(set(places) - ours)
            if n > 1:
                yield order_id, f"{topic['topic']} has {n} results of it"


RULES: dict[str, Rule] = {
    "INV-1": acknowledged_orders_end,
    "INV-2": nothing_reserved_twice,
    "INV-3": stock_adds_up,
    "INV-4": nothing_out_of_nowhere,
    "INV-5": refused_orders_hold_nothing,
    "INV-6": one_notification_each,
    "INV-7": open_outcomes_are_resolved,
}
RULES_OF_A_LOG = {"INV-8": replay_rebuilds_the_numbers}  # where there is one, and analytics counts what it says
# The others look at the services, which all know what they did before. Without transactions, fencing, or a memory of
# what was emitted they hold, and other readers of the log are told twice. Older runs did not keep what was in the log.
RULES_OF_THE_LOG_ITSELF = {"LOG-1": each_result_is_there_once}
ALL_RULES = RULES | RULES_OF_A_LOG | RULES_OF_THE_LOG_ITSELF
IDS = tuple(ALL_RULES)


def check(run: Run) -> list[Finding]:
    """Decide every invariant. Without the state of a service or broker, or one finished order, nothing is decided.

    Of a run that was too large for this, `lab.growth.check` noted what it found.
    """
    if noted := run.of_type("checked"):
        return [Finding(**finding) for e in noted for finding in e["findings"]]
    evidence = RunIndex(run)
    doubt = undecided(evidence)
    rules = RULES | (RULES_OF_A_LOG if evidence.reports else {}) | (RULES_OF_THE_LOG_ITSELF if run.held("log") else {})
    return [_decide(id, rule, evidence, doubt) for id, rule in rules.items()]


def undecided(e: RunIndex) -> str | None:
    """Return why nothing can be decided; None if it can."""
    if e.missing:
        return f"the state of {', '.join(m['service'] for m in e.missing)} is not known"
    if not e.stock:
        return "the data of the services at the end is missing"
    finished = (order["status"] in FINAL for order in e.orders.values())
    if not any(op.result == "ok" for op in e.operations.values()) or not any(finished):
        return "no order was completed"
    return None


def _decide(id: str, rule: Rule, e: RunIndex, doubt: str | None) -> Finding:
    wrong = [] if doubt else list(rule(e))
    return found(id, rule.__doc__, doubt, len(wrong), told(e, wrong), len(e.orders), len(e.operations))


def told(e: RunIndex, wrong: list[tuple[str, str]]) -> list[dict[str, Any]]:
    """Return the first of what is wrong, each with its events."""
    return [{"subject": s, "wrong": why, "story": story(e, s)} for s, why in wrong[:MAX_TOLD]]


def story(e: RunIndex, subject: str) -> list[str]:
    """Return the events of an order (or of an operation's orders) in order of time, one line each."""
    orders = [e.orders[subject]] if subject in e.orders else e.orders_of.get(subject, [])
    users = {o["user_id"] for o in orders} | {subject}
    ids = {o["order_id"] for o in orders} | {subject}
    told: list[tuple[float, str]] = []
    for op in (e.operations[u] for u in users if u in e.operations):
        told.append((op.sent, f"client {op.op} sends {_items(op.items)}"))
        if op.ended is not None:
            told.append((op.ended, f"client {op.op} gets {op.kind} ({op.result})"))
    rows = [(step, f"order {order['order_id']} is {step['status']}") for order in orders for step in order["timeline"]]
    for r in e.reservations:
        if r["order_id"] in ids:
            rows.append((r, f"inventory: {r['status']} {_items(r['items'])} for {r['order_id']}"))
    rows += [(n, f"{n['user_id']} is notified of {n['order_id']}") for n in e.notifications if n["order_id"] in ids]
    told += [(seconds_at(e.run, row["at"]), text) for row, text in rows]
    told += _disturbances(e, told)
    return [f"{at:10.3f} s  {text}" for at, text in sorted(told)]


def _disturbances(e: RunIndex, told: list[tuple[float, str]]) -> list[tuple[float, str]]:
    """Return the faults during these events, and those that began before and still lasted."""
    if not told:
        return []
    first, last = min(told)[0], max(told)[0]
    standing = {w.since for w in e.run.windows if w.since < first and (w.until is None or w.until > first)}
    faults = [f for f in e.run.of_type("fault") if first <= f["at"] <= last or f["at"] in standing]
    return [(f["at"], f"-- {f['verb']} {f['service']} {f.get('value') or ''}".rstrip()) for f in faults]


def _items(items: list[dict[str, Any]]) -> str:
    return ", ".join(f"{line['qty']} {line['sku']}" for line in items) or "nothing"
