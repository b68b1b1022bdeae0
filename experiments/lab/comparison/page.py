"""The comparison as a page, and as a table for programs."""

import csv
import io
from collections.abc import Callable
from typing import Any

from lab.comparison.runs import MODELS
from lab.report.format import shown_time, table
from lab.verdict import MARK

Figures = dict[str, Any]
NONE = "—"
MOST_NAMED = 3
TOLD = {
    "201": "done",
    "202": "accepted",
    "409": "refused",
    "500": "the order service failed",
    "502": "inventory failed, nothing is kept",
    "503": "cannot be done now, nothing is kept",
    "504": "nobody knows yet, look again",
    "reset": "connection broken",
    "refused": "connection refused",
    "timeout": "no reply in time",
    "none": "no reply",
}
COLUMNS = ("condition", "model", "verdict", "sent", "accepted", "accepted_share", "accept_p50", "accept_p99",
           "notified", "completion_p50", "completion_p99", "from_placed_p50", "from_placed_p99", "told", "backlog_peak",
           "recovered", "recover_s", "lost", "doubled", "left_unknown", "messages_per_order",
           "connections_per_order")  # fmt: skip
MEANINGS = (
    "**accepted**: orders that were answered `201` or `202`, of all that were sent; **accepted after**: from when "
    "an order was meant to be sent until that reply.",
    "**completed after**: from when an order was meant to be sent until its student was notified, of all that were "
    "notified; **from placed**: from when the order service had written it down. With REST an order that waits for a "
    "thread is not placed yet, so the second hides that wait.",
    "**largest backlog**: the most orders at any one time that their clients had meant to send and that were "
    "neither final (notified, failed) nor refused. It counts alike in all models: also those that wait for a thread"
    " or for a reply.",
    "**time to recover**: from the end of the disturbance until the last order was over (final or refused) that was"
    " not notified within 1 s of when it was meant to be sent. 0 means that from then on all was as before.",
    "**lost, doubled, unknown**: orders that break an invariant (lost: 1; doubled: 2 or 6; left unknown: 7), by the"
    " checker, from history and state; `summary.json` names them. An order that was refused is not lost.",
    "**messages per order**: counted where they are received. In A the HTTP requests that inventory and "
    "notification answered, without the answers; in B the messages that consumers dealt with, of all queues; in C "
    "the records that the four groups dealt with. What was delivered and never dealt with, because its consumer "
    "died, is not in it.",
    "**connections per order**: those that the services opened to each other or to the broker, and those that stood "
    "already, as the system saw them five times a second; one that was gone sooner may be missing. With Docker they "
    "cannot be seen. Messages and connections are divided by all orders that were sent, those that warmed up included.",
)


def cell_words(figures: Figures | None) -> str:
    """Return the few figures of a cell of the matrix: accepted, completion p99, time to recover, lost and doubled."""
    if figures is None:
        return NONE
    words = (
        _share(figures["accepted_share"]),
        shown_time(figures["completion_p99"]),
        recovery(figures),
        f"{_count(figures['lost'])}/{_count(figures['doubled'])}",
    )
    mark = "" if figures["verdict"] == "pass" else f" {MARK[figures['verdict']]}"
    return f"[{' · '.join(words)}]({evidence(figures)}){mark}"


def evidence(figures: Figures) -> str:
    """Return where the run that proves a cell is, seen from the comparison's folder."""
    return f"{figures['model']}/{figures['condition']}/report.md"


def recovery(figures: Figures) -> str:
    """Return the time to recover in words."""
    if figures["fault"] is None:
        return NONE
    return shown_time(figures["recover_s"]) if figures["recovered"] else "never"


def told(figures: Figures) -> str:
    """Return what the clients were told, most often first."""
    counts = sorted(figures["told"].items(), key=lambda item: (-item[1], item[0]))
    return ", ".join(f"{count:,} × {_reply(kind)}" for kind, count in counts)


def _reply(kind: str) -> str:
    code = f"`{kind}` " if kind.isdigit() else ""
    return f"{code}{TOLD.get(kind, kind)}"


def _share(share: float | None) -> str:
    return NONE if share is None else f"{100 * share:.3g} %"


def _count(orders: list[str] | None) -> str:
    return "?" if orders is None else str(len(orders))


def _broken(figures: Figures) -> str:
    return ", ".join(_named(figures[name]) for name in ("lost", "doubled", "left_unknown"))


def _named(orders: list[str] | None) -> str:
    """Return how many, and the first of them by name."""
    more = " …" if orders and len(orders) > MOST_NAMED else ""
    return f"{_count(orders)} ({', '.join(orders[:MOST_NAMED])}{more})" if orders else _count(orders)


def _from_placed(figures: Figures) -> str:
    return f"{shown_time(figures['from_placed_p50'])}, {shown_time(figures['from_placed_p99'])}"


def _number(value: float | None) -> str:
    return NONE if value is None else f"{value:.3g}"


