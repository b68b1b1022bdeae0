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
    """A sentence, and whether it is true of the figures. Raises KeyError or TypeError where a figure is not known."""

    sentence: str
    holds: Callable[[At], bool]
    quick_too: bool = True


def judge(cells: Mapping[tuple[str, str], Figures], *, quick: bool) -> list[dict[str, str]]:
    """Return each claim with its verdict; `cells` are the figures by (condition, part)."""

    def at(letter: str, condition: str) -> Figures:
        return cells[condition, PARTS_BY_LETTER[letter]]

    claims = [claim for claim in CLAIMS if claim.quick_too or not quick]
    return [{"claim": claim.sentence, "verdict": _verdict(claim, at)} for claim in claims]


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
    return all(len(at(*pair)[name]) == 0 for pair in pairs for name in ("lost", "doubled", "left_unknown"))


CLAIMS = (
    Claim(
        "The reply says that the order is done, and nobody has to look again.",
        lambda at: at("A", "healthy")["completion_p50"] <= at("A", "healthy")["accept_p50"],
    ),
    Claim(
        "An order takes the fewest messages.",
        lambda at: (
            at("A", "healthy")["messages_per_order"] < min(at(model, "healthy")["messages_per_order"] for model in "BC")
        ),
    ),
    Claim(
        "All services must be there at the same time: while inventory is dead, orders are refused.",
        lambda at: at("A", "inventory_killed")["told"]["503"] > 0,
    ),
    Claim(
        "A refusal leaves nothing to work off, so all is as before as soon as inventory is back.",
        lambda at: at("A", "inventory_killed")["recover_s"] <= 1,
    ),
    Claim(
        "What is not needed for the promise may be down: without notification every order is still accepted, because "
        "the order service writes down what it owes.",
        lambda at: at("A", "notification_killed")["accepted"] >= at("A", "notification_killed")["sent"] - 1,
    ),
    Claim(
        "A failure of inventory is the student's to deal with.",
        lambda at: at("A", "failures")["told"]["502"] > 0 and "502" not in at("B", "failures")["told"],
    ),
    Claim(
        "A slow inventory is felt by whoever orders, and more than once over when the threads run out.",
        lambda at: at("A", "delay")["accept_p99"] > 2 * DELAY,
        quick_too=False,
    ),
    Claim(
        "A frozen inventory is worse than a dead one: students wait for a time-out, and then do not know.",
        lambda at: at("A", "inventory_frozen")["told"]["504"] > at("A", "inventory_killed")["told"].get("504", 0),
        quick_too=False,
    ),
    Claim(
        "Orders are accepted while inventory is dead, and done when it is back.",
        lambda at: all(_does_all(at(model, "inventory_killed")) for model in "BC"),
    ),
    Claim(
        "Whoever orders does not notice that inventory is slow, or frozen.",
        lambda at: all(at(m, c)["accept_p99"] < DELAY / 2 for m in "BC" for c in ("delay", "inventory_frozen")),
    ),
    Claim(
        "The student who waits for the meal does: the reply promises, and the notification comes much later.",
        lambda at: all(at(m, "delay")["completion_p99"] > 10 * at(m, "delay")["accept_p99"] for m in "BC"),
    ),
    Claim(
        "One consumer that is slow does less than sixteen threads that are: the queue hides more orders than the "
        "chain.",
        lambda at: min(at(m, "delay")["backlog_peak"] for m in "BC") > at("A", "delay")["backlog_peak"],
        quick_too=False,
    ),
    Claim(
        "What failed is tried again by itself, so no student is told of it.",
        lambda at: all(_does_all(at(model, "failures")) for model in "BC"),
    ),
    Claim(
        "RabbitMQ lets a failed message wait beside its queue, so the others go on: its backlog stays below Kafka's.",
        lambda at: at("B", "failures")["backlog_peak"] < at("C", "failures")["backlog_peak"],
        quick_too=False,
    ),
    Claim(
        "Part B accepts without its broker, as an outbox keeps what RabbitMQ cannot.",
        lambda at: _accepts_all(at("B", "broker_killed")),
    ),
    Claim(
        "Part C refuses without its broker, as an order is accepted when it is in the log.",
        lambda at: at("C", "broker_killed")["told"]["503"] > 0,
    ),
    Claim(
        "A log costs the most messages, as each event is read by everybody who wants it.",
        lambda at: at("C", "healthy")["messages_per_order"] > at("B", "healthy")["messages_per_order"],
    ),
    Claim(
        "The order service is the door: while it is down no model accepts anything.",
        lambda at: all(at(model, "order_killed")["told"].get("refused", 0) > 0 for model in "ABC"),
    ),
    Claim(
        "Whatever is killed, slow or frozen, no model loses an order that it accepted, does one twice, or leaves one "
        "open.",
        _keeps_all,
    ),
)
