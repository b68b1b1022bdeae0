"""A finished run as one file that a browser opens by itself: the same screens, with nothing to fetch."""

import json
from pathlib import Path

from jinja2 import Environment, FileSystemLoader

from lab.errors import LabError
from lab.live import runs
from lab.live.page import SCRIPTS, STATIC, TEMPLATES

NAME = "report.html"
MAX_BYTES = 2_000_000


def write(folder: Path) -> Path:
    """Write `report.html` beside the raw files of a run, and return its path. Raises LabError."""
    played = runs.play(folder)
    for fewer in (lambda run: run, _without_ids, _without_orders):
        text = _page(fewer(played))
        if len(text.encode()) <= MAX_BYTES:
            (folder / NAME).write_text(text)
            return folder / NAME
    raise LabError(f"{folder} does not fit into {MAX_BYTES:,} bytes")


def _page(run: runs.Shape) -> str:
    inline = {
        "css": (STATIC / "uplot.css").read_text() + (STATIC / "live.css").read_text(),
        "scripts": [(STATIC / name).read_text() for name in SCRIPTS],
        "run": json.dumps(run, separators=(",", ":")).replace("</", "<\\/"),  # no text of a run may end the element
    }
    pages = Environment(loader=FileSystemLoader(TEMPLATES), autoescape=True)
    return pages.get_template("live.html").render(inline=inline, title=run["title"])


def _without_ids(run: runs.Shape) -> runs.Shape:
    return run | {"orders": [order[:4] for order in run["orders"]]}


def _without_orders(run: runs.Shape) -> runs.Shape:
    """Every tenth reply is enough for a percentile; every order stays, as the backlog is counted from them."""
    return _without_ids(run) | {"replies": run["replies"][::10]}
