"""Pages quote what was measured: what they say is what the results say, and a page that says otherwise is noticed."""

import json
import re
from pathlib import Path

import pytest
from click.testing import CliRunner
from hand_made import Raw, good
from lab import docs
from lab.cli import results
from lab.cli.main import main
from lab.errors import LabError
from lab.grading import handin
from lab.history import model as history
from lab.history.model import SAMPLES
from lab.paths import ROOT
from lab.report import index as results_index
from lab.report import run as run_report

REPORT = """# R1: a run

Shown.

## Lag

| group | largest |
|---|---|
| a | 3,239 |

[raw](history.jsonl.gz), [above](../README.md#top), [here](#lag), [far](https://example.org/x) ![plot](plot.svg)
`last[0](there)` [`code`](code.py)

### In detail

    Slow.

```
## Figures
first[0](here)
```

## Figures

None.
"""
LOG = """— r1
  warm: 100 sent
— slow: inventory rests
{"delay": 2.0}  \n
— stopping analytics
— caught up after 1.4 s
  digest 6c72
— the contrast
  other numbers
"""
LAG = "results/part/r1/report.md#Lag"


@pytest.fixture
def site(tmp_path, monkeypatch) -> Path:
    """A repository with one run's report and log, and a page below docs."""
    run = tmp_path / "results/part/r1"
    run.mkdir(parents=True)
    (run / "report.md").write_text(REPORT)
    (run / "run.log").write_text(LOG)
    (tmp_path / "docs").mkdir()
    monkeypatch.setattr(results, "ROOT", tmp_path)
    return tmp_path


def page(site: Path, *places: str, body: str = "") -> Path:
    """Write a page that quotes these places."""
    written = site / "docs/page.md"
    parts = [f"<!-- quote: {place} -->\n{body}<!-- end -->\n" for place in places]
    written.write_text("# Page\n\n" + "\nand\n\n".join(parts) + "\nThe end.\n")
    return written


def quoted(site: Path, place: str) -> str:
    """Return what a page says when it quotes this place."""
    written = page(site, place)
    [block] = docs.blocks(docs.filled(written.read_text(), written, site))
    return block.body.strip("\n")


def finished(raw: Raw, folder: Path) -> None:
    """Write a run with summary and report; nobody looks at its plot here."""
    run = history.read(raw.write(folder))
    summary = run_report.summarise(run)
    (folder / "summary.json").write_text(json.dumps(summary))
    (folder / "report.md").write_text(run_report.write_report(run, summary))


def without_notifications() -> Raw:
    """Return a run that must fail."""
    raw = good()
    raw.state = [line for line in raw.state if line["what"] != "notification"]
    return raw


def run(*words: str) -> tuple[int, str]:
    done = CliRunner().invoke(main, ["readme", *words])
    assert "Traceback" not in done.output
    return done.exit_code, done.output


def test_the_pages_of_this_repository_are_up_to_date():
    assert run("--check") == (0, "every page is up to date\n")


def test_every_run_that_a_page_quotes_is_here():
    quoted = {block.source for page in docs.pages(ROOT) for block in docs.blocks(page.read_text())}
    assert [source for source in sorted(quoted) if not (ROOT / source).exists()] == []


def test_in_a_hand_out_pages_keep_what_they_quote_and_the_hand_in_page_is_made(tmp_path, monkeypatch):
    monkeypatch.setattr(results, "ROOT", tmp_path)
    (tmp_path / "docs").mkdir()
    written = page(tmp_path, "results/sync-rest/a5_outage/run.log#a step", body="What was measured.\n")
    text = written.read_text()
    assert run()[0] == 0
    assert written.read_text() == text
    assert "Not measured yet: `experiments/a1_baseline.sh`" in (tmp_path / "results/HANDIN.md").read_text()
    assert run("--check") == (0, "every page is up to date\n")


