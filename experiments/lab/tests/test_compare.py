"""The comparison: its figures from runs made by hand, the same bytes again, and what it notices."""

import csv
import gzip
import io
import json
import re
import shutil
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest
from hand_made import HEAD, Raw, items
from lab.comparison import claims, compare, runs
from lab.errors import LabError
from lab.history.header import read_header
from lab.history.model import HISTORY, STATE, write_lines
from lab.paths import PARTS, RESULTS, ROOT
from lab.report import colours
from lab.report import run as run_report
from lab.services import services_of

BEGIN = 10.0  # when the load begins, in the run's time
FAULT = (12.0, 15.0)
FAULT_COLOUR = colours.FAULT.lower()  # as it stands in an SVG


def run_of(part: str, condition: str) -> Raw:
    """Return a run of five orders, one a second, while inventory was killed from second 2 to 5 of the load.

    With REST `1` is done at once, `2` and `3` are refused, `4` is left open and fails at 5.75, `5` is done at
    once. With the others all are accepted, and those that came meanwhile are notified at 6.0, 6.5 and 7.0.
    """
    raw = Raw()
    params = {"loop": "open", "rate": 1.0, "seconds": 5.0, "poisson": True, "seed": 6}
    raw.add("phase", BEGIN, phase="orders", params=params, until=BEGIN + 5)
    if condition != "healthy":
        raw.fault("kill", "inventory", FAULT[0])
        raw.fault("start", "inventory", FAULT[1])
        raw.add("messages", FAULT[0], service="inventory", received={"reserve": 2})
    refused = condition != "healthy" and part == "sync-rest"
    late = {} if condition == "healthy" else {2: 6.0, 3: 6.5, 4: 7.0}
    for n in range(1, 6):
        _order(raw, part, n, None if refused and n in late else late.get(n, n + 0.25))
        if refused and n in late:
            _refused(raw, n)
    raw.stock("burger", 10, 10 - len([line for line in raw.state if line["what"] == "reservation"]))
    for service in (name for name, service in services_of(part, {}).items() if not service.is_broker):
        received = {"reserve": 3} if service == "inventory" else {"send": 5 + PARTS.index(part)}
        raw.add("messages", 20.0, service=service, received=received)
    for at in (10.5, 13.5):
        raw.add("connection", at, service="order", to="inventory")
    raw.add("settled", 21.0, done=True, took=0.1)
    return raw


def _order(raw: Raw, part: str, n: int, done: float | None) -> None:
    op, at, kind = f"orders-{n}", BEGIN + n, "201" if part == "sync-rest" else "202"
    raw.sends(op, at, items())
    if done is not None:
        raw.sees(op, at + (0.3 if kind == "201" else 0.1), kind, f"o{n}")
        raw.order(f"o{n}", op, items(), (at + 0.05, "placed"), (at + 0.1, "reserved"), (BEGIN + done, "notified"))
        raw.reservation(f"o{n}", "reserved", at + 0.1, items())
        raw.notification(f"o{n}", op, BEGIN + done)


def _refused(raw: Raw, n: int) -> None:
    op, at = f"orders-{n}", BEGIN + n
    if n < 4:
        raw.add("fail", at + 0.01, op=op, kind="503")
    else:
        raw.add("info", at + 0.5, op=op, kind="504", order_id=f"o{n}")
        raw.order(f"o{n}", op, items(), (at + 0.05, "placed"), (at + 0.5, "unknown"), (BEGIN + 5.75, "failed"))


def write(raw: Raw, home: Path, part: str, condition: str) -> Path:
    """Write a run with its report as a cell and return its folder."""
    folder = home / part / condition
    folder.mkdir(parents=True)
    head = {**HEAD, "part": part, "title": f"Compared: {condition} ({part})"}
    head["place"] = f"comparison/{part}/{condition}"
    write_lines(folder / HISTORY, [head, *sorted(raw.events, key=lambda e: e["at"])])
    write_lines(folder / STATE, raw.state)
    run_report.make(folder)
    return folder


@pytest.fixture(scope="module")
def made(tmp_path_factory) -> Path:
    """A comparison of two conditions in all models, made."""
    folder = tmp_path_factory.mktemp("made")
    for condition in ("healthy", "inventory_killed"):
        for part in PARTS:
            write(run_of(part, condition), folder, part, condition)
    compare.make(folder)
    return folder


@pytest.fixture
def home(made, tmp_path) -> Path:
    """A copy of it for one test."""
    return shutil.copytree(made, tmp_path / "comparison")


