"""Makes `summary.json`, `report.md`, `plot.svg` and the series from the raw files of a run, and nothing else.

A section appears when the run has something to say there.
"""

import json
from pathlib import Path
from typing import Any

from lab.analysis import lag, latency
from lab.checker import predictions
from lab.checker.invariants import check
from lab.history.model import Run, read
from lab.report import chaos as chaos_report
from lab.report import log, plot, queues
from lab.report.format import as_csv, prediction_row, shown_time, table, verdict_sentence
from lab.verdict import MARK, UNKNOWN, overall

SCHEMA_VERSION = 2


def make(folder: Path) -> dict[str, Any]:
    """Write the report of a run beside its raw files and return its summary. Raises LabError."""
    run = read(folder)
    summary = summarise(run)
    (folder / "summary.json").write_text(json.dumps(summary, indent=1, ensure_ascii=False) + "\n")
    (folder / "report.md").write_text(write_report(run, summary))
    (folder / "completions.csv").write_text(as_csv(latency.per_second(run)))
    if run.of_type("depth"):
        (folder / "depth.csv").write_text(as_csv(latency.depths(run)))
    if run.of_type("lag"):
        (folder / "lag.csv").write_text(as_csv(lag.rows(run)))
    plot.draw(run, folder / "plot.svg")
    return summary


def summarise(run: Run) -> dict[str, Any]:
    """Return the summary: what was run, where, what was measured, and the verdict."""
    phases = latency.of_phases(run)
    judged, doubt = predictions.judge(run, phases)
    invariants = [finding.as_dict() for finding in check(run)]
    chaos = {"chaos": chaos_report.figures(run)} if run.schedule else {}
    head = run.head
    return {
        "schema_version": SCHEMA_VERSION,
        "experiment": head["experiment"],
        "part": head["part"],
        "title": head["title"] + (f" — broken on purpose: {head['broken']}" if "broken" in head else ""),
        "quick": head["quick"],
        "began_at": head["began_at"],
        "environment": head["environment"],
        "phases": phases,
        "orders": latency.of_orders(run),
        "windows": [{"service": w.service, "what": w.what, "since": w.since, "until": w.until} for w in run.windows],
        **chaos,
        "settled": (run.of_type("settled") or [None])[-1],
        "predictions": judged,
        **({"doubt": doubt} if doubt else {}),
        "invariants": invariants,
        "verdict": overall([each["verdict"] for each in (*judged, *invariants)] + ([UNKNOWN] if doubt else [])),
    }


def write_report(run: Run, summary: dict[str, Any]) -> str:
    """Return the report as Markdown."""
    about, judged = run.head["about"], summary["predictions"]
    sections = [
        f"# {summary['title']}",
        about.get("Shows", ""),
        f"**{MARK[summary['verdict']].replace('*', '')}** — {verdict_sentence(summary)}",
        "## Predicted and measured",
        f"**{summary['doubt']}**" if "doubt" in summary else "Each prediction was written down before the load began.",
        table(
            ("id", "prediction", "predicted", "measured", "verdict"), [(p["id"], *prediction_row(p)) for p in judged]
        ),
        *_computed_section(judged),
        "## What the clients saw",
        _loads_text(run),
        table(_load_columns(run), [_load_row(name, p) for name, p in summary["phases"].items()]),
        *_errors_section(run, summary),
        *queues.completion_section(summary),
        "## What became of the orders",
        _orders_text(summary),
        "![latency over time, replies per second, latency by quantile](plot.svg)",
        *chaos_report.section(run),
        *_faults_section(summary),
        *queues.depth_section(run),
        *queues.published_section(run),
        *queues.dead_letters_section(run),
        *log.lag_section(run),
        *log.reports_section(run),
        "## Invariants",
        table(("id", "invariant", "verdict", "found"), [_invariant_row(i) for i in summary["invariants"]]),
        *_violations(summary),
        "## Why it behaves so",
        about.get("Why", ""),
        "## What this does not show",
        about.get("Not shown", ""),
        "## Make it again",
        _again(run, summary),
    ]
    return "\n\n".join(section for section in sections if section) + "\n"


def _load_columns(run: Run) -> tuple[str, ...]:
    ok = latency.word_for_ok(run)
    counts = ("load", "how", "sent", ok, "refused", "unknown", f"{ok}/s")
    return (*counts, "p50", "p95", "p99", "max", "late", "dropped")


def _loads_text(run: Run) -> str:
    ok = latency.word_for_ok(run)
    return (
        f"Latency of the orders that were {ok}, from the moment when each was meant to be sent. *late*: sent more than "
        f"10 ms after that moment; *dropped*: not sent at all, because too many were waiting; *{ok}/s*: until the last "
        f"one was {ok}."
    )


def _load_row(name: str, p: dict[str, Any]) -> tuple[str, ...]:
    counts = (f"{p[key]:,}" for key in ("sent", "ok", "fail", "info"))
    times = (shown_time(p[key]) for key in ("p50", "p95", "p99", "max"))
    return (name, _how(p["params"]), *counts, f"{p['achieved']:,.1f}", *times, f"{p['late']:,}", f"{p['dropped']:,}")


