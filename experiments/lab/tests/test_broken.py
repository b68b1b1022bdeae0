"""Broken versions: each names what exists, is what its page says, and is judged rightly."""

import json
import os
import subprocess
import sys
import urllib.request
from dataclasses import replace
from pathlib import Path

import pytest
from click.testing import CliRunner
from conftest import ROOT, Copy
from hand_made import HEAD, Raw, accepted, good, items
from lab.broken import judge, write_report
from lab.checker import invariants
from lab.cli.main import main
from lab.errors import LabError
from lab.grading import grade, rules
from lab.grading.evidence import CommittedRun
from lab.history import model as history
from lab.history.header import read_header
from lab.history.model import HISTORY, STATE
from lab.paths import PARTS
from lab.report import run as run_report
from lab.runtime import broken as broken_versions
from lab.runtime import docker
from lab.runtime.broken import BrokenVersion
from lab.services import services_of

NAMES = broken_versions.names()
each = pytest.mark.parametrize("name", NAMES)
ADDS_UP, ONE_NOTIFICATION = "INV-3", "INV-6"
MADE = BrokenVersion("made", "Made", "sync-rest", "order", "a0_made", (ONE_NOTIFICATION,), ())

LOOKS = """
import importlib, json, sys

def at(dotted):
    words = dotted.split(".")
    for n in range(len(words) - 1, 0, -1):
        try:
            found = importlib.import_module(".".join(words[:n]))
        except ModuleNotFoundError:
            continue
        for word in words[n:]:
            found = getattr(found, word)
        return found

for name, replaces in json.loads(sys.argv[1]).items():
    before = [at(dotted) for dotted in replaces]
    module = importlib.import_module(name)
    after = [at(dotted) for dotted in replaces]
    new = [a is not b and a.__module__ == name for a, b in zip(after, before)]
    print(json.dumps([name, new, module.create_app.__module__]))
"""


def test_every_part_has_some_and_all_are_listed():
    listed = (broken_versions.FOLDER / "README.md").read_text()
    assert len(NAMES) >= 10
    assert {broken_versions.named(name).part for name in NAMES} == set(PARTS)
    assert [name for name in NAMES if f"[`{name}`]({name}.md)" not in listed] == []


@each
def test_a_version_names_what_exists(name):
    version = broken_versions.named(name)
    script = broken_versions.FOLDER / f"{version.story}.sh"
    title, about = read_header(script.read_text(), script.name)
    assert version.service in services_of(version.part)
    assert os.access(script, os.X_OK)
    assert title
    assert set(about) == {"Shows", "Why", "Not shown", "Takes", "Usage"}
    assert version.caught_by


@each
def test_its_page_has_its_title_and_the_diff_to_the_service_as_it_is(name):
    version = broken_versions.named(name)
    page = (broken_versions.FOLDER / f"{name}.md").read_text()
    assert page.startswith(f"# {version.title.partition(':')[0]}\n")
    assert f"<!-- quote: results/broken/report.md#{name} -->" in page
    assert broken_versions.with_diff(page, version) == page
    assert any(line.startswith("+ ") for line in version.diff().splitlines())


