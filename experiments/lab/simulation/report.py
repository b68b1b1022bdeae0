"""What an exploration leaves: a table; for a violation the schedule in words, a diagram, a file to play again."""

import json
from collections.abc import Iterable
from pathlib import Path
from typing import Any

from lab.errors import LabError
from lab.paths import relative
from lab.simulation.core import Point
from lab.simulation.explore import Counterexample, Exploration
from lab.simulation.part import SimulatedPart
from lab.simulation.selection import relevant
from lab.simulation.words import numbered
from lab.trace import diagram

# The stock is written into an empty database: before the first action of a schedule, and never again.
UNREACHABLE = ("inventory", "start")


def figures(result: Exploration) -> dict[str, Any]:
    """Return what can be recomputed: the same seeds give the same figures, but for the time."""
    last, missing = result.first_seed + max(result.seeds - 1, 0), result.points - result.crashes
    return {
        "part": result.part,
        "file": result.file,
        "seeds": [result.first_seed, last],
        "schedules": result.schedules,
        "aimed": result.aimed,
        "orders": result.orders,
        "effects": result.effects,
        "violations": [violation.id for violation in result.found.violations] if result.found else [],
        "processor_seconds": round(result.seconds, 1),
        "crash_points": _names(result.crashes),
        "crash_points_missing": _names(point for point in missing if point[:2] != UNREACHABLE),
        "crash_points_unreachable": _names(point for point in missing if point[:2] == UNREACHABLE),
        "samples": result.samples,
    }


def _names(points: Iterable[Point]) -> list[str]:
    return [" · ".join(point) for point in sorted(points)]


def rows(figures: dict[str, Any]) -> list[tuple[str, str]]:
    """Return the figures of an exploration, as rows of a table."""
    schedules, seconds = figures["schedules"], figures["processor_seconds"]
    crashes, missing = len(figures["crash_points"]), len(figures["crash_points_missing"])
    first, last = figures["seeds"]
    return [
        (
            "schedules",
            f"{schedules:,}" + (f", and {figures['aimed']} aimed at crash points" if figures["aimed"] else ""),
        ),
        ("orders", f"{figures['orders']:,}"),
        ("effects passed", f"{figures['effects']:,}"),
        ("crash points covered", f"{crashes} of {crashes + missing}"),
        ("violations", "1" if figures["violations"] else "0"),
        ("seeds", f"{first} to {last}"),
        ("processor time", f"{seconds:.1f} s ({schedules / seconds if seconds else 0:.0f} schedules a second)"),
    ]


def story(part: SimulatedPart, found: Counterexample) -> list[str]:
    """Return a counterexample for the terminal."""
    return [
        f"Found with seed {found.seed} after {found.seconds:.2f} s of processor time; "
        f"made shorter from {len(found.drawn)} to {len(found.schedule)} actions in {found.replays} replays.",
        "",
        *numbered(part, found.schedule),
        "",
        *(f"{violation.id}: {violation.sentence}" for violation in found.violations),
        "",
        *diagram.text(relevant(found.trace, found.violations)),
    ]


def page(figures: dict[str, Any]) -> str:
    """Return the report of an exploration as Markdown."""
    version = f"broken version {figures['file']}" if figures["file"] else "the services as they are"
    lines = [f"# Explored: {figures['part']}, {version}", "", "| | |", "|---|---|"]
    lines += [f"| {name} | {value} |" for name, value in rows(figures)]
    if not figures["violations"]:
        for name, text in (
            ("crash_points_missing", "Crash points that were passed and at which no process was killed:"),
            ("crash_points_unreachable", "Passed only before the first action of a schedule, so not counted:"),
            ("crash_points", "Crash points (service · what it did · effect) at which a process was killed:"),
        ):
            lines += ["", text, "", *(f"- {point}" for point in figures[name])] if figures[name] else []
    return "\n".join(lines) + "\n"


def _counterexample(part: SimulatedPart, found: Counterexample) -> str:
    lines = ["", "## The shortest schedule that breaks a promise", "", *numbered(part, found.schedule), ""]
    lines += [f"- **{violation.id}** {violation.sentence}" for violation in found.violations]
    drawn = diagram.mermaid(relevant(found.trace, found.violations)).rstrip()
    return "\n".join([*lines, "", "```mermaid", drawn, "```", ""])


def write(part: SimulatedPart, result: Exploration, folder: Path) -> list[Path]:
    """Write the page, the figures, and for a violation a file for `./lab replay-schedule`; return the files."""
    folder.mkdir(parents=True, exist_ok=True)
    name = f"{result.part}-{result.file}" if result.file else result.part
    said = figures(result)
    files = {f"{name}.md": page(said), f"{name}.figures.json": as_text(said)}
    if result.found:
        files[f"{name}.md"] += _counterexample(part, result.found)
        files[f"{name}.json"] = as_json(result.found)
    for file, text in files.items():
        (folder / file).write_text(text)
    return [folder / file for file in files]


def kept(folder: Path, part: str) -> dict[str, Any] | None:
    """Return the figures of what was explored of a part before; None where nothing was."""
    path = folder / f"{part}.figures.json"
    return json.loads(path.read_text()) if path.exists() else None


def as_text(figures: dict[str, Any]) -> str:
    """Return figures as they are kept."""
    return json.dumps(figures, indent=2) + "\n"


def as_json(found: Counterexample) -> str:
    """Return a counterexample as a file that can be played again: one action a line."""
    head = {"part": found.part, "file": found.file, "seed": found.seed, "breaks": [v.id for v in found.violations]}
    actions = ",\n    ".join(json.dumps(action) for action in found.schedule)
    return json.dumps(head, indent=2)[:-2] + f',\n  "schedule": [\n    {actions}\n  ]\n}}\n'


def read_schedule(path: Path) -> dict[str, Any]:
    """Return such a file. Raises LabError."""
    try:
        said = json.loads(path.read_text())
        said["part"], said["schedule"], said["file"]
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise LabError(f"{relative(path)} is no schedule: {type(error).__name__}: {error}") from None
    return said
