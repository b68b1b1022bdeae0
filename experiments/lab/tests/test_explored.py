"""What is committed of explored schedules is made again when it is graded; an edited figure is noticed."""

import json
from types import SimpleNamespace

from lab.grading import explored
from lab.simulation import report
from simulated import explore

PART = "async-rabbitmq"
FIGURES, PAGE = f"results/explore/{PART}.figures.json", f"results/explore/{PART}.md"


def made_again(figures: dict) -> dict[str, bytes]:
    repository = SimpleNamespace(read=lambda paths: {FIGURES: report.as_text(figures).encode()}, files={})
    return explored.made_again(SimpleNamespace(own=True, repository=repository))


def test_seeds_are_played_again_and_an_edited_figure_is_noticed():
    figures = json.loads(report.as_text(report.figures(explore(PART, seed=0, most=10))))
    assert list(figures["samples"]) == ["0"]
    right = {FIGURES: report.as_text(figures).encode(), PAGE: report.page(figures).encode()}
    assert made_again(figures) == right
    for edited in (figures | {"schedules": 20_000}, figures | {"samples": {"0": "0123456789abcdef"}}):
        assert made_again(edited)[FIGURES] == right[FIGURES] != report.as_text(edited).encode()
