"""Grading notices evidence that was tampered with, each kind by its own reason; untouched evidence passes.

Everything is tried on a clone of this repository, and on what is committed there.
"""

import copy
import csv
import gzip
import io
import json
import os
import random
import shutil
import subprocess
from collections.abc import Callable, Iterable
from dataclasses import replace
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from campus.orders import drawn
from click.testing import CliRunner
from clones import Clone, as_cloned, breaks, cloned, draw_quickly, git, notices, reasons
from lab.cli.main import main
from lab.errors import LabError
from lab.grading import grade, provenance, rubric
from lab.grading.committed import HandedIn
from lab.grading.evidence import CommittedRun, Evidence
from lab.grading.findings import Judged
from lab.grading.repository import Repository
from lab.history import model as history
from lab.history import steps as reference
from lab.history.model import HISTORY, STATE
from lab.load import generator
from lab.paths import ROOT

A5, A3, B4 = "results/sync-rest/a5_outage", "results/sync-rest/a3_failure", "results/async-rabbitmq/b4_poison"
BENCH = "results/bench/sync-rest"
OTHER_USER = 12345  # not ours, and not the one of any file
QUICK = "a5-refusal-is-quick"
Line = dict[str, Any]


@pytest.fixture(scope="module")
def origin(tmp_path_factory) -> Path:
    return cloned(tmp_path_factory)


@pytest.fixture
def clone(origin, monkeypatch) -> Clone:
    """The clone as it was cloned."""
    return as_cloned(origin, monkeypatch)


@pytest.fixture
def forger(clone, monkeypatch) -> Clone:
    """The same, with pictures that cost no time: whoever makes the reports anew gets them right."""
    return draw_quickly(clone, monkeypatch)


@pytest.mark.parametrize("folder", [A5, A3, B4, BENCH])
def test_untouched_evidence_passes(clone, folder):
    found = clone.graded(folder)
    assert (found.broken, found.summary["verdict"]) == ([], "pass")


def test_a_figure_edited_in_a_table(clone):
    line = clone.edit(f"{A5}/report.md", QUICK, r"[\d.]+ ms \| ✔", "0.123 ms | ✔")
    found = clone.graded(A5)
    assert breaks(
        found, f"report.md line {line} is `", "quick (p50) | at most 20 ms | 0.123 ms", "and the raw files give"
    )
    assert len(reasons(found)) == 1


def test_a_figure_edited_in_the_summary(clone):
    clone.replace(f"{A5}/summary.json", '"dropped": 0', '"dropped": 1')
    assert breaks(clone.graded(A5), "summary.json line", '`"dropped": 1,`, and the raw files give `"dropped": 0,`')


@pytest.mark.parametrize("name", ["completions.csv", "plot.svg", "summary.json"])
def test_a_file_that_was_made_and_is_missing(clone, name):
    (clone.root / A5 / name).unlink()
    assert breaks(clone.graded(A5), f"{name} is missing")


def test_a_benchmark_with_an_edited_figure(clone):
    line = clone.edit(f"{BENCH}/report.md", "naive: ", r"[\d.]+ \(rounds", "9.99 (rounds")
    assert breaks(clone.graded(BENCH), f"report.md line {line} is", "9.99 (rounds", "and the raw files give")


def test_a_deleted_order(forger):
    run = forger.run(A5)
    run.events = [e for e in run.events if e.get("op") != "no_inventory-000300"]
    forger.write(A5, run)
    assert breaks(forger.graded(A5), "order no_inventory-000300 was never sent")


def test_a_deleted_invoke(clone):
    run = clone.run(A5)
    run.events = [e for e in run.events if (e["type"], e.get("op")) != ("invoke", "no_inventory-000300")]
    clone.write(A5, run, anew=False)
    found = clone.graded(A5)
    assert breaks(found, "order no_inventory-000300 was never sent")
    assert breaks(found, "order no_inventory-000300 was answered and never sent")
    assert breaks(found, "no report can be made from the raw files")