@pytest.mark.parametrize("part", PARTS)
def test_it_replaces_what_the_service_has(part):
    mine = [version for version in map(broken_versions.named, NAMES) if version.part == part]
    path = os.pathsep.join(str(ROOT / folder) for folder in ("common", part, "experiments/broken"))
    asked = json.dumps({version.name: version.replaces for version in mine})
    command = [sys.executable, "-c", LOOKS, asked]
    done = subprocess.run(command, env=os.environ | {"PYTHONPATH": path}, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    for line, version in zip(done.stdout.splitlines(), mine, strict=True):
        right = services_of(part)[version.service].command[-1]
        assert json.loads(line) == [version.name, [True] * len(version.replaces), right.partition(":")[0]]


def test_a_diff_to_what_is_not_there_says_so():
    gone = replace(broken_versions.named("no_release"), replaces=("order_service.saga.OrderSaga.give_up",))
    with pytest.raises(LabError, match=r"there is no OrderSaga\.give_up in sync-rest/order_service/saga\.py"):
        gone.diff()


def test_it_is_started_in_place_of_the_right_service(monkeypatch):
    monkeypatch.setenv("LAB_BROKEN", "no_release")
    services = [service for part in ("sync-rest", "async-rabbitmq") for service in services_of(part).values()]
    right = {(service.part, service.name): service.command for service in services}
    wrong = {(service.part, service.name): broken_versions.command_of(service) for service in services}
    *usual, _ = right["sync-rest", "order"][1:]
    command = ["gunicorn", "--pythonpath", "../experiments/broken", *usual, "no_release:create_app()"]
    assert wrong == right | {("sync-rest", "order"): command}


def test_an_unknown_version_is_refused(monkeypatch):
    monkeypatch.setenv("LAB_BROKEN", "no_such")
    with pytest.raises(LabError, match="there is no broken version no_such"):
        broken_versions.command_of(services_of("sync-rest")["order"])


def test_with_docker_it_is_mounted_in_place_of_the_right_service(monkeypatch, tmp_path):
    monkeypatch.setattr(docker, "STATE_DIR", tmp_path)
    monkeypatch.delenv("LAB_BROKEN", raising=False)
    assert docker._override("sync-rest") == ""
    monkeypatch.setenv("LAB_BROKEN", "no_release")
    assert docker._override("async-rabbitmq") == ""  # it is of another part
    shape = json.loads(Path(docker._override("sync-rest")).read_text())
    command = broken_versions.named("no_release").command(services_of("sync-rest")["order"].command)
    mounted = [f"{broken_versions.FOLDER}:/app/experiments/broken:ro"]
    assert shape == {"services": {"order": {"command": command, "volumes": mounted}}}
    for path in (broken_versions.FOLDER, broken_versions.FOLDER / "no_release.py"):
        assert path.stat().st_mode & 0o004


def test_a_version_of_another_part_is_refused(monkeypatch):
    monkeypatch.setenv("LAB_BROKEN", "no_outbox")
    script = str(broken_versions.FOLDER / "too_slow.sh")
    done = CliRunner().invoke(main, ["begin", script, "sync-rest", "--owner", str(os.getpid())])
    assert "no_outbox is a broken version of async-rabbitmq, and not of sync-rest" in done.output


def test_it_runs_for_as_long_as_it_is_named(copy: Copy):
    copy.lab("up", "sync-rest", LAB_BROKEN="no_release")
    copy.lab("kill", "order", LAB_BROKEN="no_release")
    copy.lab("start", "order", LAB_BROKEN="no_release")
    assert _after_a_time_out(copy) == "failed"
    copy.lab("kill", "order")
    copy.lab("start", "order")
    assert _after_a_time_out(copy) == "unknown"


def _after_a_time_out(copy: Copy) -> str:
    """Order what inventory reserves too late, and return what the order service then says of it."""
    copy.lab("configure", "order", "timeout=0.1")
    copy.lab("configure", "inventory", "delay=0.3")
    url = f"http://127.0.0.1:{copy.ports['order']}/order"
    headers = {"Content-Type": "application/json"}
    request = urllib.request.Request(url, b'{"item": "burger", "qty": 1}', headers)
    with pytest.raises(urllib.error.HTTPError) as told:
        urllib.request.urlopen(request, timeout=10)
    return json.load(told.value)["order_status"]


def write(folder: Path, raw: Raw, **head: object) -> None:
    folder.mkdir(parents=True)
    history.write_lines(folder / HISTORY, [HEAD | head, *sorted(raw.events, key=lambda e: e["at"])])
    history.write_lines(folder / STATE, raw.state)


def judged(folder: Path, red: Raw, green: Raw, version: BrokenVersion = MADE) -> tuple[str, str]:
    """Return the verdict on two runs, and why."""
    write(folder / "red", red, broken="made")
    write(folder / "green", green)
    found = judge(version, folder)
    return found.verdict, found.why


def unnotified() -> Raw:
    """A run that breaks the invariant that `MADE` names."""
    raw = good()
    raw.remove("notification", "o0")
    return raw


def test_red_for_the_right_reason_and_green_is_found(tmp_path):
    assert judged(tmp_path, unnotified(), good()) == ("pass", "found")


def test_a_prediction_can_be_what_catches(tmp_path, expecting):
    expecting('yield equals("a0-sent", "Orders sent", run.load("a").sent, 5)')
    red, green = good(), good()
    counted = replace(MADE, caught_by=("a0-sent",))
    assert judged(tmp_path / "same", red, green, counted) == ("fail", "it did not fail: a0-sent")
    red.sends("a-5", 5.5, items())
    red.sees("a-5", 5.6, "refused")
    assert judged(tmp_path / "more", red, green, counted) == ("pass", "found")


def test_red_for_another_reason_is_not_found(tmp_path):
    red = good()
    red.moves(-1)
    assert judged(tmp_path, red, good()) == ("fail", f"it failed for another reason: {ADDS_UP}")


def test_red_for_a_second_reason_is_not_found(tmp_path):
    red = unnotified()
    red.moves(-1)
    assert judged(tmp_path, red, good()) == ("fail", f"it failed for another reason: {ADDS_UP}")


def test_a_broken_version_that_stays_green_is_not_found(tmp_path):
    assert judged(tmp_path, good(), good()) == ("fail", f"it did not fail: {ONE_NOTIFICATION}")


def test_a_right_version_that_turns_red_is_not_right(tmp_path):
    verdict, why = judged(tmp_path, unnotified(), unnotified())
    assert verdict == "fail"
    assert why.startswith("the right version did not pass: ")


@pytest.mark.parametrize("side", ["red", "green"])
def test_what_cannot_be_told_is_not_found(tmp_path, side):
    runs = {"red": unnotified(), "green": good()}
    runs[side].state.append({"what": "missing", "service": "inventory", "why": "gone"})
    verdict, why = judged(tmp_path, **runs)
    assert verdict == "unknown"
    assert "the state of inventory is not known" in why


def test_without_a_run_nothing_is_told(tmp_path):
    write(tmp_path / "red", unnotified(), broken="made")
    assert judge(MADE, tmp_path).verdict == "unknown"


@pytest.mark.parametrize(
    ("head", "why"),
    [
        ({"broken": "other"}, "a run is of sync-rest, a0_made, other"),
        ({}, "a run is of sync-rest, a0_made, the right version"),
        ({"broken": "made", "experiment": "a1_other"}, "a run is of sync-rest, a1_other, made"),
        ({"broken": "made", "part": "async-rabbitmq"}, "a run is of async-rabbitmq, a0_made, made"),
    ],
)
def test_a_run_of_something_else_is_noticed(tmp_path, head, why):
    write(tmp_path / "red", unnotified(), **head)
    write(tmp_path / "green", good())
    found = judge(MADE, tmp_path)
    assert (found.verdict, found.why) == ("fail", why)


def test_the_right_version_must_have_been_through_the_same(tmp_path):
    green = good()
    green.fault("kill", "order", 5.0)
    assert judged(tmp_path, unnotified(), green) == ("fail", "the two runs have different steps")


def test_an_order_from_before_the_disturbance_must_be_sound(tmp_path):
    runs = [unnotified(), good()]
    for raw in runs:
        for line in [*raw.events, *raw.state]:
            for key in ("op", "user_id"):
                if line.get(key) == "a-0":
                    line[key] = "warm-0"
    why = "warm-0, which was done before the fault, breaks an invariant"
    assert judged(tmp_path, *runs) == ("fail", why)


def test_the_report_says_what_found_each_mistake_and_has_the_events_of_one_order(tmp_path):
    write(tmp_path / "red", unnotified(), broken="made")
    write(tmp_path / "green", good())
    text = write_report([judge(MADE, tmp_path), variants_unrun(tmp_path)])
    assert "**1 of 2 mistakes are found.**" in text
    rule = invariants.one_notification_each.__doc__
    assert f"[broken version](made/red/report.md) breaks: {ONE_NOTIFICATION}: {rule} Broken 1 time: o0" in text
    assert "client a-0 sends 2 burger" in text
    assert "[right version](made/green/report.md): 0 of 0 predictions hold, 7 of 7 invariants" in text
    assert "? unknown: " in text


def variants_unrun(folder: Path):
    return judge(replace(MADE, name="other"), folder / "nothing")


def test_the_command_judges_those_named_and_reports_all_that_ran(tmp_path, monkeypatch):
    found = {"made": MADE, "other": replace(MADE, name="other"), "unrun": replace(MADE, name="unrun")}
    monkeypatch.setattr(broken_versions, "names", lambda: list(found))
    monkeypatch.setattr(broken_versions, "named", found.__getitem__)
    for name, red in (("made", unnotified()), ("other", good())):
        write(tmp_path / name / "red", red, broken=name)
        write(tmp_path / name / "green", good())
    for names, status in ((["made"], 0), (["other"], 1), (["made", "other"], 1), (["unrun"], 2), ([], 1)):
        done = CliRunner().invoke(main, ["broken-report", str(tmp_path), *names])
        assert done.exit_code == status, done.output
    assert CliRunner().invoke(main, ["broken-report", str(tmp_path), "made"]).exit_code == 0
    assert "**1 of 2 mistakes are found.**" in (tmp_path / "report.md").read_text()


def test_the_committed_report_is_what_the_committed_runs_give():
    folder = ROOT / "results/broken"
    if not folder.exists():
        pytest.skip("no runs are committed")
    there = [judge(broken_versions.named(name), folder / name) for name in NAMES if (folder / name).exists()]
    assert (folder / "report.md").read_text() == write_report(there)
    assert [j.version.name for j in there if j.verdict != "pass"] == []


def test_a_broken_run_is_said_to_be_one_and_is_no_evidence(tmp_path):
    head = {"broken": "no_release", "part": "sync-rest", "experiment": "a5_outage"}
    write(tmp_path / "a5_outage", accepted(), **head)
    assert run_report.summarise(history.read(tmp_path / "a5_outage"))["title"].endswith(" — broken version no_release")
    files = {file.name: file.read_bytes() for file in (tmp_path / "a5_outage").iterdir()}
    graded = grade.grade_committed_run(
        CommittedRun("results/sync-rest/a5_outage", files, None, None, None, False, False, False)
    )
    said = {broken.rule: broken.sentences for broken in graded.broken}
    assert said[rules.right_version.__doc__] == ["one of its services was the broken version no_release"]


@pytest.mark.parametrize(
    ("word", "status", "said"),
    [
        ("--help", 0, "Usage: experiments/broken.sh [NAME] [--quick]"),
        ("--fast", 2, "broken.sh: there is no option --fast; see --help"),
        ("no_such", 2, "there is no broken version no_such"),
    ],
)
def test_the_script_says_what_it_takes(copy: Copy, word, status, said):
    found, text = copy.run("experiments/broken.sh", word)
    assert (found, said in text) == (status, True), text
    assert not (copy.root / ".lab/run").exists()


def test_a_story_is_told_by_the_script_only(copy: Copy):
    status, text = copy.run("experiments/broken/too_slow.sh", "sync-rest", "--quick")
    assert status != 0
    assert "this story is told by experiments/broken.sh" in text
