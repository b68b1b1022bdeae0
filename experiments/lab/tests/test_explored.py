"""What is committed of explored schedules is made again when it is graded; an edited figure is noticed."""

import json
from types import SimpleNamespace

from lab.grading import pages
from lab.simulation import report
from simulated import explore

PART = "async-rabbitmq"
FIGURES, PAGE = f"results/explore/{PART}.figures.json", f"results/explore/{PART}.md"


def made_again(figures: dict) -> dict[str, bytes]:
    repository = SimpleNamespace(read=lambda paths: {FIGURES: report.as_text(figures).encode()}, files={})
    return pages.explored(SimpleNamespace(own=True, repository=repository))


def test_it_goes_on_behind_the_last_seed_and_begins_anew_where_the_code_is_another():
    ten, twenty = (report.figures(explore(PART, seed=0, most=most)) for most in (10, 20))
    timeless = {"processor_seconds": 0}
    assert report.figures(explore(PART, seed=0, most=20, before=ten)) | timeless == twenty | timeless
    more = report.figures(explore(PART, seed=0, most=20, before=ten | {"orders": ten["orders"] + 1000}))
    assert more["orders"] == twenty["orders"] + 1000
    other = ten | {"orders": 1000, "samples": {"0": "0123456789abcdef"}}
    assert report.figures(explore(PART, seed=0, most=20, before=other)) | timeless == twenty | timeless


def test_seeds_are_played_again_and_an_edited_figure_is_noticed():
    figures = json.loads(report.as_text(report.figures(explore(PART, seed=0, most=10))))
    assert list(figures["samples"]) == ["0"]
    right = {FIGURES: report.as_text(figures).encode(), PAGE: report.page(figures).encode()}
    assert made_again(figures) == right
    for edited in (figures | {"schedules": 20_000}, figures | {"samples": {"0": "0123456789abcdef"}}):
        assert made_again(edited)[FIGURES] == right[FIGURES] != report.as_text(edited).encode()