def test_a_deleted_result(forger):
    run = forger.run(A5)
    run.events = [e for e in run.events if (e["type"], e.get("op")) != ("ok", "warm-000003")]
    forger.write(A5, run)
    assert breaks(forger.graded(A5), "order warm-000003 was sent and has no end")


def test_a_deleted_fault(forger):
    run = forger.run(A5)
    run.events = [e for e in run.events if (e["type"], e.get("service")) != ("fault", "notification")]
    forger.write(A5, run)
    found = forger.graded(A5)
    text = "not this experiment: the history has nothing where our run has `kill notification`, `start notification`"
    assert breaks(found, text, verdict="unknown")


def test_an_order_that_was_added_and_one_that_was_changed(forger):
    run = forger.run(A5)
    added = [dict(e, op="warm-000100") for e in run.events if e.get("op") == "warm-000099"]
    for e in run.events:
        if e["type"] == "invoke" and e["op"] == "warm-000001":
            e["items"] = [{"sku": "sushi", "qty": 9}]
    forger.write(A5, history.Run(run.head, run.events + added, run.state))
    found = forger.graded(A5)
    assert breaks(found, "order warm-000100 is not one that the load warm draws")
    assert breaks(found, "order warm-000001 is of [{'sku': 'sushi', 'qty': 9}], and its seed draws")


def test_an_order_that_was_meant_for_another_time(forger):
    run = forger.run(A5)
    for e in run.events:
        if e["type"] == "invoke" and e["op"] == "no_inventory-000007":
            e["intended"] -= 0.001
    forger.write(A5, run)
    assert breaks(forger.graded(A5), "order no_inventory-000007 was meant for", "and its seed draws")


def test_an_answer_that_means_something_else(forger):
    run = forger.run(A5)
    refused = [e for e in run.events if e["type"] == "fail"]
    refused[0]["type"] = "ok"
    forger.write(A5, run)
    assert breaks(forger.graded(A5), "was answered 503, which is not `ok`")


def later(utc: str, seconds: float) -> str:
    moved = datetime.fromisoformat(utc) + timedelta(seconds=seconds)
    return moved.isoformat(timespec="microseconds").replace("+00:00", "Z")


def test_an_edited_state_line(forger):
    run = forger.run(A5)
    order = next(o for o in run.held("order") if o["user_id"] == "no_notification-000200")
    for step in order["timeline"]:
        step["at"] = later(step["at"], -3)
    forger.write(A5, run)
    found = forger.graded(A5)
    assert breaks(found, f"order {order['order_id']} was placed at", "and its id was made at")
    assert breaks(found, f"order {order['order_id']} was placed at", "and no_notification-000200 was sent at")


def test_a_notification_that_came_sooner_than_it_was_sent(forger):
    run = forger.run(A5)
    order = next(o for o in run.held("order") if o["user_id"] == "no_notification-000200")
    order["timeline"][-1]["at"] = later(order["timeline"][0]["at"], 0.01)
    forger.write(A5, run)
    assert breaks(forger.graded(A5), f"order {order['order_id']} has a notification of")


def test_an_edited_state_under_the_old_reports(clone):
    run = clone.run(A5)
    order = next(o for o in run.held("order") if o["user_id"] == "no_notification-000200")
    order["status"] = "reserved"
    order["timeline"].pop()
    clone.write(A5, run, anew=False)
    found = clone.graded(A5)
    assert breaks(found, "report.md line 5", "and the raw files give `**✘ fail**")
    assert [i["id"] for i in found.summary["invariants"] if i["verdict"] == "fail"]


def test_lines_out_of_order(clone):
    run = clone.run(A5)
    run.events.insert(5, run.events.pop(50))
    place = clone.root / A5 / HISTORY
    history.write_lines(place, [run.head, *run.events])
    assert breaks(clone.graded(A5), "history.jsonl.gz line 8", "after one at")