def figures_of(part: str, condition: str, raw: Raw | None = None) -> dict:
    run = (raw or run_of(part, condition)).run()
    return runs.ComparedRun(condition, part, run, run_report.summarise(run)).figures()


def rewrite(path: Path, change: Callable[[list[dict]], list[dict]]) -> None:
    """Change the lines of a raw file."""
    lines = [json.loads(line) for line in gzip.decompress(path.read_bytes()).splitlines()]
    write_lines(path, change(lines))


def test_the_figures_of_a_model_that_refuses():
    f = figures_of("sync-rest", "inventory_killed")
    assert (f["sent"], f["accepted"], f["accepted_share"], f["notified"]) == (5, 2, 0.4, 2)
    assert f["told"] == {"201": 2, "503": 2, "504": 1}
    assert f["accept_p50"] == pytest.approx(0.3, rel=0.001)
    assert f["completion_p99"] == pytest.approx(0.25, rel=0.001)  # meant to be sent → notified, of those that were
    assert f["from_placed_p99"] == pytest.approx(0.2, rel=0.001)
    assert f["fault"] == [2.0, 5.0]
    assert f["recover_s"] == pytest.approx(0.75)  # until the open one failed; the refused were over before
    assert f["backlog_peak"] == 2  # the open one, and the fifth beside it
    assert (f["lost"], f["duplicated"], f["unresolved"]) == ([], [], [])


@pytest.mark.parametrize("part", ["async-rabbitmq", "streaming-kafka"])
def test_the_figures_of_a_model_that_accepts_and_waits(part):
    f = figures_of(part, "inventory_killed")
    assert (f["accepted_share"], f["told"], f["notified"]) == (1.0, {"202": 5}, 5)
    assert f["completion_p99"] == pytest.approx(4.0, rel=0.001)
    assert f["backlog_peak"] == 4  # three that wait, and the fifth
    assert f["recover_s"] == pytest.approx(2.0)


def test_an_order_in_time_does_not_prolong_the_recovery():
    raw = run_of("async-rabbitmq", "inventory_killed")
    _order(raw, "async-rabbitmq", 9, 9.25)
    assert figures_of("async-rabbitmq", "inventory_killed", raw)["recover_s"] == pytest.approx(2.0)


def test_without_a_fault_there_is_nothing_to_recover_from():
    f = figures_of("sync-rest", "healthy")
    assert (f["fault"], f["recovered"], f["recover_s"], f["backlog_peak"]) == (None, None, None, 1)


def test_messages_of_all_processes_add_up():
    f = figures_of("sync-rest", "inventory_killed")
    assert f["received"] == {"reserve": 5, "send": 10}
    assert (f["messages_per_order"], f["connections_per_order"]) == (3.0, 0.4)


def test_messages_are_not_known_when_a_process_did_not_say():
    raw = run_of("sync-rest", "inventory_killed")
    raw.events.remove(next(e for e in raw.events if e["type"] == "messages"))
    raw.events = [e for e in raw.events if e["type"] != "connection"]
    f = figures_of("sync-rest", "inventory_killed", raw)
    assert (f["received"], f["messages_per_order"], f["connections_per_order"]) == (None, None, None)


def test_an_order_that_is_never_over_is_no_recovery():
    raw = run_of("sync-rest", "inventory_killed")
    raw.find("order", "o4")["timeline"].pop()
    raw.find("order", "o4")["status"] = "unknown"
    f = figures_of("sync-rest", "inventory_killed", raw)
    assert (f["recovered"], f["recover_s"], f["unresolved"]) == (False, None, ["o4"])


def test_lost_and_duplicated_orders_are_named():
    raw = run_of("async-rabbitmq", "inventory_killed")
    raw.remove("order", "o2")
    raw.reservation("o3", "reserved", 12.0, items())
    raw.state.append(dict(raw.find("notification", "o5")))
    f = figures_of("async-rabbitmq", "inventory_killed", raw)
    assert (f["lost"], f["duplicated"], f["recovered"]) == (["orders-2"], ["o3", "o5"], False)


def test_what_cannot_be_decided_is_no_zero():
    raw = run_of("sync-rest", "healthy")
    raw.state.append({"what": "missing", "service": "inventory", "why": "gone"})
    f = figures_of("sync-rest", "healthy", raw)
    assert (f["lost"], f["duplicated"], f["unresolved"], f["verdict"]) == (None, None, None, "unknown")


