"""The messages of one order, as entries of a diagram; and the diagrams of the two orders that a report shows."""

from collections import defaultdict
from collections.abc import Collection, Iterable

from lab.trace import diagram
from lab.trace.collect import Line, is_disturbed
from lab.trace.entries import CLIENT, Entry

MAX_ARROWS = 40  # of a diagram in a report
# A service that was killed, and when.
Kill = tuple[str, float]


def entries(lines: Iterable[Line], kills: Iterable[Kill] = ()) -> list[Entry]:
    """Return what happened to one order, in order of time; kills only of services that it had come to."""
    found: list[Entry] = []
    seen: set[tuple[str, ...]] = set()
    for line in lines:
        found += _entries(line, seen)
    first, last = min((e.at for e in found), default=0.0), max((e.at for e in found), default=0.0)
    for service, at in kills:
        if first <= at <= last and any(service in (e.source, e.target) for e in found if e.at <= at):
            found.append(Entry(at, 0, "crash", service, None, "killed"))
    return sorted(found, key=lambda entry: entry.at)


def examples(lines: Iterable[Line], final: Collection[str], kills: Collection[Kill]) -> list[tuple[str, str]]:
    """Return a diagram (Mermaid) of an order that ended undisturbed, and of the most disturbed one, by their titles."""
    by_order: dict[str, list[Line]] = defaultdict(list)
    for line in lines:
        by_order[line["order_id"]].append(line)
    ordinary = next((n for n, its in by_order.items() if n in final and not is_disturbed(its)), None)
    drawn = {n: entries(its, kills) for n, its in by_order.items()}
    disturbed = [n for n, its in drawn.items() if is_disturbed(by_order[n]) or any(e.kind == "crash" for e in its)]
    most = max(disturbed, key=lambda n: sum(e.kind == "crash" or e.again or e.lost for e in drawn[n]), default=None)
    wanted = (("An order that nothing disturbed", ordinary), ("An order that a fault touched", most))
    return [(f"{title}: `{n}`", diagram.mermaid(_shortened(drawn[n]))) for title, n in wanted if n]


def _shortened(its: list[Entry]) -> list[Entry]:
    left = len(its) - MAX_ARROWS
    return [*its[:MAX_ARROWS], Entry(0, 0, "note", "order", None, f"… {left} more")] if left > 0 else its


def _entries(line: Line, seen: set[tuple[str, ...]]) -> list[Entry]:
    at, service, kind, what = line["at"], line["service"], line["kind"], line["what"]
    if kind == "request":
        reply = str(line["status"]) + (f" after {line['seconds']:.1f} s" if line["seconds"] > 1 else "")
        if service != "order":  # the order service recorded the call
            return [Entry(at, 0, "reply", service, "order", reply)]
        return [
            Entry(at - line["seconds"], 0, "call", CLIENT, service, what),
            Entry(at, 0, "reply", service, CLIENT, reply),
        ]
    if kind in ("commit", "fault"):
        return [Entry(at, 0, kind, service, None, what)]
    again = kind != "confirm" and kind != "ack" and _again((service, kind, what, line.get("event_id", "")), seen)
    if "by" in line:
        lost = kind == "confirm" and bool(what)
        return [Entry(at, 0, kind, line["by"], service, what, lost=lost, again=again)]
    return [Entry(at, 0, kind, service, line["to"], what, again=again)]


def _again(what: tuple[str, ...], seen: set[tuple[str, ...]]) -> bool:
    before = what in seen
    seen.add(what)
    return before
