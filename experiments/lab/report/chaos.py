"""What a run under chaos says: the faults that were drawn and what they cost, and the page over many such runs."""

from collections import Counter
from collections.abc import Mapping
from typing import Any

from lab.checker import losses
from lab.checker.invariants import RunIndex
from lab.errors import LabError
from lab.history.model import Run
from lab.paths import PARTS
from lab.report.format import page

CLUSTER = "%s, three nodes and several inventories"


def figures(run: Run, schedule: dict[str, Any]) -> dict[str, Any]:
    """Return what a summary holds of chaos: the seed, the faults by kind, and what they cost."""
    evidence = RunIndex(run)
    planned = Counter(fault["kind"] for fault in schedule["faults"])
    done, kinds = Counter(run.carried_out()), schedule["kinds"]
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


def page_of(found: Mapping[str, dict[str, Any]]) -> str:
    """Return the page over runs under chaos, by the summaries in their folders. Raises LabError when there is none."""
    tables: dict[str, list[dict[str, Any]]] = {title: [] for title in (*PARTS, *(CLUSTER % part for part in PARTS))}
    for name, run in sorted(found.items(), key=lambda item: item[1]["chaos"]["seed"]):
        folder = name.removeprefix("chaos/")
        part, _, seed = folder.partition("/")
        tables[CLUSTER % part if seed.startswith("cluster-") else part].append(run | {"folder": folder})
    if not found:
        raise LabError("there are no runs under chaos", "experiments/chaos_all.sh makes them")
    return page("report/templates/chaos.md.j2", found=tables, columns_of=_columns)


def _columns(summaries: list[dict[str, Any]]) -> list[str]:
    return list(max((summary["chaos"]["counts"] for summary in summaries), key=len))  # an old run knows fewer kinds
