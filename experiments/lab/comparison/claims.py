"""What the comparison shows: what must be true of the figures for each claim of docs/choosing.md to hold.

The page has the sentences, each with its id in a comment; here is, by id, when they are true.
"""

import re
from collections.abc import Callable, Mapping
from typing import Any

from lab.paths import ROOT
from lab.verdict import FAIL, PASS, UNKNOWN

Figures = Mapping[str, Any]
At = Callable[[str, str, str], Any]  # of a model (A, B, C) under a condition: a figure
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
CELLS = [(condition, part) for condition in CONDITIONS for part in PARTS_BY_LETTER.values()]
CELLS.remove(("broker_killed", "sync-rest"))  # it has no broker
DELAY = 2.0  # s, of delay.sh
PAGE = ROOT / "docs/choosing.md"
SENTENCE = re.compile(r"^- (.*?) \[\w+\]\(.*<!-- ([a-z-]+) -->$", re.MULTILINE)


def sentences() -> dict[str, str]:
    """Return the claims of the page by their ids."""
    return {found[2]: found[1] for found in SENTENCE.finditer(PAGE.read_text())}


def judge(cells: Mapping[tuple[str, str], Figures], *, quick: bool) -> list[dict[str, str]]:
    """Return each claim with its verdict; `cells` are the figures by (condition, part)."""

    def at(letter: str, condition: str, figure: str) -> Any:
        return cells[condition, PARTS_BY_LETTER[letter]][figure]

    asked = {id: text for id, text in sentences().items() if not (quick and id in NEED_A_FULL_RUN)}
    return [{"id": id, "claim": text, "verdict": _verdict(HOLDS[id], at)} for id, text in asked.items()]


def _verdict(holds: Callable[[At], bool], at: At) -> str:
    try:
        return PASS if holds(at) else FAIL
    except (KeyError, TypeError):  # a cell that was not run, a figure that is None
        return UNKNOWN


def _does_all(at: At, condition: str) -> bool:
    names = ("accepted", "notified")
    return all(at(m, condition, name) == at(m, condition, "sent") for m in "BC" for name in names)


def _keeps_all(at: At) -> bool:
    letters = {part: letter for letter, part in PARTS_BY_LETTER.items()}
    kinds = ("lost", "duplicated", "unresolved")
    return sum(len(at(letters[part], condition, kind)) for condition, part in CELLS for kind in kinds) == 0


NEED_A_FULL_RUN = ("rest-waits-for-slow", "rest-frozen-is-worse", "brokers-larger-backlog", "rabbitmq-retries-aside")
# Whether a claim holds; KeyError or TypeError where a figure is not known.
HOLDS: dict[str, Callable[[At], bool]] = {
    "rest-reply-is-final": lambda at: at("A", "healthy", "completion_p50") <= at("A", "healthy", "accept_p50"),
    "rest-fewest-messages": lambda at: (
        at("A", "healthy", "messages_per_order") < min(at(model, "healthy", "messages_per_order") for model in "BC")
    ),
    "rest-coupled-in-time": lambda at: at("A", "inventory_killed", "told")["503"] > 0,
    "rest-no-backlog": lambda at: at("A", "inventory_killed", "recover_s") <= 1,
    "rest-notification-may-be-down": lambda at: (
        at("A", "notification_killed", "accepted") >= at("A", "notification_killed", "sent") - 1
    ),
    "rest-failures-reach-client": lambda at: (
        at("A", "failures", "told")["502"] > 0 and "502" not in at("B", "failures", "told")
    ),
    "rest-waits-for-slow": lambda at: at("A", "delay", "accept_p99") > 2 * DELAY,
    "rest-frozen-is-worse": lambda at: (
        at("A", "inventory_frozen", "told")["504"] > at("A", "inventory_killed", "told").get("504", 0)
    ),
    "brokers-accept-without-inventory": lambda at: _does_all(at, "inventory_killed"),
    "brokers-hide-delay": lambda at: all(
        at(m, c, "accept_p99") < DELAY / 2 for m in "BC" for c in ("delay", "inventory_frozen")
    ),
    "brokers-notify-later": lambda at: all(
        at(m, "delay", "completion_p99") > 10 * at(m, "delay", "accept_p99") for m in "BC"
    ),
    "brokers-larger-backlog": lambda at: (
        min(at(m, "delay", "backlog_peak") for m in "BC") > at("A", "delay", "backlog_peak")
    ),
    "brokers-retry": lambda at: _does_all(at, "failures"),
    "rabbitmq-retries-aside": lambda at: at("B", "failures", "backlog_peak") < at("C", "failures", "backlog_peak"),
    "rabbitmq-part-has-outbox": lambda at: at("B", "broker_killed", "accepted") == at("B", "broker_killed", "sent"),
    "kafka-part-needs-log": lambda at: at("C", "broker_killed", "told")["503"] > 0,
    "kafka-most-messages": lambda at: (
        at("C", "healthy", "messages_per_order") > at("B", "healthy", "messages_per_order")
    ),
    "all-need-order-service": lambda at: all(at(m, "order_killed", "told").get("refused", 0) > 0 for m in "ABC"),
    "all-keep-orders": _keeps_all,
}
