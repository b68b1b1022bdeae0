"""Clones that are forged, hostile, or honest and odd: what grading says of each, and that the class goes on.

Forged ones earn nothing, hostile ones hurt nothing, and honest ones are not accused.
"""

import dataclasses
import gzip
import json
import os
import shutil
import subprocess
import sys
import time
from collections.abc import Callable
from datetime import datetime, timedelta
from pathlib import Path

import psutil
import pytest
from clones import Clone, as_cloned, cloned, draw_quickly, git, notices, reasons, the_student_s
from lab.grading import classroom, committed, isolation, likeness, work
from lab.grading.committed import HandedIn
from lab.grading.findings import Grade
from lab.grading.repository import Repository
from lab.grading.text import plain
from lab.history.model import HISTORY, STATE
from lab.paths import ROOT
from lab.verdict import FAIL, PASS, UNKNOWN
from testing import wait_until

A5 = "results/sync-rest/a5_outage"
B2 = "results/async-rabbitmq/b2_outage"
B3 = "results/async-rabbitmq/b3_redelivery"


@pytest.fixture(scope="module")
def checkout(tmp_path_factory) -> Path:
    return cloned(tmp_path_factory)


@pytest.fixture
def clone(checkout, monkeypatch) -> Clone:
    """A clone with only A5, which its student made."""
    found = as_cloned(checkout, monkeypatch)
    found.keep(A5)
    for page in ("results/README.md", "results/comparison", "results/chaos", "results/broken"):
        shutil.rmtree(checkout / page, ignore_errors=True)
        (checkout / page).unlink(missing_ok=True)
    return found


@pytest.fixture
def quick(clone, monkeypatch) -> Clone:
    """The same, with pictures that cost no time."""
    return draw_quickly(clone, monkeypatch)


def graded(clone: Clone) -> Grade:
    """Commit everything, and grade the clone as a class of one."""
    clone.commit()
    [found] = classroom.graded([clone.root], work.do, work.over_all)
    return found


def said(found: Grade) -> str:
    return found.fault + " ".join(reason for run in found.runs for reason in reasons(run))


def lines_of(packed: bytes) -> list[dict]:
    return [json.loads(line) for line in gzip.decompress(packed).splitlines()]


# forged: what is edited, copied or weakened


def test_a1_and_a2_a_figure_edited_in_the_report_or_in_all_pages(clone):
    number = clone.edit(f"{A5}/report.md", "a5-refusal-is-quick", r"[\d.]+ ms \| ✔", "1.11 ms | ✔")
    found = graded(clone)
    assert found.points(PASS) == 0
    assert f"report.md line {number} is" in said(found)
    clone.edit(f"{A5}/summary.json", '"measured": 0.00', r"0\.00\d+", "0.00111")
    assert "summary.json line" in said(graded(clone))


