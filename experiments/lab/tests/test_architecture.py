"""`docs/architecture.md`: its walks name functions that are there, and each promise is held in every part it names."""

import re
import tomllib
from collections import defaultdict

import pytest
from conftest import ROOT
from lab import promises
from lab.checker.invariants import IDS
from lab.errors import LabError

PAGE = ROOT / "docs" / "architecture.md"
WALK = re.compile(r"^\| \d* *\| [^|]*?\[[^\]]+\]\(([^)]+)\) \| (`[^|]+`) \|", re.MULTILINE)
EVERY_PART = {"sync-rest", "async-rabbitmq", "streaming-kafka"}
CONSUMERS = {"async-rabbitmq", "streaming-kafka"}
SUITES = {  # which suites must hold it; the checker's own tests hold all invariants
    "a": {"sync-rest"},
    "b": {"async-rabbitmq"},
    "c": {"streaming-kafka"},
    "INV-3": {"common"},  # stock is the same code in all parts
    "INV-8": {"streaming-kafka"},
    "LOG-1": {"streaming-kafka"},
    "poison": CONSUMERS,
    "retries": CONSUMERS,
    "progress": CONSUMERS,
}


def test_the_picture_has_the_layers_that_import_linter_keeps():
    contracts = tomllib.loads((ROOT / "pyproject.toml").read_text())["tool"]["importlinter"]["contracts"]
    layers = [layer.replace(" | ", " · ") for layer in contracts[0]["layers"]]
    assert re.findall(r'\w+\["((?:lab\.|benchmarks)[^"]*)"\]', PAGE.read_text()) == layers


def test_the_walks_name_functions_that_are_there():
    steps = WALK.findall(PAGE.read_text())
    for path, functions in steps:
        text = (PAGE.parent / path).read_text()
        for part in re.findall(r"\w+", functions):
            assert re.search(rf"(def|class) {part}\b", text), f"{part} is not in {path}"


@pytest.mark.parametrize("walk", ["Part A", "Part B", "Part C"])
def test_a_walk_has_as_many_files_as_its_heading_says(walk):
    section = PAGE.read_text().partition(f"### {walk}: ")[2].partition("\n#")[0]
    assert section.partition("\n")[0].endswith(f", {len(WALK.findall(section))} files")


def test_every_promise_is_held_in_every_part_that_it_speaks_of():
    held = defaultdict(set)
    for id, file, _ in promises.marked(ROOT):
        held[id].add(file.relative_to(ROOT).parts[0])
    for id in promises.promises():
        wanted = SUITES.get(id) or SUITES.get(id.partition("-")[0], EVERY_PART)
        assert held[id] >= wanted | ({"experiments"} if id in IDS else set()), id


def test_the_page_has_the_table_of_the_marks():
    text = PAGE.read_text()
    assert "| INV-1 | Every acknowledged order reaches exactly one final state. |" in text
    assert promises.filled(text, PAGE, ROOT) == text  # else: ./lab readme


@pytest.fixture
def marked(tmp_path):
    """A function that writes a test with these decorators, and returns the root of its suite."""

    def write(*decorators: str):
        (tmp_path / "common/tests").mkdir(parents=True)
        lines = [*decorators, "def test_one():", "    pass", ""]
        (tmp_path / "common/tests/test_it.py").write_text("\n".join(lines))
        return tmp_path

    return write


def test_a_test_may_hold_several_promises(marked):
    root = marked('@pytest.mark.promise("INV-2", "limits")', "@pytest.mark.long")
    assert [(id, test) for id, _, test in promises.marked(root)] == [("INV-2", "test_one"), ("limits", "test_one")]
    rows = promises.table(root / "docs/page.md", root).splitlines()
    assert "| limits | No wait is without a limit. | [`test_one`](../common/tests/test_it.py) |" in rows


def test_a_mark_with_an_unknown_id_is_refused(marked):
    root = marked('@pytest.mark.promise("INV-99")')
    with pytest.raises(LabError, match=r"common/tests/test_it.py, line \d: there is no promise 'INV-99'"):
        list(promises.marked(root))
