"""What a run under chaos says: the schedule that was drawn beside what was done, and the page over many such runs."""

import json
from collections import Counter
from pathlib import Path
from typing import Any

from lab.checker import losses
from lab.checker.invariants import Evidence
from lab.errors import LabError
from lab.history.model import Run
from lab.paths import PARTS
from lab.report import format

OLD_KINDS = ("kill", "freeze", "broker", "configure", "crash", "duplicates", "poison")  # of a run that does not say
WORDS = {
    "broker": "kill",
    "broker_frozen": "freeze",
    "crash": "crash at",
    "duplicates": "deliver again",
    "poison": "send malformed messages",
    "database_away": "keep its database from being written",
    "disk_full": "let its disk be full",
    "flaps": "cut its connections again and again:",
}


def figures(run: Run) -> dict[str, Any]:
    """Return what a summary holds of chaos: the seed, the faults by kind, and what they cost."""
    schedule, evidence = run.schedule, Evidence(run)
    planned = Counter(fault["kind"] for fault in schedule["faults"])
    done, kinds = Counter(run.carried_out()), schedule.get("kinds", OLD_KINDS)
    results = Counter(op.result for op in run.operations)
    return {
        "seed": schedule["seed"],
        "minutes": schedule["minutes"],
        "planned": {kind: planned[kind] for kind in kinds},
        "counts": {
            "sent": results.total(),
            "acknowledged": results["ok"],
            "refused": results["fail"],
            "unknown to the client": results["info"] + results[None],
            "notified": sum(order["status"] == "notified" for order in evidence.orders.values()),
            **{kind: done[kind] for kind in kinds},
            "lost": len(losses.lost(evidence)),
            "doubled": len(losses.doubled(evidence)),
            "left open": len(losses.left_open(evidence)),
        },
    }


def scheduled(run: Run) -> list[tuple[str, ...]]:
    """Return each fault that was drawn, and what was done of it; nothing where there was no schedule."""
    began = next((e["at"] for e in run.of_type("begins")), 0.0)
    came = {e["fault"]: e for e in run.of_type("carried out")}
    return [_row(fault, came.get(n), began) for n, fault in enumerate((run.schedule or {"faults": []})["faults"])]


def _row(fault: dict[str, Any], came: dict[str, Any] | None, began: float) -> tuple[str, ...]:
    at, seconds = fault["at"], fault["seconds"]
    settings = " ".join(f"{key}={value}" for key, value in fault["settings"].items())
    what = f"{WORDS.get(fault['kind'], fault['kind'])} {settings}".strip()
    planned = (f"{at:.1f} s", f"{at + seconds:.1f} s" if seconds else "–", what, fault["service"])
    if came is None:
        return (*planned, "–", "–", "not done")
    ended = f"{came['ended'] - began:.1f} s" if seconds else "–"
    said = came["said"] if came["done"] else f"not done: {came['said']}"
    return (*planned, f"{came['began'] - began:.1f} s", ended, said or "done")


def make(folder: Path) -> None:
    """Write `report.md` over all runs under chaos in a folder. Raises LabError when there is none."""
    (folder / "report.md").write_text(page(folder))


def page(folder: Path) -> str:
    """Return the page over the runs in `PART/seed-N` of a folder. Raises LabError when there is none."""
    found = {part: _summaries(folder / part) for part in PARTS}
    if not any(found.values()):
        raise LabError(f"there are no runs under chaos in {folder}", "experiments/chaos_all.sh makes them")
    tables = {part: _table(part, summaries) for part, summaries in found.items() if summaries}
    return format.page("report/templates/chaos.md.j2", tables=tables)


def _summaries(folder: Path) -> dict[str, dict[str, Any]]:
    """Return the summary of each run of a part by its name, in the order of the seeds."""
    found = {file.parent.name: json.loads(file.read_text()) for file in folder.glob("seed-*/summary.json")}
    return dict(sorted(found.items(), key=lambda pair: pair[1]["chaos"]["seed"]))


def _table(part: str, summaries: dict[str, dict[str, Any]]) -> str:
    counts = {name: summary["chaos"]["counts"] for name, summary in summaries.items()}
    columns = list(max(counts.values(), key=len))  # an old run does not know all kinds
    rows = [
        (
            f"[{summary['chaos']['seed']}]({part}/{name}/report.md)",
            *(counts[name].get(column, 0) for column in columns),
            summary["verdict"],
        )
        for name, summary in summaries.items()
    ]
    total = ("all", *(sum(each.get(column, 0) for each in counts.values()) for column in columns), "")
    return format.table(("seed", *(name.replace("_", " ") for name in columns), "verdict"), [*rows, total])
