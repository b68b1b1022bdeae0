"""The guides: each question is whole, each line to change is there, and each link leads somewhere."""

import re
import shutil
import subprocess
from pathlib import Path

import pytest
from lab import docs
from lab.checker import predictions
from lab.paths import PARTS, ROOT
from lab.services import services_of

CHANGE = re.compile(r"\*\*Change this line\*\* in \[`(.+?)`\]\(\.\./(.+?)\)[^`]*?:\n\n```diff\n-(.+)\n\+(.+)\n```\n")
LINE_IN_FILE = re.compile(r"`([^`]+)`\s+(?:of\s+`\w+`\s+)?in\s+(?:`\w+`\s+of\s+)?`([\w/.-]+\.(?:py|yml))`")
# A rate or a cost in a text: what something is divided by, or a number with such a unit, alone or before another one.
MEASURED = re.compile(r"÷ ([\d,]*\d)|\b([\d,]*\d)(?= µs| orders/s|/s| events/s| / [\d,]+ orders/s| reservations/s)")
LOADS = {"10", "1,000", "2,000", "100,000"}  # orders/s, of which docs/scaling.md speaks without having measured them
GUIDES = {part: ROOT / f"docs/guide-{part}.md" for part in PARTS}
PAGES = [*docs.pages(ROOT), ROOT / docs.INDEX]


def questions(part: str) -> list[str]:
    """Return the questions of a guide, each from its heading to the next."""
    return re.split(r"^## ", GUIDES[part].read_text(), flags=re.MULTILINE)[1:]


QUESTIONS = [pytest.param(q, id=f"{part} {q.partition('.')[0]}") for part in PARTS for q in questions(part)]
SCRIPTS = [p for p in QUESTIONS if "Change this line** in [`experiments/" in p.values[0]]


def slug(heading: str) -> str:
    """Return the anchor that GitHub gives to a heading."""
    return re.sub(r"[^\w\- ]", "", heading.lower()).replace(" ", "-")


@pytest.mark.parametrize("part", PARTS)
def test_a_guide_has_a_tour_and_every_experiment_of_its_part(part):
    first, *others = questions(part)
    assert f"$ ./lab up {part}\n" in first
    scripts = [re.search(r"\$ experiments/(\w+)\.sh\n", question)[1] for question in others]
    assert scripts == sorted(folder.name for folder in (ROOT / "results" / part).iterdir())


@pytest.mark.parametrize("question", QUESTIONS)
def test_a_question_has_command_output_meaning_and_a_line_to_change(question):
    parts = ["```console\n$ ", "<!-- quote: ", "**What it means.**", "**Change this line** in", "**Run again"]
    places = [question.find(part) for part in parts]
    assert -1 not in places
    assert places == sorted(places)
    assert all(block.body.strip() for block in docs.blocks(question))
    assert len(CHANGE.findall(question)) == 1


@pytest.mark.parametrize("question", QUESTIONS)
def test_a_line_to_change_stands_once_in_the_file_that_is_named(question):
    shown, linked, old, new = CHANGE.search(question).groups()
    assert shown == linked
    assert (ROOT / linked).read_text().splitlines().count(old) == 1
    assert new != old


@pytest.mark.parametrize("question", SCRIPTS)
def test_a_changed_script_is_still_one_and_has_all_that_is_predicted_of_it(question, tmp_path):
    _, path, old, new = CHANGE.search(question).groups()
    script = tmp_path / Path(path).name
    script.write_text((ROOT / path).read_text().replace(old, new))
    shutil.copy((ROOT / path).with_suffix(".py"), tmp_path)
    assert subprocess.run(["bash", "-n", script]).returncode == 0
    part = PARTS["abc".index(script.name[0])]
    assert predictions.rehearse(script, part, quick=False, services=[*services_of(part)])


@pytest.mark.parametrize("page", PAGES, ids=[str(page.relative_to(ROOT)) for page in PAGES])
def test_every_link_leads_somewhere(page):
    for _, target in docs.LINK.findall(page.read_text()):
        if not target or docs.ELSEWHERE.match(target):
            continue
        path, _, anchor = target.partition("#")
        there = page.parent / path if path else page
        assert there.exists(), target
        if anchor:
            headings = re.findall(r"^#+ (.*)$", there.read_text(), flags=re.MULTILINE)
            assert anchor in map(slug, headings), target


@pytest.mark.parametrize("page", PAGES, ids=[str(page.relative_to(ROOT)) for page in PAGES])
def test_code_that_a_page_names_in_a_file_is_there(page):
    for code, path in LINE_IN_FILE.findall(page.read_text()):
        places = [folder / path for folder in (page.parent, ROOT) if (folder / path).exists()]
        assert places, path
        assert code in places[0].read_text(), f"{code} in {path}"


@pytest.mark.parametrize("part", PARTS)
def test_the_exercises_of_a_part_are_among_them(part):
    assert LINE_IN_FILE.search((ROOT / part / "README.md").read_text())


def test_an_anchor_is_made_as_github_makes_it():
    assert slug("What *exactly once* means, and what not") == "what-exactly-once-means-and-what-not"


def test_each_rate_of_the_page_on_scaling_stands_in_a_report_of_a_benchmark():
    ours = ["git", "diff", "--quiet", "HEAD", "--", "results/bench"]
    if subprocess.run(ours, cwd=ROOT, capture_output=True).returncode:
        pytest.skip("the benchmarks were run here, and the page is about those that were committed")
    page = docs.BLOCK.sub("", (ROOT / "docs/scaling.md").read_text())
    figures = {one or other for one, other in MEASURED.findall(page)} - LOADS
    reports = "".join(report.read_text() for report in (ROOT / "results/bench").glob("*/report.md"))
    assert len(figures) > 10
    assert figures - set(re.findall(r"[\d,]*\d", reports)) == set()
