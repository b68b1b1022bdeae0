"""What a run under chaos says: the faults that were drawn and what they cost, and the page over many such runs."""

import json
from collections import Counter
from pathlib import Path
from typing import Any

from lab.checker import losses
from lab.checker.invariants import RunIndex
from lab.errors import LabError
from lab.history.model import Run
from lab.paths import PARTS
from lab.report.format import page

OLD_KINDS = ("kill", "freeze", "broker", "configure", "crash", "duplicates", "poison")  # of a run that does not say


def figures(run: Run, schedule: dict[str, Any]) -> dict[str, Any]:
    """Return what a summary holds of chaos: the seed, the faults by kind, and what they cost."""
    evidence = RunIndex(run)
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
            "duplicated": len(losses.duplicated(evidence)),
            "unresolved": len(losses.unresolved(evidence)),
        },
    }


def scheduled(run: Run) -> list[tuple[dict[str, Any], dict[str, Any] | None]]:
    """Return each fault that was drawn, beside what was done of it, in seconds since the load began."""
    began = next((e["at"] for e in run.of_type("begins")), 0.0)
    done = {e["fault"]: e | {name: e[name] - began for name in ("began", "ended")} for e in run.of_type("carried out")}
    return [(fault, done.get(n)) for n, fault in enumerate((run.schedule or {"faults": []})["faults"])]


def write(folder: Path) -> str:
    """Return the page over the runs in `PART/seed-N` of a folder. Raises LabError when there is none."""
    found = {part: _summaries(folder / part) for part in PARTS}
    if not any(found.values()):
        raise LabError(f"there are no runs under chaos in {folder}", "experiments/chaos_all.sh makes them")
    return page("report/templates/chaos.md.j2", found=found, columns_of=_columns)


def _columns(summaries: list[dict[str, Any]]) -> list[str]:
    return list(max((summary["chaos"]["counts"] for summary in summaries), key=len))  # an old run knows fewer kinds


def _summaries(folder: Path) -> list[dict[str, Any]]:
    """Return the summary of each run of a part, in the order of the seeds."""
    found = [{"name": file.parent.name} | json.loads(file.read_text()) for file in folder.glob("seed-*/summary.json")]
    return sorted(found, key=lambda summary: summary["chaos"]["seed"])
