"""The page of a class: rows of the rubric, notices, pairs of the same runs, and each run's verdict, side by side.

No byte of a clone becomes markup: every text is escaped, plots are drawn by this repository and shown as `<img>`, and
the page has a policy that forbids scripts and everything from elsewhere.
"""

from collections.abc import Sequence
from itertools import product
from pathlib import Path

from jinja2 import Environment, FileSystemLoader, StrictUndefined

from lab.grading.evidence import OF_MANY
from lab.grading.findings import Grade
from lab.verdict import FAIL, MARK_IN_A_GRADE, PASS, UNKNOWN

PAGE = "index.html"
MAX_NOTICES = 12  # of a clone
TEMPLATES = Environment(
    loader=FileSystemLoader(Path(__file__).parent / "templates"),
    autoescape=True,
    trim_blocks=True,
    lstrip_blocks=True,
    undefined=StrictUndefined,
)


def pictures(home: Path, number: int) -> Path:
    """Return the folder for the plots of a clone: a number, whatever the clone is called."""
    return home / f"{number + 1:03d}"


def write(home: Path, grades: Sequence[Grade]) -> Path:
    """Write the page of a class beside the plots that were drawn, and return its path."""
    lines = next((grade.lines for grade in grades if grade.lines), [])
    folders = sorted({run.folder for grade in grades for run in grade.runs if run.folder.split("/")[1] not in OF_MANY})
    plots = {}  # where each is, seen from the page; nothing if none was drawn
    for n, folder in product(range(len(grades)), folders):
        path = pictures(home, n) / f"{folder.rpartition('/')[2]}.svg"
        plots[n, folder] = path.relative_to(home).as_posix() if path.exists() else ""
    pairs = list(dict.fromkeys(pair for grade in grades for pair in grade.similar))
    text = TEMPLATES.get_template("class.html.j2").render(
        grades=grades,
        lines=lines,
        folders=folders,
        runs=[{run.folder: run for run in grade.runs} for grade in grades],
        plots=plots,
        pairs=pairs,
        mark=MARK_IN_A_GRADE,
        verdicts={"pass": PASS, "fail": FAIL, "unknown": UNKNOWN},
        most=MAX_NOTICES,
    )
    home.mkdir(parents=True, exist_ok=True)
    (home / PAGE).write_text(text)
    return home / PAGE