def test_the_matrix_says_it_and_leads_to_the_run(home):
    rows = list(csv.DictReader(io.StringIO((home / "matrix.csv").read_text())))
    assert len(rows) == 6
    row = next(r for r in rows if (r["condition"], r["model"]) == ("inventory_killed", "sync-rest"))
    assert (row["accepted_share"], row["told"], row["recover_s"]) == ("0.4", "201 2; 503 2; 504 1", "0.75")
    assert (home / row["evidence"]).exists()
    page = (home / "report.md").read_text()
    assert "| inventory_killed | [40 % · 250 ms · 750 ms · 0/0](sync-rest/inventory_killed/report.md) |" in page
    assert "[100 % · 4.00 s · 2.00 s · 0/0](streaming-kafka/inventory_killed/report.md)" in page
    assert "2 × `503` refused now, nothing is reserved" in page
    assert "A: REST accepted 2 of 5 orders. B: RabbitMQ accepted every order." in page


def test_a_condition_that_was_not_run_is_unknown(home):
    summary = json.loads((home / "summary.json").read_text())
    assert summary["verdict"] == "unknown"
    assert "streaming-kafka/delay" in summary["missing"]
    assert "sync-rest/broker_killed" not in summary["missing"]  # there is none


def test_the_picture_shows_each_model_and_the_fault(home):
    picture = (home / "inventory_killed.svg").read_text()
    assert all(name in picture for name in ("A: REST", "B: RabbitMQ", "C: Kafka", "inventory: killed"))
    assert picture.count(FAULT_COLOUR) == len(PARTS)
    assert FAULT_COLOUR not in (home / "healthy.svg").read_text()


def test_seconds_are_counted_from_the_beginning():
    from lab.comparison.plot import per_second

    assert per_second([0.0, 0.99, 2.5]) == [2, 0, 1]
    assert per_second([]) == []


def test_the_same_runs_give_the_same_bytes(home):
    before = {path.name: path.read_bytes() for path in home.iterdir() if path.is_file()}
    code = f"from pathlib import Path; from lab.comparison import compare; compare.make(Path({str(home)!r}))"
    env = {"PYTHONPATH": f"{ROOT}/experiments:{ROOT}/common", "PYTHONHASHSEED": "12345", "TZ": "Asia/Tokyo"}
    subprocess.run([sys.executable, "-c", code], env=env, check=True, capture_output=True)
    assert {path.name: path.read_bytes() for path in home.iterdir() if path.is_file()} == before
    assert set(before) == {"matrix.csv", "summary.json", "report.md", "healthy.svg", "inventory_killed.svg"}


@pytest.mark.parametrize("change", [{"intended": 13.2}, {"items": [{"sku": "soda", "qty": 1}]}])
def test_arrivals_that_differ_are_an_error(home, change):
    def another(lines: list[dict]) -> list[dict]:
        return [line | change if line.get("op") == "orders-3" and line["type"] == "invoke" else line for line in lines]

    rewrite(home / "streaming-kafka/healthy" / HISTORY, another)
    with pytest.raises(LabError, match="order orders-3 came otherwise in sync-rest/healthy than in streaming-kafka"):
        compare.make(home)


def test_the_run_of_another_cell_is_an_error(home):
    for name in (HISTORY, STATE):
        shutil.copy(home / "sync-rest/healthy" / name, home / "sync-rest/inventory_killed" / name)
    with pytest.raises(LabError, match="sync-rest/inventory_killed holds the run of comparison/sync-rest/healthy"):
        compare.make(home)


def test_an_order_that_is_lost_is_named_on_the_page(home):
    rewrite(home / "streaming-kafka/healthy" / STATE, lambda lines: [x for x in lines if x.get("order_id") != "o2"])
    compare.make(home)
    text = (home / "report.md").read_text()
    assert "| lost, duplicated, unresolved | 0, 0, 0 | 0, 0, 0 | 1 (orders-2), 0, 0 |" in text


def test_a_load_of_another_rate_is_an_error(home):
    def faster(lines: list[dict]) -> list[dict]:
        return [
            line | {"params": line["params"] | {"rate": 2.0}} if line.get("type") == "phase" else line for line in lines
        ]

    rewrite(home / "sync-rest/healthy" / HISTORY, faster)
    with pytest.raises(LabError, match="were loaded otherwise"):
        compare.make(home)


