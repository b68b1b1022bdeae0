"""The checker for a run too large for memory: the same rules, portion by portion, and sums over all portions."""

from collections import Counter
from collections.abc import Iterable, Iterator
from dataclasses import asdict
from itertools import chain, repeat
from typing import Any

from lab.checker.finding import Finding, found
from lab.checker.invariants import MAX_TOLD, RULES, RULES_OF_A_LOG, RunIndex, told, undecided
from lab.growth import portions
from lab.history import held
from lab.history.model import Run
from lab.history.recorder import RunRecorder
from lab.services import services_of

OVER_ALL = {"INV-3": RULES["INV-3"]} | RULES_OF_A_LOG  # they add up over all orders


class _Alike:
    """Orders by what the rules that add up ask of them: state, minute, verdict."""

    def __init__(self) -> None:
        self._counts: Counter[tuple[str, str, str]] = Counter()

    def add(self, order: dict[str, Any]) -> None:
        """Count an order."""
        steps = [step["status"] for step in order["timeline"] if step["status"] in ("reserved", "failed")]
        self._counts[order["status"], order["timeline"][0]["at"][:16], "".join(steps[:1])] += 1

    def values(self) -> Iterator[dict[str, Any]]:
        """Yield an order for each that was counted."""
        return chain.from_iterable(repeat(_order(*what), times) for what, times in self._counts.items())


def _order(status: str, minute: str, verdict: str) -> dict[str, Any]:
    steps = [{"status": verdict}] if verdict else []
    return {"status": status, "user_id": "", "timeline": [{"status": "placed", "at": minute}, *steps]}


def note(recorder: RunRecorder) -> None:
    """Collect what the services hold, decide every invariant, and note what was found. Raises LabError."""
    services = services_of(recorder.head["part"])
    portions.add_state(recorder, services)
    rest = Run(recorder.head, recorder.lines(), held.state(recorder.head))
    findings = [asdict(finding) for finding in check(rest, portions.read(recorder.head))]
    recorder.record(type="checked", findings=findings)


def check(rest: Run, portions: Iterable[Run]) -> list[Finding]:
    """Decide every invariant. `rest` holds what belongs to no order: stock, reports, what is missing."""
    over_all: Any = RunIndex(rest)
    over_all.orders, taken, size, broken = _Alike(), Counter(), Counter(), Counter()
    over_all.in_the_log = over_all.orders.values
    stories: dict[str, list[dict[str, Any]]] = {id: [] for id in RULES}
    for portion in portions:
        e = RunIndex(portion)
        size.update(orders=len(e.orders), operations=len(e.operations))
        for id, rule in RULES.items():
            if id not in OVER_ALL:
                wrong = list(rule(e))
                broken[id] += len(wrong)
                stories[id] = (stories[id] + told(e, wrong))[:MAX_TOLD]
        for order in e.in_the_log():
            over_all.orders.add(order)
        for line in (line for reservation in e.holding for line in reservation["items"]):
            taken[line["sku"]] += line["qty"]
        over_all.operations = over_all.operations or {op.op: op for op in e.operations.values() if op.result == "ok"}
    over_all.holding = [{"items": [{"sku": sku, "qty": count} for sku, count in taken.items()]}]
    return _findings(over_all, broken, stories, size)


def _findings(over_all: Any, broken: Counter, stories: dict[str, Any], size: Counter) -> list[Finding]:
    doubt = undecided(over_all)
    for id in OVER_ALL if not doubt else ():
        wrong = list(OVER_ALL[id](over_all))
        broken[id] = len(wrong)
        stories[id] = [{"subject": s, "wrong": why, "story": []} for s, why in wrong[:MAX_TOLD]]  # of no order
    rules = RULES | (RULES_OF_A_LOG if over_all.reports else {})
    sizes = size["orders"], size["operations"]
    return [found(id, rule.__doc__, doubt, broken[id], stories[id], *sizes) for id, rule in rules.items()]
