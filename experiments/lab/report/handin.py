"""`results/HANDIN.md`: one page that answers the assignment line by line, with the student's own words kept.

Its tables come from the runs in results/. What stands between `<!-- your words: ID -->` and
`<!-- end of your words -->` is the student's, and stays when the page is made again.
"""

import json
import re
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from lab.report.format import head, page, prediction_row, row, shown_time
from lab.report.pages import section

NAME = "HANDIN.md"
WORDS = re.compile(r"<!-- your words: ([a-z0-9-]+) -->\n(.*?)\n<!-- end of your words -->", re.DOTALL)
A, B, C = "sync-rest", "async-rabbitmq", "streaming-kafka"
# Condition, run, load, and the reply of which the latency counts; of "" the successes.
LATENCIES = [
    ("baseline: one client", "a1_baseline", "one", ""),
    ("baseline: 20 orders/s", "a1_baseline", "open20", ""),
    ("inventory takes 2 s more", "a2_delay", "delayed", ""),
    ("… at a rate beyond the capacity", "a2_delay", "overload", ""),
    ("inventory fails: 502", "a3_failure", "all_fail", "502"),
    ("inventory fails 3 of 10: the others", "a3_failure", "some_fail", ""),
    ("inventory is down: 503", "a5_outage", "no_inventory", "503"),
    ("inventory is slower than the time-out: 504", "a4_timeout", "too_slow", "504"),
]


@dataclass(frozen=True)
class Answer:
    """What the assignment asks for, the runs that show it, what the page says of them, and what to write."""

    id: str
    heading: str
    runs: tuple[str, ...]
    body: Callable[[Path], str]
    question: str


def words(text: str) -> dict[str, str]:
    """Return the student's own words in a hand-in page, by the id of the answer; what is only our question is none."""
    questions = {answer.id: f"_{answer.question}_" for answer in ANSWERS}
    found = ((id, said.strip()) for id, said in WORDS.findall(text) if id in questions)
    return {id: said for id, said in found if said not in ("", questions[id])}


def write(results: Path) -> str:
    """Return the page for the runs in a folder, with the words that stand in the page there."""
    old = results / NAME
    said = words(old.read_text()) if old.exists() else {}
    return page("report/templates/handin.md.j2", answers=[_answer(results, answer, said) for answer in ANSWERS])


def _answer(results: Path, answer: Answer, said: dict[str, str]) -> dict[str, Any]:
    missing = [run for run in answer.runs if not (results / run / "summary.json").exists()]
    scripts = " ".join(f"`experiments/{run.rpartition('/')[2]}.sh`" for run in missing)
    body = f"Not measured yet: {scripts}." if missing else answer.body(results)
    named = {"id": answer.id, "heading": answer.heading, "runs": [] if missing else answer.runs, "body": body}
    return named | {"words": said.get(answer.id, f"_{answer.question}_")}


def _latencies(results: Path) -> str:
    lines = [
        row("condition", "run: load", "orders", "p50", "p95", "p99", "max", "unknown to the client"),
        f"|{8 * '---|'}",
    ]
    for condition, run, load, reply in LATENCIES:
        phase = _summary(results / A / run)["phases"][load]
        of = phase["errors"].get(reply, {}) if reply else phase
        count = of.get("count", 0) if reply else phase["ok"]
        times = (shown_time(of.get(q)) for q in ("p50", "p95", "p99", "max"))
        link = f"[{run}]({A}/{run}/report.md): {load}"
        lines.append(row(condition, link, count, *times, phase["info"]))
    return "\n".join(lines)


def _predictions(run: str, *ids: str) -> Callable[[Path], str]:
    def table(results: Path) -> str:
        judged = {p["id"]: p for p in _summary(results / run)["predictions"]}
        rows = [row(*prediction_row(judged[id])) for id in ids or judged if id in judged]
        return "\n".join([head("prediction", "predicted", "measured", "verdict"), *rows])

    return table


def _section(run: str, title: str) -> Callable[[Path], str]:
    return lambda results: section((results / run / "report.md").read_text().splitlines(), title)


def _file(run: str, name: str) -> Callable[[Path], str]:
    def fenced(results: Path) -> str:
        return f"[`{name}`]({run}/{name})\n\n```\n{(results / run / name).read_text().rstrip()}\n```"

    return fenced


def _per_minute(results: Path) -> str:
    """Say how many orders each minute had, in words and as a table."""
    report = json.loads((results / C / "c3_replay/metrics.json").read_text())
    minutes = report["ordersPerMinuteBucket"]
    rows = [row(minute.replace("T", " "), count) for minute, count in minutes.items()]
    share = (
        f"{100 * report['failureRate']:.1f} % of {report['totalInventoryEvents']:,} results of inventory were failures"
    )
    total = f"Analytics counted {report['totalOrdersSeen']:,} orders in {len(minutes)} minute{'s'[: len(minutes) > 1]}"
    return "\n".join([f"{total}; {share}.", "", head("minute (UTC)", "orders in this minute"), *rows])


def _all(*parts: Callable[[Path], str]) -> Callable[[Path], str]:
    return lambda results: "\n\n".join(part(results) for part in parts)


def _summary(folder: Path) -> dict[str, Any]:
    return json.loads((folder / "summary.json").read_text())


B2, B3, B4 = (f"{B}/{run}" for run in ("b2_outage", "b3_redelivery", "b4_poison"))
C1, C2, C3 = (f"{C}/{run}" for run in ("c1_produce_10k", "c2_lag", "c3_replay"))
ANSWERS = [
    Answer(
        "a-latency",
        "Part A: latency, healthy, with 2 s more, with failures, with a time-out",
        tuple(f"{A}/{run}" for run in ("a1_baseline", "a2_delay", "a3_failure", "a4_timeout", "a5_outage")),
        _latencies,
        "Your words: why this latency in each condition? Which resource runs out? What does the client know?",
    ),
    Answer(
        "b-outage",
        "Part B: backlog and recovery of an outage of 60 s",
        (B2,),
        _all(_predictions(B2), _section(B2, "What waited")),
        "Your words: where did the orders wait, how large did the backlog become, and why was it drained so quickly?",
    ),
    Answer(
        "b-idempotency",
        "Part B: idempotency: the same message twice",
        (B3,),
        _predictions(B3),
        "Your words: which row, in which transaction, makes the second delivery harmless? What if the process dies?",
    ),
    Answer(
        "b-dead-letters",
        "Part B: invalid messages in the dead-letter queue",
        (B4,),
        _section(B4, "Messages that the script published"),
        "Your words: why is an invalid message not tried again, and who looks at it now?",
    ),
    Answer(
        "c-10000",
        "Part C: 10,000 events",
        (C1,),
        _predictions(C1),
        "Your words: why is producing faster than the consumers, and what shows how far behind each of them is?",
    ),
    Answer(
        "c-lag",
        "Part C: consumer lag, before, during and after throttling",
        (C2,),
        _all(*(_file(C2, f"lag_{when}.txt") for when in ("before", "during", "after")), _predictions(C2)),
        "Your words: how fast did the lag grow, and how can it be computed before the run?",
    ),
    Answer(
        "c-metrics",
        "Part C: the metrics file, and orders per minute",
        (C3,),
        _all(_per_minute, _file(C3, "metrics.json")),
        "Your words: where does the minute of an order come from, and why not from the clock of analytics?",
    ),
    Answer(
        "c-replay",
        "Part C: replay, before and after",
        (C3,),
        _all(_file(C3, "replay_diff.txt"), _predictions(C3)),
        "Your words: why are the numbers the same, and what would make them differ?",
    ),
]
