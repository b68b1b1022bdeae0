"""What the comparison shows: the sentences of docs/choosing.md, each with what must be true of the matrix.

A claim is decided from the figures. One that only a fault of full length can show is left out with --quick.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from lab.verdict import FAIL, PASS, UNKNOWN

Figures = Mapping[str, Any]
At = Callable[[str, str], Figures]  # of a model (A, B, C) under a condition
PARTS_BY_LETTER = {"A": "sync-rest", "B": "async-rabbitmq", "C": "streaming-kafka"}
CONDITIONS = (
    "healthy",
    "delay",
    "failures",
    "inventory_killed",
    "notification_killed",
    "broker_killed",
    "order_killed",
    "inventory_frozen",
)
DELAY = 2.0  # s, of delay.sh


@dataclass(frozen=True)
class Claim:
    """A sentence with its id, and whether it is true of the figures.

    `holds` raises KeyError or TypeError where a figure is not known.
    """

    id: str
    sentence: str
    holds: Callable[[At], bool]
    quick_too: bool = True


def judge(cells: Mapping[tuple[str, str], Figures], *, quick: bool) -> list[dict[str, str]]:
    """Return each claim with its verdict; `cells` are the figures by (condition, part)."""

    def at(letter: str, condition: str) -> Figures:
        return cells[condition, PARTS_BY_LETTER[letter]]

    claims = [claim for claim in CLAIMS if claim.quick_too or not quick]
    return [{"id": claim.id, "claim": claim.sentence, "verdict": _verdict(claim, at)} for claim in claims]


def _verdict(claim: Claim, at: At) -> str:
    try:
        return PASS if claim.holds(at) else FAIL
    except (KeyError, TypeError):  # a cell that was not run, a figure that is None
        return UNKNOWN


def _accepts_all(f: Figures) -> bool:
    return f["accepted"] == f["sent"]


def _does_all(f: Figures) -> bool:
    return f["accepted"] == f["notified"] == f["sent"]


def _keeps_all(at: At) -> bool:
    pairs = [(letter, condition) for letter in PARTS_BY_LETTER for condition in CONDITIONS]
    pairs.remove(("A", "broker_killed"))
    return all(len(at(*pair)[name]) == 0 for pair in pairs for name in ("lost", "duplicated", "unresolved"))


CLAIMS = (
    Claim(
        "rest-reply-is-final",
        "The reply says that the order is done; the client need not ask again.",
        lambda at: at("A", "healthy")["completion_p50"] <= at("A", "healthy")["accept_p50"],
    ),
    Claim(
        "rest-fewest-messages",
        "An order takes the fewest messages.",
        lambda at: (
            at("A", "healthy")["messages_per_order"] < min(at(model, "healthy")["messages_per_order"] for model in "BC")
        ),
    ),
    Claim(
        "rest-coupled-in-time",
        "Synchronous calls couple the services in time: while inventory is down, orders are refused.",
        lambda at: at("A", "inventory_killed")["told"]["503"] > 0,
    ),
    Claim(
        "rest-no-backlog",
        "A refused order leaves no backlog, so the system has recovered as soon as inventory is back.",
        lambda at: at("A", "inventory_killed")["recover_s"] <= 1,
    ),
    Claim(
        "rest-notification-may-be-down",
        "Without notification every order is still accepted: the order service commits that a notification is pending.",
        lambda at: at("A", "notification_killed")["accepted"] >= at("A", "notification_killed")["sent"] - 1,
    ),
    Claim(
        "rest-failures-reach-client",
        "A failure of inventory reaches the client as 502, and the client must handle it.",
        lambda at: at("A", "failures")["told"]["502"] > 0 and "502" not in at("B", "failures")["told"],
    ),
    Claim(
        "rest-waits-for-slow",
        "Every client waits for a slow inventory. When all threads are busy, clients also wait for a thread, so "
        "latency is several times the delay.",
        lambda at: at("A", "delay")["accept_p99"] > 2 * DELAY,
        quick_too=False,
    ),
    Claim(
        "rest-frozen-is-worse",
        "A frozen inventory is worse than a killed one: clients wait for the time-out, and then the outcome is "
        "unknown.",
        lambda at: at("A", "inventory_frozen")["told"]["504"] > at("A", "inventory_killed")["told"].get("504", 0),
        quick_too=False,
    ),
    Claim(
        "brokers-accept-without-inventory",
        "Orders are accepted while inventory is down, and completed when it is back.",
        lambda at: all(_does_all(at(model, "inventory_killed")) for model in "BC"),
    ),
    Claim(
        "brokers-hide-delay",
        "The reply does not wait for a slow or frozen inventory.",
        lambda at: all(at(m, c)["accept_p99"] < DELAY / 2 for m in "BC" for c in ("delay", "inventory_frozen")),
    ),
    Claim(
        "brokers-notify-later",
        "The notification does wait for a slow inventory: it comes much later than the reply.",
        lambda at: all(at(m, "delay")["completion_p99"] > 10 * at(m, "delay")["accept_p99"] for m in "BC"),
    ),
    Claim(
        "brokers-larger-backlog",
        "One consumer handles one order at a time; REST has 16 threads. So a slow inventory causes a larger backlog "
        "in B and C.",
        lambda at: min(at(m, "delay")["backlog_peak"] for m in "BC") > at("A", "delay")["backlog_peak"],
        quick_too=False,
    ),
    Claim(
        "brokers-retry",
        "The consumer retries what failed, so the client need not: every order is completed.",
        lambda at: all(_does_all(at(model, "failures")) for model in "BC"),
    ),
    Claim(
        "rabbitmq-retries-aside",
        "RabbitMQ keeps a failed message in a retry queue, so the other messages continue: the backlog stays below "
        "Kafka's.",
        lambda at: at("B", "failures")["backlog_peak"] < at("C", "failures")["backlog_peak"],
        quick_too=False,
    ),
    Claim(
        "rabbitmq-part-has-outbox",
        "Part B accepts orders without its broker, because the outbox keeps their events.",
        lambda at: _accepts_all(at("B", "broker_killed")),
    ),
    Claim(
        "kafka-part-needs-log",
        "Part C refuses orders without its broker, because an order is accepted only when it is in the log.",
        lambda at: at("C", "broker_killed")["told"]["503"] > 0,
    ),
    Claim(
        "kafka-most-messages",
        "A log costs the most messages, because each consumer group reads each event.",
        lambda at: at("C", "healthy")["messages_per_order"] > at("B", "healthy")["messages_per_order"],
    ),
    Claim(
        "all-need-order-service",
        "The order service is the entry point: while it is down, no model accepts an order.",
        lambda at: all(at(model, "order_killed")["told"].get("refused", 0) > 0 for model in "ABC"),
    ),
    Claim(
        "all-keep-orders",
        "When a service is killed, slow or frozen, no model loses an accepted order, does an order twice, or leaves "
        "one open.",
        _keeps_all,
    ),
)