ROWS: tuple[tuple[str, Callable[[Figures], str]], ...] = (
    ("sent", lambda f: f"{f['sent']:,}"),
    ("accepted", lambda f: _share(f["accepted_share"])),
    ("accepted after (p50, p99)", lambda f: f"{shown_time(f['accept_p50'])}, {shown_time(f['accept_p99'])}"),
    ("completed after (p50, p99)", lambda f: f"{shown_time(f['completion_p50'])}, {shown_time(f['completion_p99'])}"),
    ("from placed until completed (p50, p99)", _from_placed),
    ("what clients were told", told),
    ("largest backlog", lambda f: f"{f['backlog_peak']:,}"),
    ("time to recover", recovery),
    ("lost, doubled, unknown", _broken),
    ("messages per order", lambda f: _number(f["messages_per_order"])),
    ("connections per order", lambda f: _number(f["connections_per_order"])),
    ("verdict of the run", lambda f: MARK[f["verdict"]]),
)


def condition_section(condition: str, title: str, found: list[Figures]) -> list[str]:
    """Return the section of a condition: its figures by model, the picture, and what there is to see."""
    columns = ("", *(f"[{MODELS[f['model']]}]({evidence(f)})" for f in found))
    rows = [(name, *(show(f) for f in found)) for name, show in ROWS]
    return [
        f"## {title}",
        table(columns, rows),
        f"![orders completed per second: {title}]({condition}.svg)",
        _seen(found),
    ]


def _seen(found: list[Figures]) -> str:
    """Return in two or three sentences what the figures of a condition say."""
    told = [f"{MODELS[f['model']]} accepted {_of_all(f)}." for f in found]
    if any(f["fault"] for f in found):
        times = ", ".join(f"{MODELS[f['model']]} {recovery(f)}" for f in found)
        told.append(f"From the end of the disturbance until all was as before: {times}.")
    largest = max(found, key=lambda f: f["backlog_peak"])
    told.append(f"Most orders waited with {MODELS[largest['model']]}: {largest['backlog_peak']:,}.")
    return " ".join(told)


def _of_all(f: Figures) -> str:
    return "every order" if f["accepted"] == f["sent"] else f"{f['accepted']:,} of {f['sent']:,} orders"


def as_csv(found: list[Figures]) -> str:
    """Return the matrix for programs: a line for each condition and model; `lost` and so on are counts."""
    out = io.StringIO()
    writer = csv.writer(out, lineterminator="\n")
    writer.writerow((*COLUMNS, "evidence"))
    for figures in found:
        writer.writerow([*(_plain(figures[name]) for name in COLUMNS), evidence(figures)])
    return out.getvalue()


def _plain(value: Any) -> Any:
    if isinstance(value, dict):
        return "; ".join(f"{kind} {count}" for kind, count in value.items())
    return len(value) if isinstance(value, list) else value


def write(summary: dict[str, Any]) -> str:
    """Return the page of the comparison."""
    found = {(f["condition"], f["model"]): f for f in summary["cells"]}
    sections = [
        "# One workload, three models",
        _load_text(summary),
        "## Matrix",
        "In each cell: orders that were accepted · completed after (p99) · time to recover · orders lost/doubled. "
        "It leads to the run that shows it.",
        _matrix(summary, found),
        "## What follows from it",
        "The claims of [When to choose which model](../../docs/choosing.md), decided from the figures.",
        table(("claim", "verdict"), [(claim["claim"], MARK[claim["verdict"]]) for claim in summary["claims"]]),
        "## What the figures mean",
        "\n".join(f"- {meaning}" for meaning in MEANINGS),
    ]
    for condition, title in summary["conditions"].items():
        sections += condition_section(condition, title, [f for f in summary["cells"] if f["condition"] == condition])
    return "\n\n".join([*sections, *_again(summary)]) + "\n"


def _load_text(summary: dict[str, Any]) -> str:
    load = summary["load"]
    sent = summary["cells"][0]["sent"]
    return (
        f"The same {sent:,} orders, at the same times, drawn with the seed {load['seed']}: on average {load['rate']:g} "
        f"a second for {load['seconds']:g} s, sent whether or not the services keep up. Each model is disturbed in the "
        "same ways, and then left to recover by itself."
    )


def _matrix(summary: dict[str, Any], found: dict[tuple[str, str], Figures]) -> str:
    rows = [
        (title, *(cell_words(found.get((condition, model))) for model in MODELS))
        for condition, title in summary["conditions"].items()
    ]
    notes = [f"{NONE}: REST has no broker to kill."] if "broker_killed" in summary["conditions"] else []
    notes += [f"Not run: {', '.join(summary['missing'])}."] if summary["missing"] else []
    return "\n\n".join([table(("", *MODELS.values()), rows), *notes])


def _again(summary: dict[str, Any]) -> list[str]:
    commits = sorted({e["commit"] for e in summary["made_at"].values()})
    places = sorted({_place(environment) for environment in summary["made_at"].values()})
    quick = " --quick" if summary["quick"] else ""
    return [
        "## Make it again",
        f"```\nexperiments/compare.sh{quick}\n```",
        f"This one: commit {', '.join(f'`{commit}`' for commit in commits)}; {'; '.join(places)}. "
        f"`./lab compare{quick}` makes this page, `matrix.csv`, `summary.json` and the pictures again from the raw "
        f"files, and `./lab compare{quick} --check` says whether they are that.",
    ]


def _place(environment: dict[str, Any]) -> str:
    """Return where a run was made."""
    e = environment
    return f"runtime {e['runtime']}, {e['cores']} cores, {e['memory_gib']} GiB, {e['system']}"
