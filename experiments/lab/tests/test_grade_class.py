"""What an instructor of a class gets: tables for course systems, the page of the class, the hand-out."""

import csv
import io
import json
from html.parser import HTMLParser

import pytest
from click.testing import CliRunner
from clones import git
from lab.cli.main import main
from lab.grading import class_page, gradebooks, output
from lab.grading.findings import CAME, Finding, Grade, Graded, Judged
from lab.grading.likeness import Pair
from lab.paths import ROOT
from lab.verdict import FAIL, PASS, UNKNOWN

EVIL = '<script>alert(1)</script><img src=x onerror="alert(1)">'
A5 = "results/sync-rest/a5_outage"


def lines(*verdicts: str) -> list[Judged]:
    return [Judged(f"A{n}", "A", f"says {n}", n, verdict, EVIL, []) for n, verdict in enumerate(verdicts, start=1)]


@pytest.fixture
def class_of_three() -> list[Grade]:
    """A student with points, one whose texts are markup, and one who handed in nothing."""
    wrong = Graded(A5, [Finding("A rule.", FAIL, [EVIL])], {"verdict": EVIL})
    ada = Grade("clones/ada", "abc", [Graded(A5, [], {"verdict": "pass"})], lines(PASS, PASS, UNKNOWN))
    evil = Grade(f"clones/=1+{EVIL}", "def", [wrong], lines(FAIL, PASS, UNKNOWN), changes=[EVIL])
    ada.similar = evil.similar = [Pair(A5, "clones/ada", f"clones/{EVIL}", 0.69)]
    evil.words = {"a-latency": EVIL}
    return [ada, evil, Grade("clones/bob", fault="cannot be graded: clones/bob is not the root of a git repository")]


def table(grades: list[Grade], kind: str) -> list[list[str]]:
    return list(csv.reader(io.StringIO(gradebooks.as_csv(grades, kind))))


def test_canvas_finds_students_by_their_logins(class_of_three):
    head, possible, ada, _, bob = table(class_of_three, "canvas")
    assert head[:5] == ["Student", "ID", "SIS User ID", "SIS Login ID", "Section"]
    assert (possible[0].strip(), possible[5]) == ("Points Possible", "6")
    assert (ada[3], ada[5]) == ("ada", "3")
    assert (bob[3], bob[5]) == ("bob", "")


def test_moodle_has_a_user_points_and_feedback(class_of_three):
    head, ada, _, bob = table(class_of_three, "moodle")
    assert head == ["Username", "Communication models", "Feedback"]
    assert ada == ["ada", "3", "FAIL: none; cannot tell: A3"]
    assert bob[2] == "cannot be graded: clones/bob is not the root of a git repository"


def test_a_cell_is_never_a_formula(class_of_three):
    cells = [cell for kind in gradebooks.KINDS for row in table(class_of_three, kind) for cell in row]
    assert any("=1+" in cell for cell in cells)
    assert not [cell for cell in cells if cell.startswith(("=", "+", "-", "@"))]


def test_gradescope_has_a_test_for_each_line(class_of_three):
    ada, _, bob = (json.loads(gradebooks.as_gradescope(grade)) for grade in class_of_three)
    assert [(test["score"], test["max_score"]) for test in ada["tests"]] == [(1, 1), (2, 2), (0, 3)]
    assert bob["score"] == 0
    assert "is not the root of a git repository" in bob["output"]


def test_gradescope_is_for_one_clone(tmp_path):
    done = CliRunner().invoke(main, ["grade", str(tmp_path), str(ROOT), "--gradescope"])
    assert "--gradescope is for one DIR" in done.output


def test_pairs_of_the_same_runs(class_of_three):
    assert list(output.as_pairs(class_of_three)) == [
        f"clones/ada and clones/{EVIL}: {A5}: 69% of what was measured is equal, to the microsecond",
        "1 pairs of the same runs",
    ]


def test_the_words_of_a_student_are_shown(class_of_three):
    assert f"        {EVIL}" in output.as_text(class_of_three[1]).splitlines()
    assert output.as_dict(class_of_three[1])["words"] == {"a-latency": EVIL}


class Tags(HTMLParser):
    """The tags of a page, with their attributes."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.found: list[tuple[str, dict[str, str | None]]] = []
        self.feed(text)

    def handle_starttag(self, tag, attrs):
        self.found.append((tag, dict(attrs)))


def test_no_byte_of_a_clone_becomes_markup(class_of_three, tmp_path):
    for number in range(2):
        folder = class_page.pictures(tmp_path, number)
        folder.mkdir()
        (folder / "a5_outage.svg").write_text("<svg><script>alert(1)</script></svg>")
    page = class_page.write(tmp_path, class_of_three)
    tags = Tags(page.read_text()).found
    assert "script" not in {tag for tag, _ in tags}
    assert not [name for _, attributes in tags for name in attributes if name.startswith("on")]
    assert [attributes["src"] for tag, attributes in tags if tag == "img"] == ["001/a5_outage.svg", "002/a5_outage.svg"]
    policy = next(a["content"] for tag, a in tags if tag == "meta" and "http-equiv" in a)
    assert policy == "default-src 'none'; img-src 'self'; style-src 'unsafe-inline'"
    assert page.stat().st_size < 20_000
    assert "&lt;script&gt;alert(1)" in page.read_text()


def test_a_page_of_100_clones_is_small(class_of_three, tmp_path):
    finding = Finding(CAME, UNKNOWN, ["x" * 200])
    runs = [Graded(f"results/sync-rest/x{n}", [finding], {"verdict": "pass"}) for n in range(22)]
    grades = [Grade(f"clones/s{n}", "abc", runs, lines(*[PASS] * 24)) for n in range(100)]
    assert class_page.write(tmp_path, grades).stat().st_size < 5_000_000


def test_the_hand_out_is_one_commit_without_our_results(tmp_path):
    there = tmp_path / "handout"
    done = CliRunner().invoke(main, ["handout", str(there)])
    assert done.exit_code == 0, done.output
    files = git(there, "ls-files").splitlines()
    assert f"{len(files)} files, without results/, in one commit" in done.output
    assert not [path for path in files if path.startswith("results")]
    ours = git(ROOT, "ls-tree", "-r", "--name-only", "HEAD").splitlines()
    assert files == [path for path in ours if not path.startswith("results/")]
    assert git(there, "rev-list", "--count", "HEAD") == "1"
    assert (there / "lab").stat().st_mode & 0o111
    assert "is not empty" in CliRunner().invoke(main, ["handout", str(there)]).output


def test_a_copy_without_git_makes_no_hand_out(tmp_path, monkeypatch):
    monkeypatch.setattr("lab.grading.handout.ROOT", tmp_path)
    done = CliRunner().invoke(main, ["handout", str(tmp_path / "new")])
    assert "this copy is no git repository" in done.output
    assert list(tmp_path.iterdir()) == []
