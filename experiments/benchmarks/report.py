"""Makes a benchmark's `summary.json` and `report.md` from its raw samples, and from nothing else."""

import gzip
import json
import math
from collections.abc import Callable
from pathlib import Path
from statistics import median
from typing import Any

from lab.history.model import SAMPLES
from lab.report.format import as_json, page, shown_time
from lab.verdict import FAIL, PASS, UNKNOWN, overall

from benchmarks.baselines import BASELINES

MAX_OTHERS = 0.15  # cores: if other processes used more, nothing is judged
# A sample that has both of a pair counts one thing twice: orders that went in, and those that came out.
COUNTS = [("sent", "ok"), ("sent", "notified"), ("orders", "notified"), ("orders", "acknowledged")]
COUNTS += [("placed", "orders"), ("placed", "events")]


class Samples:
    """The samples of one run of a benchmark."""

    def __init__(self, lines: list[dict[str, Any]]) -> None:
        self._lines = lines

    def of(self, **which: Any) -> list[dict[str, Any]]:
        """Return the samples that have these values, in the order in which they were taken."""
        return [s for s in self._lines if which.items() <= s.items()]

    def ratios(self, name: str, figure: str = "rate", **which: Any) -> list[float]:
        """Return the service's figure ÷ this baseline's, for each round in which both were measured."""
        ours, theirs = ({s["round"]: _figure(s, figure) for s in self.of(name=n, **which)} for n in ("service", name))
        return [ours[n] / theirs[n] for n in ours if ours[n] and theirs.get(n)]

    def rows(self, service: str, *times: str, **which: Any) -> list[tuple[str, ...]]:
        """Return a row each: what was measured, its median rate, these median times, and the service's rate ÷ its."""
        rows = []
        for name in dict.fromkeys(s["name"] for s in self.of(**which)):
            mine, ratios = self.of(name=name, **which), self.ratios(name, **which)
            shown = service if name == "service" else BASELINES[name].shown
            rate = f"{median(_figure(s, 'rate') for s in mine):,.0f}"
            beside = spread(ratios) if ratios and name != "service" else ""
            rows.append((shown, rate, *(shown_median(mine, time) for time in times), beside))
        return rows

    def times(self, service: str, what: str, times: list[str]) -> list[tuple[str, ...]]:
        """Return a row each: what was measured, and these median times."""
        shown = {name: service if name == "service" else BASELINES[name].shown for name in self.names(what)}
        return [(shown[n], *(shown_median(self.of(what=what, name=n), time) for time in times)) for n in shown]

    def names(self, what: str) -> list[str]:
        """Return what was measured, each name once."""
        return list(dict.fromkeys(s["name"] for s in self.of(what=what)))

    def wrong(self, *kinds: str) -> list[float]:
        """Return how many orders of each sample were lost or not answered as they must; [] if a kind is missing."""
        counts = [[_wrong(s) for s in self.of(what=kind) if s["name"] == "service"] for kind in kinds]
        return [count for kind in counts for count in kind] if all(counts) else []


def _figure(sample: dict[str, Any], figure: str) -> float:
    if figure != "rate" or "rate" in sample:
        return sample[figure]
    return sample["events" if "events" in sample else "orders"] / sample["seconds"]


def _wrong(sample: dict[str, Any]) -> float:
    pairs = (pair for pair in COUNTS if sample.keys() >= set(pair))
    return sample.get("bad", 0) + sum(sample[whole] - sample[part] for whole, part in pairs)


def shown_median(samples: list[dict[str, Any]], time: str) -> str:
    """Return the median of a time over these samples, for a person."""
    values = [s[time] for s in samples if s[time] is not None]
    return shown_time(median(values) if values else None)


def spread(values: list[float]) -> str:
    """Return the median of ratios and how far the rounds lie apart."""
    return f"{median(values):.2f} (rounds: {min(values):.2f}–{max(values):.2f})"


def goal(
    name: str,
    values: list[float],
    *,
    low: float = -math.inf,
    high: float = math.inf,
    show: Callable[[list[float]], str] = spread,
    over: Callable[[list[float]], float] = median,
) -> dict[str, Any]:
    """Return a goal: what must be reached `over` the rounds, what was measured, and the verdict; unknown of nothing."""
    value = over(values) if values else None
    verdict = UNKNOWN if value is None else PASS if low <= value <= high else FAIL
    wanted = f"at most {high:g}" if low == -math.inf else f"at least {low:g}"
    measured = show(values) if values else "–"
    return {"goal": name, "wanted": wanted, "value": value, "measured": measured, "verdict": verdict}


