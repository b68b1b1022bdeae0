"""Finished runs: a list of all, and one of them as the page plays it, from its raw files."""

import json
from pathlib import Path
from typing import Any

from lab.analysis import backlog, lag, latency
from lab.errors import LabError
from lab.history import model
from lab.history.model import Run, seconds_at
from lab.live.one_order import drawn
from lab.paths import PARTS, RESULTS, STATE_DIR, relative
from lab.report.format import orders_sent, prediction_row

HOMES = {"": RESULTS, "quick/": STATE_DIR / "quick"}
MAX_ORDERS = 20_000  # more are drawn as numbers only
PEAK = "-backlog-peak"  # the prediction that is drawn, too
Shape = dict[str, Any]


def listed() -> list[Shape]:
    """Return every finished run, committed or quick, by its name."""
    found = []
    for prefix, home in HOMES.items():
        for raw in sorted(home.rglob(model.HISTORY)):
            try:
                summary = json.loads((raw.parent / "summary.json").read_text())
                found.append(_line(prefix + str(raw.parent.relative_to(home)), summary))
            except (OSError, ValueError, KeyError):  # it did not finish
                continue
    return sorted(found, key=_place)


def _place(run: Shape) -> tuple[bool, bool, int, str]:
    """Return where a run stands in the list: the experiments of each part first, quick runs last."""
    name = run["name"]
    return name.startswith("quick/"), not name.startswith(run["part"]), PARTS.index(run["part"]), name


def _line(name: str, summary: Shape) -> Shape:
    predictions = summary["predictions"]
    return {
        "name": name,
        "part": summary["part"],
        "verdict": summary["verdict"],
        "orders": orders_sent(summary),
        "predictions": [sum(p["verdict"] == "pass" for p in predictions), len(predictions)],
        "meant": "broken/red" in name or name.endswith("/red"),
    }


def folder_of(name: str) -> Path:
    """Return the folder of a run of the list. Raises LabError when there is none of this name."""
    prefix = next(p for p in sorted(HOMES, reverse=True) if name.startswith(p))
    folder = (HOMES[prefix] / name.removeprefix(prefix)).resolve()
    if not folder.is_relative_to(HOMES[prefix].resolve()) or not (folder / model.HISTORY).exists():
        raise LabError(f"there is no run {name}", "the runs are below results/")
    return folder


def play(folder: Path) -> Shape:
    """Return a run as the page plays it: its orders' times, its samples, its faults, its predictions."""
    run = model.read(folder)
    summary = json.loads((folder / "summary.json").read_text())
    answered = [op for op in run.operations if op.ended is not None][:MAX_ORDERS]
    told = ("id", "rule", "verdict", "sentence")
    return {
        "name": relative(folder),
        "part": summary["part"],
        "title": summary["title"],
        "verdict": summary["verdict"],
        "seconds": _end(run),
        "began": run.head["began_at"],
        "orders": _orders(run),
        "replies": [[round(op.ended or 0.0, 3), round(latency.latency(op), 6), op.result == "ok"] for op in answered],
        "per_second": latency.per_second(run),
        "faults": [{"service": w.service, "what": w.what, "since": w.since, "until": w.until} for w in run.windows],
        "samples": [[row["at"], {k: v for k, v in row.items() if k != "at"}] for row in _thin(backlog.depths(run))],
        "lag": [[row["at"], {k: v for k, v in row.items() if k != "at"}] for row in _thin(lag.rows(run))],
        "predictions": [[*prediction_row(p)[:3], p["verdict"]] for p in summary["predictions"]],
        "waiting_predicted": next((p["predicted"] for p in summary["predictions"] if p["id"].endswith(PEAK)), None),
        "invariants": [{name: each[name] for name in told} for each in summary["invariants"]],
        "figures": {"by_status": summary["orders"]["by_status"], "completion": summary["orders"]["completion"]},
        "phases": summary["phases"],
    }


def one_order(folder: Path, order_id: str) -> Shape:
    """Return what a finished run says of one order, as the page shows it. Raises LabError."""
    run = model.read(folder)
    if order_id not in run.orders:
        raise LabError(f"{relative(folder)} has no order {order_id}")
    order = run.orders[order_id]
    reservation = next((r for r in run.held("reservation") if r["order_id"] == order_id), None)
    notifications = [n for n in run.held("notification") if n["order_id"] == order_id]
    shape = {"part": run.head["part"], "order": order, "reservation": reservation, "notifications": notifications}
    kills = [(e["service"], e["at"]) for e in run.of_type("fault") if e["verb"] == "kill"]
    return shape | {"log": []} | drawn(shape, run.trace, kills)


def _orders(run: Run) -> list[list[Any]]:
    """Return `[placed, reserved, ended, failed, id]` of each order, in seconds since the run began."""
    found = []
    for order in run.held("order"):
        times = {step["status"]: round(seconds_at(run, step["at"]), 3) for step in order["timeline"]}
        ended = times.get("notified", times.get("failed"))
        found.append(
            [times["placed"], times.get("reserved"), ended, int(order["status"] == "failed"), order["order_id"]]
        )
    found.sort(key=lambda each: each[0])
    return found if len(found) <= MAX_ORDERS else [each[:4] for each in found]


def _end(run: Run) -> float:
    ends = [op.ended or op.intended for op in run.operations]
    ends += [seconds_at(run, order["timeline"][-1]["at"]) for order in run.held("order")]
    ends += [w.until or w.since for w in run.windows]
    return round(max(ends, default=1.0) + 1.0, 1)


def _thin(rows: list[Shape], most: int = 600) -> list[Shape]:
    """Return at most so many rows, evenly over time: a picture has no more columns."""
    return rows[:: max(1, len(rows) // most)]