def test_a_raw_file_that_an_editor_wrote(clone):
    place = clone.root / A5 / STATE
    text = gzip.decompress(place.read_bytes()).decode()
    place.write_bytes(gzip.compress(text.replace('"what":', '"what": ', 1).encode(), mtime=1))
    found = clone.graded(A5)
    assert breaks(found, 'state.jsonl.gz line 1 was not written by the laboratory: {"what": "')
    assert breaks(found, "state.jsonl.gz was compressed by another program")


def invented(run: history.Run, steps: list[reference.Step]) -> history.Run:
    """Return a run that nobody ran: the steps of another, with plausible orders that all are notified."""
    chance, at, events, state = random.Random(5), 1.0, [], []
    head = copy.deepcopy(run.head)
    for step in steps:
        at += 0.3
        if step.kind == "load":
            params = {key: json.loads(value) for key, _, value in (w.partition("=") for w in step.detail.split()[1:])}
            plan = {"loop": step.detail.split()[0].removeprefix("loop=")} | params
            count = int(plan.get("count") or plan["rate"] * plan["seconds"])
            events.append({"at": at, "type": "begins", "phase": step.name})
            for n in range(count):
                op, sent = f"{step.name}-{n:06d}", round(at + n / plan.get("rate", 100), 6)
                items = [{"sku": chance.choice(("burger", "taco")), "qty": 1}]
                events.append(
                    {"at": sent, "type": "invoke", "op": op, "phase": step.name, "intended": sent, "items": items}
                )
                events.append({"at": sent + 0.005, "type": "ok", "op": op, "kind": "201", "order_id": f"{op}-id"})
            events.append({"at": at, "type": "phase", "phase": step.name, "params": plan, "until": at + count / 20})
        elif step.kind == "settle":
            events.append({"at": at + 60, "type": "settled", "done": True, "took": 0.1})
        else:
            events.append({"at": at, "type": "fault", "verb": step.kind, "service": step.name})
    state.append({"what": "stock", "sku": "burger", "initial": 10, "on_hand": 10, "reserved": 0})
    return history.Run(head, events, state)


def script_of(clone: Clone, name: str) -> bytes:
    return (clone.root / f"experiments/{name}.sh").read_bytes()


def test_an_invented_run(forger):
    forger.write(A5, invented(forger.run(A5), reference.happened(forger.run(A5).events)))
    found = forger.graded(A5)
    assert breaks(found, "order warm-000000 is of", "and its seed draws")
    assert breaks(found, "`start inventory` was done", "s into the load no_inventory, and in our run after")
    assert not breaks(found, "our run has `load")


def test_orders_whose_ids_are_of_another_time(forger):
    run = forger.run(A5)
    run.head["began_at"] = later(run.head["began_at"], 86400).replace("Z", "+00:00")
    for line in run.state:
        for stamped in [line, *line.get("timeline", [])]:
            if "at" in stamped:
                stamped["at"] = later(stamped["at"], 86400)
    forger.write(A5, run)
    assert breaks(forger.graded(A5), "and its id was made at -86")


def test_results_of_another_experiment(clone):
    shutil.rmtree(clone.root / A5)
    shutil.copytree(clone.root / A3, clone.root / A5)
    found = clone.graded(A5)
    assert breaks(found, f"the run says that its experiment is a3_failure, and it is in {A5}")
    assert breaks(found, "the history has", "where our run has", "load no_inventory")


def test_results_of_another_experiment_under_its_name(forger):
    run = forger.run(A3)
    head = forger.run(A5).head | {"began_at": run.head["began_at"]}  # the two may have been made on different days
    forger.write(A5, history.Run(head, run.events, run.state))
    found = forger.graded(A5)
    assert not breaks(found, "the run says that its experiment", verdict="unknown")
    assert breaks(found, "the history has", "where our run has", "load no_inventory", verdict="unknown")


def test_a_quick_run(forger):
    run = forger.run(A5)
    run.head["quick"] = True
    forger.write(A5, run)
    assert breaks(forger.graded(A5), "it is a quick run, which is not full evidence")


