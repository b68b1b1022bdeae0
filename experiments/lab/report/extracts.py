"""Small files beside a report, to be handed in: lag tables as Kafka's own tool prints them, and metrics as JSON."""

from typing import Any

from lab.analysis import reports
from lab.brokers.lag_table import NOTED_AS, TABLE
from lab.history.model import Run
from lab.report.format import as_json

WHEN = {"normal": "before", "throttled": "during", "released": "after"}  # of the names that C2 gives its tables
NAMES = ("lag_before.txt", "lag_during.txt", "lag_after.txt", "metrics.json", "metrics_before.json",
         "metrics_after.json", "replay_diff.txt")  # fmt: skip
COLUMNS = TABLE[:9]  # those of `kafka-consumer-groups --describe`


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
    cells = [[row.get(NOTED_AS.get(name, name)) for name in COLUMNS] for row in rows]
    shown = (["-" if cell is None else cell for cell in row] for row in cells)
    return "".join(f"{line}\n" for line in reports.columns([map(str.upper, COLUMNS), *shown]))
