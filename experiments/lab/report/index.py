"""`results/README.md`: every run in one page, made from what the runs say of themselves.

Experiments and benchmarks have a line each. Of folders with many runs and a report over all of them, it says how these
ended.
"""

import json
from collections import Counter
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from lab.history.model import HISTORY, SAMPLES
from lab.paths import PARTS
from lab.report.format import page, verdict_sentence
from lab.verdict import UNKNOWN

MANY = {"comparison": "", "chaos": "", "broken/red": "/red", "broken/green": "/green"}  # kind: how its folders end
FIGURES = ".figures.json"  # of explored schedules, below explore/
Found = Mapping[str, dict[str, Any]]  # summaries of finished runs, by their folders below results/


def write(results: Path) -> str:
    """Return the index of the runs in a folder."""
    return page_of(read(results))


def read(results: Path) -> Found:
    """Return the summary of each finished run below a folder, and what its report shows."""
    folders = sorted({file.parent for raw in (HISTORY, SAMPLES) for file in results.rglob(raw)})
    names = ("summary.json", "report.md")
    files = {folder: {n: (folder / n).read_bytes() for n in names if (folder / n).exists()} for folder in folders}
    found = {str(folder.relative_to(results)): said for folder, of in files.items() if (said := summary_of(of))}
    figures = sorted((results / "explore").glob(f"*{FIGURES}"))
    return found | {f"explore/{file.name.removesuffix(FIGURES)}": json.loads(file.read_text()) for file in figures}


def summary_of(files: Mapping[str, bytes]) -> dict[str, Any] | None:
    """Return the summary in the files of a run, with what the report shows; None of one that did not finish."""
    if "summary.json" not in files:
        return None
    shows = files["report.md"].decode().split("\n\n")[1] if "report.md" in files else ""
    return json.loads(files["summary.json"]) | {"shows": shows}


def page_of(found: Found) -> str:
    """Return the index of these runs."""

    def below(folder: str, end: str = "") -> list[dict[str, Any]]:
        names = sorted(name for name in found if name.startswith(f"{folder}/") and name.endswith(end))
        return [found[name] | {"name": name.rpartition("/")[2]} for name in names]

    return page(
        "report/templates/index.md.j2",
        parts={part: below(part) for part in (*PARTS, *(f"scale/{p}" for p in PARTS))},
        benchmarks=below("bench"),
        explored=below("explore"),
        many={kind: below(kind.split("/")[0], end) for kind, end in MANY.items()},
    )


def rows(folders: Sequence[Path]) -> list[tuple[str, str, str]]:
    """Return experiment, verdict and verdict sentence of each run.

    A folder without a summary is a run that did not finish: `unknown`. Runs of one name are shown with the part.
    """
    found = []
    named = Counter(folder.name for folder in folders)
    for folder in folders:
        try:
            summary = json.loads((folder / "summary.json").read_text())
            verdict, sentence = summary["verdict"], verdict_sentence(summary)
        except (OSError, ValueError):
            verdict, sentence = UNKNOWN, "It did not finish." if folder.exists() else "It was not run."
        name = folder.name if named[folder.name] == 1 else f"{folder.parent.name}/{folder.name}"
        found.append((name, verdict, sentence))
    return found