def test_a_page_is_filled_once_and_then_up_to_date(site):
    written = page(site, LAG, "results/part/r1/run.log#slow")
    status, said = run("--check")
    assert status == 1
    assert f"docs/page.md is not up to date: {LAG}, results/part/r1/run.log#slow\n" in said
    assert "3,239" not in written.read_text()
    assert run()[0] == 0
    text = written.read_text()
    assert "| a | 3,239 |" in text
    assert text.startswith("# Page\n\n<!-- quote: ")
    assert "\nand\n" in text
    assert text.endswith("\nThe end.\n")
    assert run("--check")[0] == 0
    assert run()[0] == 0
    assert written.read_text() == text


def test_a_figure_edited_by_hand_is_noticed_and_put_back(site):
    written = page(site, LAG, "results/part/r1/run.log#slow")
    run()
    text = written.read_text()
    written.write_text(text.replace("3,239", "1,000"))
    assert run("--check") == (1, f"docs/page.md is not up to date: {LAG}\n")
    run()
    assert written.read_text() == text


def test_new_results_make_a_page_stale(site):
    page(site, LAG)
    run()
    source = site / "results/part/r1/report.md"
    source.write_text(source.read_text().replace("3,239", "3,240"))
    assert run("--check") == (1, f"docs/page.md is not up to date: {LAG}\n")


def test_every_kind_of_page_is_looked_at(site):
    for name in ("README.md", "part/README.md", "docs/page.md", "experiments/broken/early.md"):
        (site / name).parent.mkdir(parents=True, exist_ok=True)
        (site / name).write_text(f"<!-- quote: {LAG} -->\n<!-- end -->\n")
        assert f"{name} is not up to date: {LAG}\n" in run("--check")[1]


def test_a_section_ends_at_the_next_of_its_level(site):
    said = quoted(site, LAG)
    assert said.startswith("| group | largest |")
    assert said.endswith("```\n## Figures\nfirst[0](here)\n```")
    assert quoted(site, "results/part/r1/report.md#Figures") == "None."
    assert quoted(site, "results/part/r1/report.md#R1: a run").endswith("None.")


def test_links_lead_from_the_page_to_where_they_led(site):
    said = quoted(site, LAG)
    assert "[raw](../results/part/r1/history.jsonl.gz)" in said
    assert "[above](../results/part/README.md#top)" in said
    assert "[here](../results/part/r1/report.md#lag)" in said
    assert "[far](https://example.org/x)" in said
    assert "![plot](../results/part/r1/plot.svg)" in said
    assert "`last[0](there)` [`code`](../results/part/r1/code.py)" in said


def test_steps_of_a_log(site):
    assert quoted(site, "results/part/r1/run.log#slow: inv") == (
        '```text\n— slow: inventory rests\n{"delay": 2.0}\n```'
    )
    assert quoted(site, "results/part/r1/run.log#stopping … the contrast") == (
        "```text\n— stopping analytics\n— caught up after 1.4 s\n  digest 6c72\n```"
    )
    assert quoted(site, "results/part/r1/run.log#the contrast").endswith("other numbers\n```")


@pytest.mark.parametrize(
    ("place", "said"),
    [
        ("results/part/r1/other.md#Lag", "docs/page.md quotes results/part/r1/other.md, which does not exist"),
        ("results/part/r1/report.md#La", "results/part/r1/report.md has no heading `La`"),
        ("results/part/r1/report.md#In", "docs/page.md quotes results/part/r1/report.md#In, and"),
        ("results/part/r1/run.log#fast", "results/part/r1/run.log has no step `fast`"),
        ("results/part/r1/run.log#the contrast … stopping", "results/part/r1/run.log has no step `stopping`"),
    ],
)
@pytest.mark.parametrize("words", [[], ["--check"]])
def test_a_source_that_is_missing_is_named(site, place, said, words):
    written = page(site, place, body="kept\n")
    status, output = run(*words)
    assert status == 2
    assert said in output
    assert "kept" in written.read_text()