def test_a_quick_run_passed_off_as_full(forger):
    steps = reference.happened(forger.run(A5).events)
    quick = [replace(step, detail=step.detail.replace("seconds=30", "seconds=4")) for step in steps]
    forger.write(A5, invented(forger.run(A5), quick))
    found = forger.graded(A5)
    assert breaks(found, "its steps are ours with other parameters, as with --quick")
    assert breaks(found, "load no_inventory", "seconds=4", "our run has", "seconds=30")


def test_a_script_changed_after_the_run_is_a_notice(clone):
    clone.replace("experiments/a5_outage.sh", "down=$(full_or_quick 20 1)", "down=$(full_or_quick 60 1)")
    found = clone.graded(A5)
    assert found.verdict == "pass"
    [said] = [notice for notice in notices(found) if "experiments/a5_outage.sh was changed after the run: " in notice]
    assert "`-down=$(full_or_quick 20 1)`, `+down=$(full_or_quick 60 1)`" in said


def test_a_script_changed_before_the_run_is_shown_and_not_judged(forger):
    forger.replace("experiments/a5_outage.sh", "rate=20", "rate=10")
    made_anew(forger)
    found = forger.graded(A5)
    assert breaks(
        found,
        "experiments/a5_outage.sh was not ours when it ran, judge yourself: `-rate=20`, `+rate=10`",
        verdict="unknown",
    )
    assert len(reasons(found)) == 1


def made_anew(forger: Clone, text: str | None = None) -> None:
    """Make A5 a run of what is committed now, with these predictions."""
    run = forger.run(A5)
    forger.commit(datetime.fromisoformat(run.head["began_at"]) - timedelta(minutes=5))
    run.head["environment"]["commit"] = git(forger.root, "rev-parse", "--short=12", "HEAD")
    text = (forger.root / "experiments/a5_outage.py").read_text() if text is None else text
    run.events = [e for e in run.events if e["type"] not in ("predict", "predictions")]
    run.events.insert(0, {"at": 0.0, "type": "predictions", "text": text})
    forger.write(A5, run)


def test_without_a_run_of_our_own_nobody_can_tell(clone, monkeypatch):
    monkeypatch.setattr(reference, "ours", lambda part, experiment: [])
    assert breaks(clone.graded(A5), "we have no run of our own to compare it with", verdict="unknown")


def test_a_run_with_its_predictions_passes(forger):
    made_anew(forger)
    found = forger.graded(A5)
    assert (found.broken, found.summary["verdict"]) == ([], "pass")


def test_predictions_changed_after_the_run(forger):
    made_anew(forger)
    forger.replace("experiments/a5_outage.py", '("503", 0.5), 0.02', '("503", 0.5), 0.2')
    found = forger.graded(A5)
    assert found.verdict == "pass"
    assert any("experiments/a5_outage.py was changed after the run: " in notice for notice in notices(found))


def test_a_script_put_back_after_the_run(forger):
    ours = script_of(forger, "a5_outage")
    forger.replace("experiments/a5_outage.sh", "rate=20", "rate=10")
    made_anew(forger)
    (forger.root / "experiments/a5_outage.sh").write_bytes(ours)
    words = "experiments/a5_outage.sh was not ours when it ran, judge yourself: `-rate=20`, `+rate=10`"
    assert breaks(forger.graded(A5), words, verdict="unknown")


def test_nothing_of_a_student_is_run(forger):
    """Neither the script nor the predictions of a clone, whatever they say, nor those that its history holds."""
    there = forger.root / "ran"
    for name in ("a5_outage.py", "chaos.py", "lab/paths.py"):
        (forger.root / "experiments" / name).write_text(f"open({str(there)!r}, 'w')\n")
    with (forger.root / "experiments/a5_outage.sh").open("a") as script:
        script.write(f"touch {there}\n")
    made_anew(forger)
    assert forger.graded(A5).verdict == "unknown"
    assert not there.exists()