def _how(params: dict[str, Any]) -> str:
    if params["loop"] == "bulk":
        return f"one request, {params['count']:,} orders"
    if params["loop"] == "closed":
        amount = f"{params['count']} orders" if "count" in params else f"{params['seconds']:g} s"
        return (
            f"closed, {params['clients']} clients, {amount}" if params["clients"] > 1 else f"closed, 1 client, {amount}"
        )
    return f"open, {params['rate']:g}/s{' Poisson' if params.get('poisson') else ''}, {params['seconds']:g} s"


def _errors_section(run: Run, summary: dict[str, Any]) -> list[str]:
    kinds = KINDS if run.asynchronous else KINDS | KINDS_IN_A_CHAIN
    rows = [
        (name, kinds.get(kind, f"`{kind}`"), f"{e['count']:,}", f"{100 * e['share']:.1f} %", *_times(e))
        for name, p in summary["phases"].items()
        for kind, e in p["errors"].items()
    ]
    if not rows:
        return []
    return [
        f"Orders that were not {latency.word_for_ok(run)}, by kind:",
        table(("load", "reply", "orders", "share", "p50", "max"), rows),
    ]


KINDS = {
    "409": "`409` refused",
    "500": "`500` the order service failed",
    "reset": "connection broken",
    "refused": "connection refused",
    "timeout": "no reply in time",
}
KINDS_IN_A_CHAIN = {  # where the reply waits for the other services
    "502": "`502` inventory failed",
    "503": "`503` inventory cannot be reached",
    "504": "`504` inventory did not answer in time",
}


def _times(e: dict[str, Any]) -> tuple[str, str]:
    return shown_time(e["p50"]), shown_time(e["max"])


def _orders_text(summary: dict[str, Any]) -> str:
    orders = summary["orders"]
    states = ", ".join(f"{count:,} {status}" for status, count in orders["by_status"].items()) or "none"
    reasons = ", ".join(f"{count:,} {reason}" for reason, count in orders["failed_for"].items())
    done = orders["completion"]
    text = f"At the end: {states}{f' ({reasons})' if reasons else ''}. "
    text += f"Completion (placed → notified): p50 {shown_time(done['p50'])}, p99 {shown_time(done['p99'])}, "
    text += f"max {shown_time(done['max'])}. "
    settled = summary["settled"]
    if settled and settled["done"]:
        return text + f"All orders were final {settled['took']:.1f} s after the last load."
    return text + "Not all orders were final when the run ended."


def _faults_section(summary: dict[str, Any]) -> list[str]:
    if not summary["windows"]:
        return []
    rows = [
        (w["service"], w["what"], f"{w['since']:.1f} s", f"{w['until']:.1f} s" if w["until"] else "end", _length(w))
        for w in summary["windows"]
    ]
    return ["Disturbed, and shaded in the plot:", table(("service", "what", "from", "until", "lasted"), rows)]


def _length(w: dict[str, Any]) -> str:
    return f"{w['until'] - w['since']:.1f} s" if w["until"] else "–"


def _computed_section(judged: list[dict[str, Any]]) -> list[str]:
    """Return how each prediction was computed: as it is written, and the figures of the run that went into it."""
    if not judged:
        return []
    rows = [
        (p["id"], str(p["line"]), f"`{p['measure']}`", f"`{p['expect']}`" if p["expect"] else "", _figures(p["values"]))
        for p in judged
    ]
    columns = ("id", "line", "measured", "predicted", "figures of this run")
    summary = "<details><summary>The lines of the file of predictions, and what went into them</summary>"
    return ["## How that was computed", f"{summary}\n\n{table(columns, rows)}\n\n</details>"]


def _figures(values: dict[str, float | None]) -> str:
    return "; ".join(f"`{name}` {'–' if value is None else f'{value:,.6g}'}" for name, value in values.items())


def _invariant_row(i: dict[str, Any]) -> tuple[str, ...]:
    return i["id"], i["rule"], MARK[i["verdict"]], i["sentence"]


def _violations(summary: dict[str, Any]) -> list[str]:
    told = []
    for finding in summary["invariants"]:
        for violation in finding["violations"]:
            told.append(f"**{violation['subject']}** breaks {finding['id']}: {violation['wrong']}")
            told.append("```\n" + "\n".join(violation["story"]) + "\n```")
    return told


def _again(run: Run, summary: dict[str, Any]) -> str:
    env = summary["environment"]
    versions = ", ".join(f"{name} {version}" for name, version in env["versions"].items())
    kinds = ("completions", *(kind for kind in ("depth", "lag") if run.of_type(kind)))
    series = ", ".join(f"`{kind}.csv`" for kind in kinds)
    script = run.head.get("again", f"experiments/{summary['experiment']}.sh")
    script += " --quick" if summary["quick"] else ""
    return (
        f"```\n{script}\n```\n\n"
        f"This one: {summary['began_at'][:19].replace('T', ' ')} UTC, commit `{env['commit']}`, "
        f"runtime {env['runtime']}, {env['cores']} cores, {env['memory_gib']} GiB, {env['system']}; {versions}. "
        f"`./lab report` with this folder makes this page, `summary.json`, {series} and the plot again from "
        f"`history.jsonl.gz` and `state.jsonl.gz`."
    )