@pytest.mark.parametrize(
    "text",
    [
        f"<!-- quote: {LAG} -->\n",
        f"<!-- quote: {LAG} -->\n<!-- quote: {LAG} -->\n<!-- end -->\n",
        "<!-- quote: results/part/r1/report.md -->\n<!-- end -->\n",
    ],
)
def test_a_block_that_is_not_whole_is_an_error(site, text):
    written = site / "docs/page.md"
    with pytest.raises(LabError, match=r"docs/page\.md: .* no end"):
        docs.filled(text, written, site)


def test_the_index_says_what_each_run_says(tmp_path):
    finished(good(), tmp_path / "sync-rest/a0_made")
    finished(without_notifications(), tmp_path / "async-rabbitmq/b0_made")
    unfinished = good().write(tmp_path / "streaming-kafka/c0_made")
    assert not (unfinished / "summary.json").exists()
    index = results_index.write(tmp_path)
    rows = [line for line in index.splitlines() if "a0_made" in line]
    assert len(rows) == 2
    assert rows[0].startswith("| [A0: made by hand](../experiments/a0_made.sh) | Nothing. | ✔ pass: ")
    assert rows[0].endswith("| [report](sync-rest/a0_made/report.md) |")
    assert "| ✘ **fail**: " in rows[1]
    assert rows[1].endswith("| [report](async-rabbitmq/b0_made/report.md) |")
    assert "streaming-kafka" not in index


def test_the_index_has_one_line_for_many_runs(tmp_path):
    for place in ("comparison/sync-rest/healthy", "comparison/async-rabbitmq/delay", "broken/early_ack/green"):
        finished(good(), tmp_path / place)
    finished(without_notifications(), tmp_path / "broken/early_ack/red")
    (tmp_path / "comparison/summary.json").write_text("{}")  # of all cells together, and so no run
    lines = results_index.write(tmp_path).splitlines()
    [comparison] = [line for line in lines if "comparison" in line]
    assert comparison.startswith("| comparison | ")
    assert comparison.endswith(" | 2 ✔ pass | [report](comparison/report.md) |")
    red, green = (line for line in lines if "broken" in line)
    assert " | 1 ✘ **fail** | " in red
    assert green.endswith(" | 1 ✔ pass | [report](broken/report.md) |")


def test_the_index_has_the_benchmarks(tmp_path):
    folder = tmp_path / "bench/load"
    folder.mkdir(parents=True)
    (folder / SAMPLES).write_bytes(b"")
    goals = [{"verdict": "pass"}, {"verdict": "fail"}]
    (folder / "summary.json").write_text(json.dumps({"verdict": "fail", "goals": goals}))
    assert "| `./lab bench load` | ✘ **fail**: 1 of 2 goals reached. | [report](bench/load/report.md) |" in (
        results_index.write(tmp_path)
    )


def test_a_verdict_edited_in_the_index_is_noticed(site):
    finished(good(), site / "results/sync-rest/a0_made")
    run()
    index = site / "results/README.md"
    assert "✔ pass" in index.read_text()
    assert run("--check")[0] == 0
    index.write_text(index.read_text().replace("✔ pass", "✘ **fail**"))
    assert run("--check") == (1, "results/README.md is not up to date: the index of all runs\n")


def test_the_hand_in_page_keeps_the_students_words(tmp_path):
    page = tmp_path / handin.NAME
    page.write_text(handin.write(tmp_path))
    assert handin.words(page.read_text()) == {}  # our questions are no words
    assert page.read_text().count("Not measured yet: `experiments/") == page.read_text().count("\n## ") == 8
    question = re.search("_Your words: where did the orders wait.*_", page.read_text())
    page.write_text(page.read_text().replace(question[0], "In the queue.\n\nIt is *durable*."))
    assert handin.words(page.read_text()) == {"b-outage": "In the queue.\n\nIt is *durable*."}
    again = handin.write(tmp_path)
    assert handin.words(again) == handin.words(page.read_text())
    assert again == page.read_text()


def test_the_hand_in_page_answers_every_line_of_the_assignment():
    page = handin.write(Path(__file__).parents[3] / "results")
    assert "Not measured yet" not in page
    for said in ("504", "Largest backlog", "metrics.json", "LOG-END-OFFSET", "orders in this minute", "reason"):
        assert said in page, said