def test_a_comment_changed_after_the_run(clone):
    clone.replace("experiments/a5_outage.sh", "is down, every order", "is down, no order")
    found = clone.graded(A5)
    assert found.verdict == "pass"
    assert any("was changed after the run: " in notice and "is down, no order" in notice for notice in notices(found))


def test_a_comment_that_no_script_has(forger):
    run = forger.run(A5)
    run.head["about"]["Shows"] = "Everything is well."
    forger.write(A5, run)
    assert any(
        "the run says in its Shows `Everything is well.`, and the script" in n for n in notices(forger.graded(A5))
    )


def test_a_run_of_no_experiment_of_ours_is_not_graded(clone):
    shutil.copytree(clone.root / A5, clone.root / "results/sync-rest/a9_new")
    clone.commit()
    handed_in = HandedIn(Repository(clone.root))
    assert A5 in handed_in.folders
    assert "results/sync-rest/a9_new" not in handed_in.folders
    assert handed_in.complaints() == ["1 folder is of no experiment of ours, and not graded: results/sync-rest/a9_new"]


def test_an_outage_shorter_than_the_script_says(forger):
    run = forger.run(A5)
    _, start = [e for e in run.events if e["type"] == "fault"][:2]
    start["at"] -= 8
    forger.write(A5, run)
    found = forger.graded(A5)
    words = ("`start inventory` was done", "s into the load no_inventory, and in our run after")
    assert breaks(found, "not this experiment: ", *words, verdict="unknown")
    assert breaks(found, "fault 1 (inventory killed) lasted 12.", verdict="unknown")


def test_what_was_due_is_held_to_the_second(forger, monkeypatch):
    """The steps of our run are those of A5 with the moments that its script waited for."""
    run = forger.run(A5)
    due = [("no_inventory", 5.0), ("no_inventory", 25.0), ("no_notification", 5.0), ("no_notification", 25.0)]
    steps = reference.happened(run.events)
    outages = iter(due)
    ours = [replace(step, due=next(outages)) if step.kind in ("kill", "start") else step for step in steps]
    monkeypatch.setattr(reference, "ours", lambda part, experiment: ours)
    forger.write(A5, run)
    assert forger.graded(A5).broken == []
    kill = next(e for e in run.events if e["type"] == "fault")
    began = next(e["at"] for e in run.events if e["type"] == "begins" and e["phase"] == "no_inventory")
    kill["at"] = began + 4.9  # 0.05 s are allowed
    forger.write(A5, run)
    assert breaks(forger.graded(A5), "`kill inventory` was done", "in our run after 5 s", verdict="unknown")


def test_a_load_that_did_not_last(forger):
    run = forger.run(A5)
    next(p for p in run.phases if p["phase"] == "no_inventory")["until"] -= 4
    forger.write(A5, run)
    assert breaks(forger.graded(A5), "the load no_inventory ended at", "and its last reply came at")


@pytest.mark.parametrize(
    ("commit", "verdict", "why"),
    [
        ("0123456789ab", "unknown", "commit 0123456789ab, which it names, is not in this history: was it squashed"),
        ("320652fa59ab+changes", "unknown", "was made with uncommitted changes"),
        ("none", "unknown", "was made outside of git"),
    ],
)
def test_a_commit_that_nobody_can_look_up(forger, commit, verdict, why):
    run = forger.run(A5)
    run.head["environment"]["commit"] = commit
    forger.write(A5, run)
    forger.replace("common/campus/orders.py", "import", "import  # another")  # so the code tells nothing either
    assert breaks(forger.graded(A5), why, verdict=verdict)


def test_a_log_of_another_run(clone):
    clone.edit(f"{A5}/run.log", "A refusal is quick", "measured", "measured 1")
    assert breaks(clone.graded(A5), "run.log does not say `pass", ": predicted at most 20 ms, measured")


