"""Makes a benchmark's `summary.json` and `report.md` from its raw samples, and from nothing else."""

import gzip
import json
from pathlib import Path
from typing import Any

from lab.history.model import SAMPLES
from lab.report.format import shown_time, table
from lab.verdict import MARK, overall

from benchmarks import report_a, report_b, report_c
from benchmarks.goals import goal

LATENESS = 0.005


def make(folder: Path) -> str:
    """Write the report beside the samples and return its verdict in a sentence."""
    head, *samples = [json.loads(line) for line in gzip.decompress((folder / SAMPLES).read_bytes()).splitlines()]
    goals, sections = JUDGES[head["benchmark"]](samples)
    summary = {**head, "goals": goals, "verdict": overall([g["verdict"] for g in goals])}
    sentence = f"{summary['verdict']}: {sum(g['verdict'] == 'pass' for g in goals)} of {len(goals)} goals reached."
    (folder / "summary.json").write_text(json.dumps(summary, indent=1, ensure_ascii=False) + "\n")
    (folder / "report.md").write_text(_page(head, summary, sentence, goals, sections))
    return sentence


def _page(
    head: dict[str, Any], summary: dict[str, Any], sentence: str, goals: list[dict[str, Any]], sections: list[str]
) -> str:
    env = head["environment"]
    rows = [(g["goal"], g["wanted"], g["measured"], MARK[g["verdict"]]) for g in goals]
    versions = ", ".join(f"{name} {version}" for name, version in env["versions"].items())
    return "\n\n".join(
        [
            f"# Benchmark: {head['benchmark']}",
            f"**{MARK[summary['verdict']]}** — {sentence.split(': ')[1]}",
            table(("goal", "wanted", "measured", "verdict"), rows),
            *sections,
            "## Make it again",
            f"```\n./lab bench {head['benchmark']}{' --quick' if head['quick'] else ''}\n```",
            f"This one: commit `{env['commit']}`, {env['cores']} cores, {env['memory_gib']} GiB, {env['system']}; "
            f"{versions}. Every figure is computed from `{SAMPLES}`. Clients and servers share the machine: read the "
            "ratios, which compare contestants within one round, and not the absolute figures.\n",
        ]
    )


def _judge_load(samples: list[dict[str, Any]]) -> tuple[list[dict[str, Any]], list[str]]:
    goals, rows = [], []
    for s in samples:
        name = f"p99 lateness, {s['name']} arrivals at 300/s for {s['seconds']:.0f} s"
        goals.append(goal(name, f"under {shown_time(LATENESS)}", s["p99"], shown_time(s["p99"]), s["p99"] < LATENESS))
        rows.append((s["name"], f"{s['sent']:,}", f"{s['ok']:,}", *(shown_time(s[q]) for q in ("p50", "p99", "max"))))
    text = "How much later than intended orders were sent, to a server that does nothing."
    columns = ("arrivals", "sent", "done", "p50", "p99", "max")
    return goals, [f"## Lateness of the load generator\n\n{text}\n\n" + table(columns, rows)]


JUDGES = {
    "sync-rest": report_a.judge,
    "async-rabbitmq": report_b.judge,
    "streaming-kafka": report_c.judge,
    "load": _judge_load,
}
