"""Small files beside a report, to be handed in: lag tables as Kafka's own tool prints them, and metrics as JSON."""

from typing import Any

from lab.analysis import reports
from lab.history.model import Run
from lab.report.format import as_json

WHEN = {"normal": "before", "throttled": "during", "released": "after"}  # of the names that C2 gives its tables
NAMES = ("lag_before.txt", "lag_during.txt", "lag_after.txt", "metrics.json", "metrics_before.json",
         "metrics_after.json", "replay_diff.txt")  # fmt: skip
COLUMNS = {
    "GROUP": "group",
    "TOPIC": "topic",
    "PARTITION": "partition",
    "CURRENT-OFFSET": "current",
    "LOG-END-OFFSET": "end",
    "LAG": "lag",
    "CONSUMER-ID": "consumer",
    "HOST": "host",
    "CLIENT-ID": "client",
}


def files(run: Run) -> dict[str, str]:
    """Return the files of a run by their names; none where there is nothing to extract."""
    tables = {f"lag_{WHEN.get(e['name'], e['name'])}.txt": lag_text(e["rows"]) for e in run.of_type("lag table")}
    found = {name: text for name, text in tables.items() if name in NAMES}
    noted = reports.reports(run)
    if {"before replay", "after replay"} <= noted.keys():
        before, after = noted["before replay"], noted["after replay"]
        last = next(iter(run.held("report")), {"what": "report"} | after)
        found["metrics.json"] = as_json({name: value for name, value in last.items() if name != "what"})
        found |= {"metrics_before.json": as_json(before), "metrics_after.json": as_json(after)}
        found["replay_diff.txt"] = "\n".join(reports.compared(before, after)) + "\n"
    return found


def lag_text(rows: list[dict[str, Any]]) -> str:
    """Return a lag table in the columns of `kafka-consumer-groups --describe`; what was not noted is `-`."""
    lines = [list(COLUMNS)]
    lines += [["-" if row.get(key) is None else str(row[key]) for key in COLUMNS.values()] for row in rows]
    widths = [max(map(len, column)) for column in zip(*lines, strict=True)]
    return "".join("  ".join(map(str.ljust, line, widths)).rstrip() + "\n" for line in lines)