def test_a_report_without_raw_files(clone):
    (clone.root / A5 / HISTORY).unlink()
    assert breaks(clone.graded(A5), "there is no history.jsonl.gz, so nothing shows that it was run")


HEAD = b'{"experiment":"a5_outage","part":"sync-rest","quick":false,"environment":{"commit":"abc"}}'


NONSENSE = {
    "nothing": b"",
    "text": b"burger please",
    "cut off": gzip.compress(HEAD)[:-9],
    "a broken stream": gzip.compress(HEAD)[:20] + b"!!!!" + gzip.compress(HEAD)[24:],
    "a list": gzip.compress(b"[1, 2]"),
    "numbers": gzip.compress(b"7\n8"),
    "empty objects": gzip.compress(b"{}\n{}"),
    "only a head": gzip.compress(HEAD),
    "an order without a name": gzip.compress(HEAD + b'\n{"at":1,"type":"invoke"}'),
    "a time that is none": gzip.compress(HEAD + b'\n{"at":"soon","type":"phase","phase":"a"}\n[]'),
    "not UTF-8": gzip.compress(b"\xff\xfe"),
}


@pytest.mark.parametrize("raw", NONSENSE.values(), ids=NONSENSE.keys())
@pytest.mark.parametrize("name", [HISTORY, STATE])
def test_raw_files_that_make_no_sense_fail_and_are_told(name, raw):
    committed = Repository(ROOT).read(f"{A5}/{n}" for n in (HISTORY, STATE))
    files = {Path(path).name: content for path, content in committed.items()} | {name: raw}
    found = grade.grade_committed_run(CommittedRun(A5, files, in_history=True))
    assert found.verdict == "fail"
    assert all(reasons(found))


def test_a_repository_with_a_raw_file_that_is_none_is_graded(clone):
    (clone.root / A5 / HISTORY).write_bytes(gzip.compress(HEAD)[:20] + b"!!!!")
    assert breaks(clone.graded(A5), "its raw files cannot be read")


# the rubric


def lines_of(clone: Clone, *folders: str, change: Callable[[], None] = lambda: None) -> dict[str, Judged]:
    """Return the lines of the rubric for a clone that has these runs only."""
    clone.keep(*folders)
    change()
    clone.commit()
    found = [clone.graded(folder) for folder in folders]
    pages = Repository(clone.root).read(rubric.pages())
    headings = {path: rubric.headings(content) for path, content in pages.items()}
    return {line.id: line for line in rubric.judge(found, headings)}


def test_the_rubric_has_20_points(clone):
    points = {part: sum(line["points"] for line in rubric.lines() if line["part"] == part) for part in "ABC"}
    assert points == {"A": 6, "B": 7, "C": 7}
    assert len({line["id"] for line in rubric.lines()}) == len(rubric.lines())


def test_each_line_has_its_verdict_and_says_why(clone):
    lines = lines_of(clone, A5)
    assert (lines["A5a"].verdict, lines["A5a"].reason) == ("pass", "5 predictions and 7 invariants hold")
    assert lines["A5a"].evidence == [f"{A5}/report.md"]
    assert lines["A3"].verdict == "unknown"
    assert lines["A3"].reason == f"there is no {A3}: run experiments/a3_failure.sh and commit what it makes"
    assert lines["B7"].reason.startswith("there is no results/bench/async-rabbitmq: run ./lab bench async-rabbitmq")


def cheat(clone: Clone) -> int:
    """Edit a figure, and return its line."""
    return clone.edit(f"{A5}/report.md", QUICK, r"[\d.]+ ms \| ✔", "0.123 ms | ✔")


def test_evidence_that_was_tampered_with_earns_nothing(clone):
    lines = lines_of(clone, A5, change=lambda: cheat(clone))
    assert {lines[name].verdict for name in ("A5a", "A5b")} == {"fail"}
    assert "0.123 ms" in lines["A5b"].reason