def test_a3_a_digit_of_a_plot(clone):
    plot = clone.root / A5 / "plot.svg"
    text = plot.read_text()
    middle = next(n for n in range(len(text) // 2, len(text)) if text[n].isdigit())
    plot.write_text(f"{text[:middle]}{(int(text[middle]) + 1) % 10}{text[middle + 1 :]}")
    assert "plot.svg is not the picture whose digest summary.json has" in said(graded(clone))
    summary = (clone.root / A5 / "summary.json").read_text()  # the digest edited, too: --plots draws it again
    old, new = (work.grade.run_report.digest_of(content) for content in (text.encode(), plot.read_bytes()))
    (clone.root / A5 / "summary.json").write_text(summary.replace(old, new))
    clone.commit()
    assert "plot.svg line" in said(classroom.graded([clone.root], work.do, work.over_all, redraw=True)[0])


def test_a4_the_index_edited(checkout, clone):
    clone.commit()
    index = clone.root / "results/README.md"
    runs = [work.grade.grade_committed_run(HandedIn(Repository(clone.root)).run(A5))]
    explored = {
        str(f.relative_to(clone.root)): f.read_bytes() for f in clone.root.glob("results/explore/*.figures.json")
    }
    index.write_bytes(work.pages.over_all(runs, explored)["results/README.md"])
    assert graded(clone).pages == []
    index.write_text(index.read_text().replace("pass", "pass (with distinction)"))
    [page] = graded(clone).pages
    assert page.verdict == FAIL
    assert "pass (with distinction)" in page.sentences[0]


@pytest.mark.parametrize("kind", ["comparison", "chaos", "broken"])
@pytest.mark.long
def test_a4_other_pages_over_many_runs_edited(checkout, monkeypatch, kind):
    git(checkout, "reset", "--quiet", "--hard", "as-cloned")
    the_student_s(monkeypatch, checkout)
    for folder in (checkout / "results").iterdir():
        if folder.is_dir() and folder.name != kind:
            shutil.rmtree(folder)
    page = checkout / f"results/{kind}/report.md"
    page.write_text(page.read_text().replace("| ", "| 7", 1))
    (checkout / "results/README.md").unlink()
    [wrong] = [page for page in graded(Clone(checkout)).pages if page.verdict == FAIL]
    assert wrong.sentences[0].startswith(f"results/{kind}/report.md line")


def quicker(run, share: float) -> None:
    """Let each answer of the open loops come in a share of its time."""
    sent = {e["op"]: e["at"] for e in run.events if e["type"] == "invoke"}
    for e in run.events:
        if e["type"] in ("ok", "fail") and e["op"].startswith("no_"):
            e["at"] = round(sent[e["op"]] + (e["at"] - sent[e["op"]]) * share, 6)


def test_a5_and_a6_answers_moved_further_than_the_clocks_allow(quick):
    run = quick.run(A5)
    moved = [op for op in run.operations if op.result == "ok"][-1]
    for e in run.events:
        if e.get("op") == moved.op:
            e["at"] = round(
                e["at"] - 1.0, 6
            )  # within a quarter of a second nobody can tell, as docs/instructors.md says
    run.events.sort(key=lambda e: e["at"])
    quick.write(A5, run)
    assert "was placed at" in said(graded(quick))


def test_d1_somebody_elses_runs_with_another_environment(quick, monkeypatch):
    run = quick.run(A5)
    mine = [(likeness.US, A5, likeness.print_of(run, benchmark=False))]
    monkeypatch.setattr(likeness, "of_ours", lambda: mine)
    run.head["environment"] |= {"cores": 12, "system": "Darwin arm64"}
    quick.write(A5, run)
    found = graded(quick)
    assert found.points(PASS) == 0
    assert "a copy of our own run: 100% of what was measured is equal" in said(found)
    assert "1 runs came with the hand-out, or are copies" in " ".join(found.notices)


def test_d1_moved_and_doctored_copies_are_found_in_another_clone_too(quick, tmp_path):
    quick.commit()
    other = tmp_path / "other"
    subprocess.run(["git", "clone", "--quiet", str(quick.root), str(other)], check=True)
    copy = Clone(other)
    run = copy.run(A5)
    quicker(run, 2 / 3)
    copy.write(A5, run)
    copy.commit()
    one, two = classroom.graded([quick.root, other], work.do, work.over_all)
    assert [(pair.one, pair.other) for pair in one.similar] == [(one.folder, two.folder)]
    assert 0.5 < one.similar[0].share < 0.7  # each answer was doctored, and the services' own records were not
    assert f"1 runs are the same as in {two.folder}" in one.notices[-1]
    assert "ask whose it is" in said(two)
    assert {grade.points(PASS) for grade in (one, two)} == {0}


def test_d3_nothing_was_done(checkout):
    git(checkout, "reset", "--quiet", "--hard", "as-cloned")
    (checkout / "NOTES.md").write_text("Worked hard.\n")
    found = graded(Clone(checkout))
    assert found.points(PASS) == 0
    assert {line.verdict for line in found.lines} == {UNKNOWN}
    assert "it came with the hand-out, byte for byte, so it earns nothing: run experiments/a1_baseline.sh" in said(
        found
    )


@pytest.mark.parametrize("archive", [False, True])
def test_d4_and_d5_no_repository_inside_our_own(archive):
    inside = ROOT / ".lab" / f"clones-of-a-test-{os.getpid()}"
    inside.mkdir(parents=True)
    try:
        if archive:
            shutil.copytree(ROOT / A5, inside / A5)
        [found] = classroom.graded([inside], work.do, work.over_all)
        assert found.fault == f"cannot be graded: {inside} is not the root of a git repository"
        assert found.points() == 0
    finally:
        shutil.rmtree(inside)


@pytest.mark.parametrize("old", ["seconds=15.0", "seconds=30.0"])
def test_e1_a_weaker_load_is_not_this_experiment(quick, old):
    run = quick.run(A5)
    for phase in run.phases:
        phase["params"]["seconds"] = 1.0
    quick.write(A5, run)
    found = graded(quick)
    assert "not this experiment: its steps are ours with other parameters" in said(found)
    assert "seconds=1" in said(found)
    assert found.points(PASS) == 0


def test_e3_a_weaker_tolerance(quick):
    run = quick.run(A5)
    for e in run.events:
        if e["type"] == "predictions":
            e["text"] = e["text"].replace('("503", 0.5), 0.02', '("503", 0.5), 2')
    quick.write(A5, run)
    found = graded(quick)
    assert "experiments/a5_outage.py was not ours when it ran, judge yourself" in said(found)
    assert found.points(PASS) == 0


def test_e4_a_weaker_checker_is_not_asked(quick):
    quick.replace("experiments/lab/checker/invariants.py", "def check(", "def check_nothing(")
    run = quick.run(A5)
    gone = next(line for line in run.state if line["what"] == "notification")
    run.state.remove(gone)
    quick.write(A5, run)
    found = graded(quick)
    assert found.points(PASS) == 0
    assert any("INV-" in line.reason and line.verdict == FAIL for line in found.lines)


# hostile: one line each, and the class goes on


def change(name: str, edit: Callable[[list[dict]], None]) -> Callable[[Clone], None]:
    def do(clone: Clone) -> None:
        path = clone.root / A5 / name
        lines = lines_of(path.read_bytes())
        edit(lines)
        text = "".join(json.dumps(line, separators=(",", ":")) + "\n" for line in lines)
        path.write_bytes(gzip.compress(text.encode(), mtime=0))

    return do


def truncated(clone: Clone) -> None:
    path = clone.root / A5 / HISTORY
    path.write_bytes(path.read_bytes()[:20000])


def crlf(clone: Clone) -> None:
    (clone.root / ".gitattributes").write_text("* -text\n")  # ours lets git put the ends of lines right
    for name in ("report.md", "summary.json", "completions.csv", "run.log", "plot.svg"):
        path = clone.root / A5 / name
        path.write_bytes(path.read_bytes().replace(b"\n", b"\r\n"))


def utf16(clone: Clone) -> None:
    for name in ("summary.json", "run.log"):
        path = clone.root / A5 / name
        path.write_bytes(path.read_text().encode("utf-16"))


def bomb(clone: Clone) -> None:
    (clone.root / A5 / HISTORY).write_bytes(gzip.compress(bytes(256 * 2**20), 1, mtime=0))


def endless(lines: list[dict]) -> None:
    for e in lines:
        if e.get("type") == "phase" and e["phase"] == "no_inventory":
            e["params"] |= {"rate": 1e9, "seconds": 1e6}


def far(lines: list[dict]) -> None:
    [e for e in lines if e.get("type") == "ok"][-1]["at"] = 1e9


def farther(lines: list[dict]) -> None:
    [e for e in lines if e.get("type") == "ok"][-1]["at"] = 1e11


def far_in_the_state(lines: list[dict]) -> None:
    next(line for line in lines if line["what"] == "order")["timeline"][-1]["at"] = "9999-12-31T00:00:00.000000Z"


def deep(clone: Clone) -> None:
    path = clone.root / A5 / HISTORY
    path.write_bytes(gzip.compress(gzip.decompress(path.read_bytes()) + b"[" * 100_000 + b"\n", mtime=0))


def links(clone: Clone) -> None:
    for name, target in (("report.md", "/etc/passwd"), ("run.log", "../../../../../../../etc/shadow")):
        (clone.root / A5 / name).unlink()
        (clone.root / A5 / name).symlink_to(target)
    (clone.root / "results/sync-rest/a6_freeze").symlink_to("../sync-rest/a5_outage")


def strange_paths(clone: Clone) -> None:
    for name in (b"a\nb", b"a\x1b[2J\x1b[H20 of 20 points", b"a\xff", b"a b", b"..x", b"-rf"):
        shutil.copytree(clone.root / A5, os.fsdecode(os.fsencode(clone.root / "results/sync-rest") + b"/" + name))


def escapes(clone: Clone) -> None:
    path = clone.root / A5 / "report.md"
    path.write_text("\033[2K\033[1A\033[32mall is well: 20 of 20 points\033[0m\n" + path.read_text())


def no_number(lines: list[dict]) -> None:
    for e in lines:
        if e.get("type") == "fault" and e["service"] == "notification":
            e["at"] = float("nan")


def costly_formula(lines: list[dict]) -> None:
    text = "def predictions(run):\n    while True: pass\n    yield\n"
    next(e for e in lines if e.get("type") == "predictions")["text"] = text


HOSTILE = {
    "f01 truncated": (truncated, "history.jsonl.gz is cut off"),
    "f02 crlf": (crlf, "report.md line 1 is"),
    "f03 utf16": (utf16, "summary.json line 1 is"),
    "f04 state missing": (lambda clone: (clone.root / A5 / STATE).unlink(), "there is no state.jsonl.gz"),
    "f05 bomb": (bomb, "history.jsonl.gz holds more than 48 MiB"),
    "f06 endless load": (change(HISTORY, endless), "a load of more than 300,000 orders"),
    "f07 far event": (change(HISTORY, far), "which no run lasts"),
    "f07 farther event": (change(HISTORY, farther), "a number that is too large"),
    "f07 far in the state": (change(STATE, far_in_the_state), "its files name 9999-12-31"),
    "f08 deep": (deep, "RecursionError"),
    "f09 links": (links, "report.md is a link"),
    "f12 no number": (change(HISTORY, no_number), "NaN is no number"),
    "f13 costly formula": (change(HISTORY, costly_formula), "experiments/a5_outage.py was not ours"),
}


@pytest.mark.parametrize(("hurt", "why"), HOSTILE.values(), ids=HOSTILE.keys())
def test_a_hostile_clone_is_one_line_and_earns_nothing(clone, hurt, why):
    hurt(clone)
    found = graded(clone)
    assert why in said(found)
    assert found.points(PASS) == 0


def test_f10_strange_paths_are_named_harmlessly(clone):
    strange_paths(clone)
    found = graded(clone)
    text = " ".join(sentence for page in found.pages for sentence in page.sentences)
    assert "4 folders have names of no experiment" in text
    assert (
        "2 folders are of no experiment of ours, and not graded: results/sync-rest/-rf, results/sync-rest/..x" in text
    )
    assert text.isprintable()
    assert FAIL in [page.verdict for page in found.pages]
    assert [line.verdict for line in found.lines if line.id == "A5a"] == [PASS]


def test_f11_escapes_are_shown_as_text(clone):
    escapes(clone)
    found = graded(clone)
    assert "\\x1b[2K\\x1b[1A\\x1b[32mall is well: 20 of 20 points" in said(found)
    assert said(found).isprintable()


def test_f14_many_runs_under_other_names_are_not_graded(clone):
    for number in range(300):
        shutil.copytree(clone.root / A5, clone.root / f"results/sync-rest/x{number}")
    found = graded(clone)
    assert [run.folder for run in found.runs] == [A5]
    assert found.pages[0].sentences[0].startswith("300 folders are of no experiment of ours, and not graded")


def test_f15_f16_f17_f18_nothing_of_a_clone_is_executed(clone, tmp_path):
    there = tmp_path / "ran"
    for name in ("csv.py", "experiments/a5_outage.py", "experiments/lab/paths.py", "sitecustomize.py", "conftest.py"):
        (clone.root / name).write_text(f"open({str(there)!r}, 'w').write(__file__)\n")
    with (clone.root / "experiments/a5_outage.sh").open("a") as script:
        script.write(f"touch {there}\n")
    (clone.root / ".gitattributes").write_text("* filter=mine diff=mine\n")
    clone.commit()
    git(clone.root, "config", "filter.mine.clean", f"touch {there}")
    for setting in ("core.fsmonitor", "diff.mine.textconv", "core.pager", "core.sshCommand", "filter.mine.smudge"):
        git(clone.root, "config", setting, f"touch {there}")
    for hook in ("post-index-change", "pre-commit", "reference-transaction"):
        (clone.root / ".git/hooks" / hook).write_text(f"#!/bin/sh\ntouch {there}\n")
        (clone.root / ".git/hooks" / hook).chmod(0o755)
    there.unlink(missing_ok=True)
    (clone.root / A5 / "report.md").write_text("changed, not committed")
    before = {child.pid for child in psutil.Process().children(recursive=True)}
    [found] = classroom.graded([clone.root], work.do, work.over_all)
    assert found.changes == [f"{A5}/report.md"]
    assert not there.exists()
    assert {child.pid for child in psutil.Process().children(recursive=True)} <= before


def test_f18_a_module_in_the_working_folder_is_not_imported(tmp_path):
    (tmp_path / "csv.py").write_text("raise SystemExit('code of the student runs')\n")
    (tmp_path / "json.py").write_text("raise SystemExit('code of the student runs')\n")
    done = subprocess.run([ROOT / "lab", "grade", "--help"], cwd=tmp_path, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr


# limits


def test_a_process_that_takes_too_much_or_dies_is_one_line(monkeypatch):
    monkeypatch.setattr(isolation, "SECONDS", 2.0)
    monkeypatch.setattr(isolation, "CPU_SECONDS", 1)
    monkeypatch.setattr(isolation, "MEMORY", 2**28)
    tasks = [_flood, _spin, _sleep, _die, _raise, _leave, _well]
    found = dict(isolation.answers(tasks, 2))
    assert found[6] == "well"
    assert found[5] == "left"
    why = [found[number].why for number in range(5)]
    assert why[0] == "it took too much memory"
    assert why[1] in ("it took too much time", "it took more than 2 s")
    assert why[2:] == ["it took more than 2 s", "its process ended without an answer", "ValueError: \\x1b[2J"]
    assert [p for p in psutil.process_iter(["cmdline"]) if p.info["cmdline"] == ["sleep", "4321.5"]] == []


def test_when_the_grader_is_killed_its_processes_end():
    code = "import os, time; from lab.grading import isolation as i; "
    code += "print(*i.answers([os.getpid], 1), flush=True); list(i.answers([lambda: time.sleep(60)] * 2, 2))"
    path = {"PYTHONPATH": f"{ROOT}/experiments:{ROOT}/common"}
    grader = subprocess.Popen([sys.executable, "-c", code], env=os.environ | path, stdout=subprocess.PIPE)
    grader.stdout.readline()
    mine = psutil.Process(grader.pid)
    workers = wait_until(lambda: len(mine.children()) == 2 and mine.children(), what="two processes work")
    grader.kill()
    grader.wait()
    wait_until(lambda: not any(worker.is_running() and worker.status() != "zombie" for worker in workers))


def _flood():
    return len(bytearray(2**30))


def _spin():
    while True:
        pass


def _sleep():
    time.sleep(60)


def _die():
    os._exit(3)


def _raise():
    raise ValueError("\x1b[2J")


def _leave():
    subprocess.Popen(["sleep", "4321.5"])
    return "left"


def _well():
    return "well"


def test_what_is_hidden_in_a_text_is_shown():
    assert plain("a\x1b[2J\u202eb\nc\udcff") == "a\\x1b[2J\\u202eb\\nc\\udcff"
    assert plain("Zürich – 20 %") == "Zürich – 20 %"


# honest: no FAIL


def no_fail(found: Grade) -> None:
    assert not [line for line in found.lines if line.verdict == FAIL and line.id.startswith("A5")], said(found)
    assert FAIL not in [run.verdict for run in found.runs], said(found)


def passes(found: Grade, *lines: str) -> None:
    no_fail(found)
    assert {line.id: line.verdict for line in found.lines if line.id in lines} == dict.fromkeys(lines, PASS), said(
        found
    )


def moved(run, seconds: float) -> None:
    """Let the clock of the services be ahead of the client's."""

    def later(utc: str) -> str:
        at = datetime.fromisoformat(utc) + timedelta(seconds=seconds)
        return at.isoformat(timespec="microseconds").replace("+00:00", "Z")

    ids = {}
    for line in run.state:
        for stamped in [line, *line.get("timeline", [])]:
            if "at" in stamped:
                stamped["at"] = later(stamped["at"])
        if id := line.get("order_id"):
            number = int(id.replace("-", ""), 16) + (round(seconds * 1000) << 80)
            digits = f"{number:032x}"
            ids[id] = "-".join((digits[:8], digits[8:12], digits[12:16], digits[16:20], digits[20:]))
            line["order_id"] = ids[id]
    for e in run.events:
        if e.get("order_id") in ids:
            e["order_id"] = ids[e["order_id"]]


def test_h1_the_clock_of_the_services_is_ahead(quick):
    run = quick.run(A5)
    moved(run, 0.4)
    quick.write(A5, run)
    found = graded(quick)
    passes(found, "A5a", "A5b")
    [run] = found.runs
    assert any("the services' clock was +0.4" in notice for notice in notices(run))


def test_h2_a_repository_from_a_template(checkout):
    git(checkout, "reset", "--quiet", "--hard", "as-cloned")
    history, there = checkout / ".git", checkout.parent / "kept"
    history.rename(there)
    try:
        git(checkout, "init", "--quiet")
        found = graded(Clone(checkout))
    finally:
        shutil.rmtree(history)
        there.rename(history)
    assert found.points(PASS) == 0
    assert {line.verdict for line in found.lines} == {UNKNOWN}


def test_h3_a_history_that_was_squashed_after_the_run(quick):
    run = quick.run(A5)
    run.head["environment"]["commit"] = "0123456789ab"
    quick.write(A5, run)
    passes(graded(quick), "A5a", "A5b")


def test_h4_pages_of_older_code(clone, monkeypatch):
    """The instructor's copy is newer: its code makes other pages, and the raw files are sound."""
    theirs = classroom.ours()
    newer = dataclasses.replace(theirs, code=theirs.code | {"experiments/lab/report/plot.py": "newer"})
    for module in (committed, work.grade, work.pages):
        monkeypatch.setattr(module, "ours", lambda: newer)
    page = clone.root / A5 / "report.md"
    page.write_text(page.read_text().replace("Predicted and measured", "Predicted, and measured"))
    found = graded(clone)
    passes(found, "A5a", "A5b")
    [run] = found.runs
    assert any("report.md line" in notice and "(made by other code)" in notice for notice in notices(run))


def test_h5_a_kill_that_took_a_slow_laptop_longer(checkout, quick):
    git(checkout, "checkout", "--quiet", "as-cloned", "--", B2)
    run = quick.run(B2)
    for e in run.events:
        if e["type"] == "fault" and e["verb"] == "kill":
            e["at"] = round(e["at"] + 2.3, 6)
    quick.write(B2, run)
    quick.commit()
    found = graded(quick)
    b2 = next(run for run in found.runs if run.folder == B2)
    assert b2.verdict == PASS, reasons(b2)


def test_h6_what_lies_beside_the_clone_is_no_change(quick):
    (quick.root / ".idea").mkdir()
    (quick.root / ".idea/workspace.xml").write_text("mine")
    (quick.root / ".DS_Store").write_text("mine")
    code = "from lab.history.environment import code; print(code())"
    env = {"PYTHONPATH": f"{quick.root}/experiments:{quick.root}/common", "PATH": os.environ["PATH"]}
    done = subprocess.run([sys.executable, "-P", "-c", code], env=env, capture_output=True, text=True, check=True)
    assert "changes=()" in done.stdout


def test_h7_a_machine_that_starts_a_service_in_half_the_time(checkout, quick):
    git(checkout, "checkout", "--quiet", "as-cloned", "--", B3)
    run = quick.run(B3)
    [killed], [started] = ([e for e in run.events if e.get("verb") == verb] for verb in ("kill", "start"))
    started["at"] = round((killed["at"] + started["at"]) / 2, 6)
    quick.write(B3, run)
    quick.commit()
    found = graded(quick)
    b3 = next(run for run in found.runs if run.folder == B3)
    assert b3.verdict == PASS, reasons(b3)


def test_the_words_of_the_hand_in_page_are_shown_and_only_those(quick):
    page = quick.root / "results/HANDIN.md"
    text = page.read_text()
    question = text.partition("<!-- your words: b-outage -->\n")[2].partition("\n")[0]
    page.write_text(text.replace(question, "The orders waited\n\x1b[2Jin the queue."))
    assert graded(quick).words == {"b-outage": "The orders waited \\x1b[2Jin the queue."}