def none_wrong(samples: Samples, *kinds: str) -> dict[str, Any]:
    """Return the goal that no order was lost, or not answered as it must."""
    wrong, show = samples.wrong(*kinds), lambda values: f"{sum(values):g}"
    return goal("orders lost, or not answered as they must", wrong, high=0, show=show, over=sum)


def on_time(samples: Samples, name: str) -> dict[str, Any]:
    """Return the goal that the load generator is not late, beside the time that it has between two orders."""
    late = [s["p99"] * s["sent"] / s["seconds"] for s in samples.of(what="lateness", name=name)]
    text = f"p99 lateness ÷ the time between two orders, {name} arrivals at 300/s"
    return goal(text, late, high=1.5, show=lambda values: f"{median(values):.2f}")


GOALS: dict[str, Callable[[Samples], list[dict[str, Any]]]] = {
    "sync-rest": lambda s: [
        goal("orders/s at 8 clients ÷ the bare baseline", s.ratios("bare", what="closed", clients=8), low=0.35),
        goal("orders/s at 8 clients ÷ naive", s.ratios("naive", what="closed", clients=8), low=1.5),
        goal("p99 at 100 orders/s ÷ the bare baseline's", s.ratios("bare", "p99", what="open"), high=2),
        none_wrong(s, "closed", "open"),
    ],
    "async-rabbitmq": lambda s: [
        goal("orders accepted/s at 16 clients ÷ the app alone", s.ratios("alone", what="closed", clients=16), low=0.5),
        goal("a backlog drained: orders/s ÷ the bare republisher", s.ratios("republish", what="drain"), low=0.4),
        none_wrong(s, "closed", "end to end", "drain", "completion"),
    ],
    "streaming-kafka": lambda s: [
        goal("a backlog drained: orders/s ÷ the bare loop", s.ratios("commit", what="drain"), low=0.5),
        goal("analytics reads again: events/s ÷ the bare reader", s.ratios("read", what="replay"), low=0.35),
        none_wrong(s, "closed", "bulk", "drain", "completion"),
    ],
    "load": lambda s: [on_time(s, "even"), on_time(s, "Poisson")],
}


def make(folder: Path) -> str:
    """Write the report beside the samples and return its verdict in a sentence."""
    head, *lines = [json.loads(line) for line in gzip.decompress((folder / SAMPLES).read_bytes()).splitlines()]
    made = files(head, lines)
    for name, content in made.items():
        (folder / name).write_bytes(content)
    summary = json.loads(made["summary.json"])
    return f"{summary['verdict']}: {_reached(summary['goals'])}"


def files(head: dict[str, Any], lines: list[dict[str, Any]]) -> dict[str, bytes]:
    """Return the files of the report that these samples give."""
    samples = Samples(lines)
    goals = judge(head["benchmark"], samples)
    summary = {**head, "goals": goals, "verdict": overall([g["verdict"] for g in goals])}
    shown = {"time": shown_time, "median": shown_median, "raw": SAMPLES}
    template = f"benchmarks/templates/{head['benchmark']}.md.j2"
    text = page(template, summary=summary, reached=_reached(goals), samples=samples, **shown)
    made = {"summary.json": as_json(summary), "report.md": text}
    return {name: content.encode() for name, content in made.items()}


def _reached(goals: list[dict[str, Any]]) -> str:
    return f"{sum(g['verdict'] == PASS for g in goals)} of {len(goals)} goals reached."


def judge(benchmark: str, samples: Samples) -> list[dict[str, Any]]:
    """Return the goals with their verdicts; all are unknown when other processes used too much of the machine."""
    goals = GOALS[benchmark](samples)
    others = max(samples.of(what="others"), key=lambda s: s["cores"], default=None)
    quiet = {"goal": "cores that other processes used", "wanted": f"at most {MAX_OTHERS}", "value": None}
    if others is None:
        return [*goals, quiet | {"measured": "–", "verdict": UNKNOWN}]
    quiet |= {"value": others["cores"], "measured": f"{others['cores']:.2f} ({others['name']})", "verdict": PASS}
    if others["cores"] <= MAX_OTHERS:
        return [*goals, quiet]
    busiest = ", ".join(f"{name} {cores:.2f}" for name, cores in others["busiest"].items())
    goals = [each | {"verdict": UNKNOWN} for each in goals]
    return [*goals, quiet | {"measured": f"{quiet['measured']}: {busiest}", "verdict": UNKNOWN}]