def test_a_prediction_that_does_not_hold_fails_only_its_line(forger):
    def slower() -> None:
        run = forger.run(A5)
        for e in run.events:
            if e["type"] == "fail":
                e["at"] = round(e["at"] + 0.05, 6)
        forger.write(A5, run)

    lines = lines_of(forger, A5, change=slower)
    assert lines["A5a"].verdict == "fail"
    assert lines["A5a"].reason.startswith(f"{QUICK}: A refusal is quick (p50): predicted at most 20 ms, measured")
    assert lines["A5b"].verdict == "pass"


def test_a_weaker_prediction_is_not_ours(forger):
    def weaken() -> None:
        forger.replace("experiments/a5_outage.py", '("503", 0.5), 0.02', '("503", 0.5), 2')
        made_anew(forger)

    lines = lines_of(forger, A5, change=weaken)
    assert (lines["A5a"].verdict, lines["A5b"].verdict) == ("unknown", "unknown")
    assert "experiments/a5_outage.py was not ours when it ran, judge yourself: " in lines["A5a"].reason
    assert '0.02, unit="s")`, `+' in lines["A5a"].reason


def test_a_broken_invariant_fails_all_lines_of_its_run(forger):
    def notified_twice() -> None:
        run = forger.run(A5)
        run.state.append(copy.deepcopy(run.held("reservation")[0]))
        forger.write(A5, run)

    lines = lines_of(forger, A5, change=notified_twice)
    assert {lines[name].verdict for name in ("A5a", "A5b")} == {"fail"}
    assert lines["A5a"].reason.startswith("INV-2: Broken 1 time")


def test_a_section_that_is_missing(clone):
    readme = "async-rabbitmq/README.md"
    lines = lines_of(clone, change=lambda: clone.replace(readme, "## Idempotency", "## Something else"))
    assert (lines["B3"].verdict, lines["B3"].reason) == ("fail", f"{readme} has no section `Idempotency`")


# the command


def told(*words: Path | str) -> tuple[int, str]:
    done = CliRunner().invoke(main, ["grade", *(str(word) for word in words)])
    return done.exit_code, done.stdout


def test_the_command_prints_points_reasons_and_links(clone):
    clone.keep(A5)
    (clone.root / "results/README.md").unlink()  # it speaks of all runs
    clone.commit()
    status, said = told(clone.root)
    assert status == 2
    assert "1 of 1 runs and benchmarks are valid" in said
    assert "→ results/sync-rest/a5_outage/report.md" in said
    assert "1 of 20 points (A 1 of 6, B 0 of 7, C 0 of 7); 19 cannot be told" in said


def test_what_is_not_committed_is_said_and_not_graded(clone):
    clone.keep(A5)
    (clone.root / "results/README.md").unlink()  # it speaks of all runs
    clone.commit()
    cheat(clone)
    (clone.root / "results/sync-rest/a9_new").mkdir()
    (clone.root / "results/sync-rest/a9_new" / HISTORY).write_bytes(b"")
    status, said = told(clone.root)
    assert status == 2
    assert f"not committed, so not graded: {A5}/report.md" in said
    assert "not committed, so not graded: results/sync-rest/a9_new/" in said
    assert "FAIL" not in said


def test_json_and_csv_for_a_class(clone, tmp_path):
    clone.keep(A5, BENCH)
    line = cheat(clone)
    clone.commit()
    status, said = told(clone.root, "--json")
    document = json.loads(said)
    assert (status, document["status"], document["points"], document["of"]) == (1, 1, 0, 20)
    assert [run["verdict"] for run in document["runs"]] == ["pass", "fail"]
    assert [line["id"] for line in document["lines"] if line["verdict"] == "fail"] == ["A5a", "A5b"]
    (tmp_path / "nothing").mkdir()
    status, said = told(tmp_path / "nothing", clone.root, "--csv")
    head, nothing, graded = csv.reader(io.StringIO(said))
    assert status == 1
    assert head == ["folder", "points", "of", "failed", "cannot tell", "notices"]
    assert nothing[-1].endswith("is not the root of a git repository")
    assert graded[:4] == [str(clone.root), "0", "20", "A5a A5b"]
    assert graded[-1].startswith(f"{A5}: report.md line {line} is")


