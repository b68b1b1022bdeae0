"""Each prediction can fail: the history of a committed run is doctored until it does."""

import re
from collections.abc import Callable, Iterator
from datetime import datetime, timedelta
from typing import Any

import pytest
from lab.analysis import latency
from lab.checker import predictions
from lab.checker.predictions import Run
from lab.history import model as history
from lab.paths import RESULTS, ROOT
from lab.verdict import FAIL

SCRIPTS = sorted(path for path in (ROOT / "experiments").glob("[abc][0-9]_*.py"))
PART = {"a": "sync-rest", "b": "async-rabbitmq", "c": "streaming-kafka"}
QUEUES = ("order-placed", "inventory-reserved", "order-status", "order-events")
Line = dict[str, Any]
Change = Callable[[Line, int], Line | None]


def of(kinds: str, change: Change) -> Change:
    """Return a change of the lines of some types only."""
    return lambda line, n: change(line, n) if (line.get("type") or line.get("what")) in kinds.split(", ") else line


def later(seconds: float) -> Change:
    """Return the change that all answers come so much later."""
    return of("ok, fail, info", lambda e, n: e | {"at": e["at"] + seconds})


def answered(result: str, kind: str) -> Change:
    """Return the change that all orders are answered so."""
    return of("ok, fail, info", lambda e, n: e | {"type": result, "kind": kind})


def every(change: Change, times: int) -> Change:
    """Return the change of one line in so many."""
    return lambda line, n: change(line, n) if n % times == 0 else line


def ended(status: str) -> Change:
    """Return the change that all orders end so."""
    return of(
        "order",
        lambda o, n: o | {"status": status, "timeline": [*o["timeline"][:-1], o["timeline"][-1] | {"status": status}]},
    )


def stretched(seconds: Callable[[int], float]) -> Change:
    """Return the change that each order reaches its later states so much later, or earlier."""

    def moved(step: Line, n: int) -> Line:
        at = datetime.fromisoformat(step["at"]) + timedelta(seconds=seconds(n))
        return step | {"at": at.isoformat().replace("+00:00", "Z")}

    return of("order", lambda o, n: o | {"timeline": [o["timeline"][0], *(moved(s, n) for s in o["timeline"][1:])]})


def counted(n: int, report: Line) -> Line:
    """Return a report in which each figure is another one."""
    return report | {name: v + n + 1 for name, v in report.items() if isinstance(v, int)} | {"digest": str(n)}


ONE_REPORT = {"totalOrdersSeen": 7, "totalInventoryEvents": 7, "inventoryFailed": 7, "failureRate": 1.0,
              "ordersPerMinuteBucket": {"2026-01-31T12:00": 7}, "generatedAtUnix": 0, "digest": "0"}  # fmt: skip
DOCTORED: dict[str, Change] = {
    "answers come 40 s later": later(40),
    "successes come 40 s later": of("ok", lambda e, n: e | {"at": e["at"] + 40}),
    "some answers come 40 s later": every(later(40), 7),
    "answers come later and later": of("ok, fail, info", lambda e, n: e | {"at": 1.5 * e["at"]}),
    "orders are done later and later": stretched(lambda n: n / 20),
    "loads at even times are slow": of(
        "ok, fail, info", lambda e, n: e | {"at": e["at"] + 0.2} if e["op"].startswith("open") else e
    ),
    "answers come at once": of("invoke, ok, fail, info", lambda e, n: e | {"at": round(e["at"], 1)}),
    "answers are 503": answered("fail", "503"),
    "one in five is 503": every(answered("fail", "503"), 5),
    "the last is 503": of("ok, fail, info", lambda e, n: answered("fail", "503")(e, n) if e["at"] > LAST[0] else e),
    "answers are 500": answered("info", "500"),
    "answers are 504, and late": of("ok, fail, info", lambda e, n: answered("info", "504")(later(40)(e, n) or e, n)),
    "answers are success": answered("ok", "201"),
    "orders fail": ended("failed"),
    "orders are notified": ended("notified"),
    "orders stay open": ended("reserved"),
    "orders are gone": of("order", lambda o, n: None if n % 2 else o),
    "orders are done 90 s later": stretched(lambda n: 90),
    "orders are done at once": stretched(lambda n: -90),
    "orders are done at odd times": stretched(lambda n: n % 977 / 10),
    "no lag": of("lag", lambda e, n: e | {"lag": 0}),
    "much lag": of("lag", lambda e, n: e | {"lag": e["lag"] + 100_000 * e["partition"] + n}),
    "owners change": of("lag table", lambda e, n: e | {"rows": [r | {"client": not r["client"]} for r in e["rows"]]}),
    "no outbox": of("depth", lambda e, n: e | {"ready": 0}),
    "reports differ": of("report", lambda e, n: e | {"report": counted(n, e["report"])} if "report" in e else e),
    "reports are the same": of("report", lambda e, n: e | {"report": ONE_REPORT} if "report" in e else e),
    "snapshots differ": of("snapshot", lambda e, n: e | {"rows": [{"n": n}], "handled": dict.fromkeys(QUEUES, n**2)}),
    "no dead letters": of("dead", lambda d, n: None),
    "nothing was published": of("published", lambda e, n: None),
    "one kind was published": of("published", lambda e, n: None if n % 13 else e),
    "no reservations": of("reservation", lambda r, n: None),
}
LAST = [0.0]


def doctored(run: history.Run) -> Iterator[history.Run]:
    """Yield the run, changed in one way after another."""
    LAST[0] = max(op.sent for op in run.operations) - 1
    for change in DOCTORED.values():
        events, state = (
            [line for n, e in enumerate(lines) if (line := change(e, n)) is not None]
            for lines in (run.events, run.state)
        )
        yield history.Run(run.head, sorted(events, key=lambda e: e["type"] != "invoke"), state)
    dead = [{"what": "dead", "queue": queue, "message_id": "none", "reason": "made up"} for queue in QUEUES]
    yield history.Run(run.head, run.events, run.state + dead)


def failing(path: Any, run: history.Run) -> set[str]:
    """Return the predictions that fail."""
    found = predictions.yielded(path, path.read_text(), Run(run, latency.of_phases(run)))
    return {prediction.id for prediction, _ in found if prediction.verdict() == FAIL}


@pytest.mark.parametrize("path", SCRIPTS, ids=[path.stem for path in SCRIPTS])
def test_each_prediction_fails_on_some_doctored_history(path):
    run = history.read(RESULTS / PART[path.stem[0]] / path.stem)
    ids = set(re.findall(rf'"({path.stem[:2]}-[a-z0-9-]+)"', path.read_text()))
    every_id = {p.id for p, _ in predictions.yielded(path, path.read_text(), Run(run, latency.of_phases(run)))}
    assert ids <= every_id
    left = set(every_id)
    for changed in doctored(run):
        left -= failing(path, changed)
        if not left:
            return
    assert not left, f"nothing makes these fail: {sorted(left)}"