@pytest.mark.skipif(not (RESULTS / "comparison/summary.json").exists(), reason="no comparison is committed")
def test_the_committed_comparison_is_what_its_runs_give(tmp_path):
    home = tmp_path / "comparison"
    shutil.copytree(RESULTS / "comparison", home)
    assert compare.make(home) == "pass"
    files = [path for path in (RESULTS / "comparison").iterdir() if path.is_file()]
    assert [path.name for path in files if path.read_bytes() != (home / path.name).read_bytes()] == []


def test_no_run_at_all_is_an_error(tmp_path):
    with pytest.raises(LabError, match="there is no run to compare"):
        compare.make(tmp_path)


def points() -> list[str]:
    """Return the points of docs/choosing.md."""
    return [line for line in claims.PAGE.read_text().splitlines() if line.startswith("- ")]


def test_each_point_of_the_page_is_a_claim_and_each_claim_is_there():
    assert list(claims.sentences()) == list(claims.HOLDS)
    assert len(points()) == len(claims.HOLDS)
    assert set(claims.NEED_A_FULL_RUN) < set(claims.HOLDS)


def test_each_point_of_the_page_leads_to_cells():
    places = {f"{part}/{condition}/report.md" for condition, part in claims.CELLS} | {"report.md#matrix"}
    for point in points():
        links = re.findall(r"\]\((.*?)\)", point)
        assert links, point
        assert {link.removeprefix("../results/comparison/") for link in links} <= places, point


@pytest.mark.parametrize(
    ("share", "verdict"),
    [({"accepted": 9}, "fail"), ({"accepted": 10}, "pass"), ({"accepted": None}, "fail"), ({}, "unknown")],
)
def test_a_claim_is_decided_by_the_figures(share, verdict):
    cells_of = {("broker_killed", "async-rabbitmq"): {"sent": 10, **share}}
    judged = {claim["id"]: claim["verdict"] for claim in claims.judge(cells_of, quick=True)}
    assert judged["rabbitmq-part-has-outbox"] == verdict
    assert judged["rest-fewest-messages"] == "unknown"


@pytest.mark.parametrize(("lost", "verdict"), [([], "pass"), (["orders-1"], "fail"), (None, "unknown")])
def test_nothing_is_lost_only_if_that_is_known_of_every_cell(lost, verdict):
    kept = {"lost": [], "duplicated": [], "unresolved": []}
    cells_of = {(condition, part): kept for condition in claims.CONDITIONS for part in PARTS}
    del cells_of["broker_killed", "sync-rest"]
    cells_of["delay", "streaming-kafka"] = kept | {"lost": lost}
    assert claims.judge(cells_of, quick=False)[-1]["verdict"] == verdict


def test_what_only_a_full_run_can_show_is_left_out_with_quick():
    assert len(claims.judge({}, quick=True)) < len(claims.judge({}, quick=False)) == len(claims.HOLDS)


SCRIPTS = sorted(path for path in (ROOT / "experiments/comparison").glob("*.sh") if path.name != "frame.sh")


def test_there_is_a_script_for_each_condition():
    assert {script.stem for script in SCRIPTS} == set(claims.CONDITIONS)
    listed = re.search(r"^all=\((.*)\)$", (ROOT / "experiments/compare.sh").read_text(), re.MULTILINE)
    assert tuple(listed[1].split()) == claims.CONDITIONS


@pytest.mark.parametrize("script", SCRIPTS, ids=lambda script: script.stem)
def test_every_script_says_what_it_is(script):
    title, about = read_header(script.read_text(), script.name)
    assert title.startswith("Compared: ")
    assert set(about) == {"Shows", "Why", "Not shown", "Takes", "Usage"}
    assert about["Usage"] == f"experiments/comparison/{script.name} PART [--quick]"
    assert re.search(r"^\d+ s; --quick \d+ s", about["Takes"])


@pytest.mark.parametrize(
    ("words", "status", "said"),
    [
        (["comparison/delay.sh", "--help"], 0, "Compared: inventory takes 2 s for each order"),
        (["comparison/delay.sh"], 2, "delay.sh: name a part first"),
        (["comparison/delay.sh", "sync-rest", "--fast"], 2, "there is no option --fast"),
        (["compare.sh", "--help"], 0, "Sends the same orders to each model"),
        (["compare.sh", "nonsense"], 2, "there is no condition nonsense; the conditions are: healthy delay"),
    ],
)
def test_scripts_explain_themselves(words, status, said):
    done = subprocess.run([ROOT / "experiments" / words[0], *words[1:]], capture_output=True, text=True)
    assert done.returncode == status
    assert said in done.stdout + done.stderr