def test_a_folder_that_is_no_repository(tmp_path):
    with pytest.raises(LabError, match="is not the root of a git repository"):
        Repository(tmp_path)


def test_a_shallow_clone_cannot_tell_of_earlier_commits(clone, tmp_path):
    shallow = tmp_path / "shallow"
    subprocess.run(["git", "clone", "--quiet", "--depth=1", f"file://{clone.root}", str(shallow)], check=True)
    assert grade.grade_committed_run(HandedIn(Repository(shallow)).run(A5)).verdict == "pass"  # by its content
    clone.replace("common/campus/orders.py", "import", "import  # another")
    clone.commit()
    shutil.rmtree(shallow)
    subprocess.run(["git", "clone", "--quiet", "--depth=1", f"file://{clone.root}", str(shallow)], check=True)
    found = grade.grade_committed_run(HandedIn(Repository(shallow)).run(A5))
    assert breaks(found, "may be beyond the end of this shallow clone", verdict="unknown")


@pytest.mark.skipif(os.geteuid() != 0, reason="only root can give a clone to another user")
def test_a_clone_of_another_user_is_graded_as_our_own(clone, tmp_path, monkeypatch):
    monkeypatch.setenv("HOME", str(tmp_path))  # whose git may trust every folder
    theirs = tmp_path / "theirs"
    subprocess.run(["git", "clone", "--quiet", "--shared", str(clone.root), str(theirs)], check=True)
    (theirs / A5 / "note").write_text("mine")
    for path in (theirs, *theirs.rglob("*")):
        os.chown(path, OTHER_USER, OTHER_USER, follow_symlinks=False)
    refused = subprocess.run(["git", "-C", str(theirs), "log"], capture_output=True, text=True, check=False)
    assert "dubious ownership" in refused.stderr  # git itself does not read it
    found = HandedIn(Repository(theirs))
    assert found.repository.changes() == [f"{A5}/note"]
    assert grade.grade_committed_run(found.run(A5)).verdict == "pass"


# loads that no committed run has yet


def sent_by(plan: generator.Plan, orders: Iterable[tuple[str, list]], times: Iterable[float]) -> Evidence:
    """Return the evidence of one load that sent these orders, from 1.0 s on."""
    began = {"at": 1.0, "type": "phase", "phase": plan.phase, "params": plan.params(), "until": 9.0}
    invokes = [
        {"at": at, "type": "invoke", "op": op, "phase": plan.phase, "intended": at, "items": items}
        for (op, items), at in zip(orders, times, strict=False)
    ]
    return Evidence(None, history.Run({}, [began, *invokes]), {}, None)


BULK = generator.Plan("burst", bulk=True, count=5)
CLOSED = generator.Plan("closed", clients=1, seconds=4.0)


@pytest.mark.parametrize(
    ("plan", "orders", "times", "wrong"),
    [
        (BULK, drawn(5, 1), [1.0] * 5, []),
        (BULK, list(drawn(5, 1))[:4], [1.0] * 4, ["order bulk-1-000004 was never sent"]),
        (BULK, drawn(5, 1), [1.0] * 4 + [1.5], ["order bulk-1-000004 was meant for 1.500000 s"]),
        (CLOSED, generator.orders(CLOSED), [1.0, 2.0, 4.9], []),
        (
            CLOSED,
            generator.orders(CLOSED),
            [1.0, 2.0, 5.1],
            ["order closed-000002 was sent at 5.100 s, outside its load"],
        ),
    ],
)
def test_the_orders_of_other_loads_are_drawn_too(plan, orders, times, wrong):
    found = list(provenance.loads_are_seeded(sent_by(plan, orders, times)))
    assert len(found) == len(wrong)
    assert all(any(words in reason for reason in found) for words in wrong)
