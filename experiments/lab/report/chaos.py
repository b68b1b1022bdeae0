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
from lab.report.format import table

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


def section(run: Run) -> list[str]:
    """Return the schedule, and what was done of it, where there is one."""
    schedule = run.schedule
    if schedule is None:
        return []
    began = next((e["at"] for e in run.of_type("begins")), 0.0)
    came = {e["fault"]: e for e in run.of_type("carried out")}
    rows = [_row(fault, came.get(n), began) for n, fault in enumerate(schedule["faults"])]
    text = (
        f"Drawn from seed {schedule['seed']} for {schedule['minutes']:g} minutes of load: the same seed draws the same "
        "faults for this part. Seconds since the load began; *mended* is when the service worked again."
    )
    columns = ("planned", "until", "what", "to", "began", "mended", "what came of it")
    return ["## The schedule", text, table(columns, rows)]


def _row(fault: dict[str, Any], came: dict[str, Any] | None, began: float) -> tuple[str, ...]:
    at, seconds = fault["at"], fault["seconds"]
    what = WORDS.get(fault["kind"], fault["kind"])
    settings = " ".join(f"{key}={value}" for key, value in fault["settings"].items())
    planned = (
        f"{at:.1f} s",
        f"{at + seconds:.1f} s" if seconds else "–",
        f"{what} {settings}".strip(),
        fault["service"],
    )
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
    sections = ["# Chaos with a seed", TEXT]
    sections += [text for part, summaries in found.items() if summaries for text in _of_part(part, summaries)]
    return "\n\n".join([*sections, "## Make it again\n\n```\nexperiments/chaos_all.sh\n```"]) + "\n"


TEXT = (
    "Faults at random while orders come: services and brokers are killed and frozen, told to fail, hang, crash and "
    "slow down, their connections are cut again and again (*flaps*), a database cannot be written for a while "
    "(*database away*) or a disk is full, messages are delivered twice, and malformed ones sent among them. Then "
    "everything is healed. *lost*: acknowledged, and not there or not done. *doubled*: with two reservations or "
    "notifications. *left open*: in no final state after settling. Each seed links to its run, with the schedule and "
    "what was done of it."
)


def _summaries(folder: Path) -> list[tuple[str, dict[str, Any]]]:
    """Return the name and the summary of each run of a part, by seed."""
    found = [(file.parent.name, json.loads(file.read_text())) for file in folder.glob("seed-*/summary.json")]
    return sorted(found, key=lambda pair: pair[1]["chaos"]["seed"])


def _of_part(part: str, summaries: list[tuple[str, dict[str, Any]]]) -> list[str]:
    all_counts = [Counter(summary["chaos"]["counts"]) for _, summary in summaries]
    columns = list(max(all_counts, key=len))  # an old run does not know all kinds
    rows = [
        (f"[{summary['chaos']['seed']}]({part}/{name}/report.md)", *_row_of(counts, columns), summary["verdict"])
        for (name, summary), counts in zip(summaries, all_counts, strict=True)
    ]
    total: Counter[str] = Counter()
    for counts in all_counts:
        total.update(counts)
    words = [name.replace("_", " ") for name in columns]
    return [f"## {part}", table(("seed", *words, "verdict"), [*rows, ("all", *_row_of(total, columns), "")])]


def _row_of(counts: Counter[str], columns: list[str]) -> list[str]:
    return [f"{counts[name]:,}" for name in columns]
