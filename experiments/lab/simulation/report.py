"""What an exploration leaves: a table; for a violation the schedule in words, a diagram, a file to play again."""

import json
from pathlib import Path
from typing import Any

from lab.errors import LabError
from lab.paths import relative
from lab.simulation.explore import Counterexample, Exploration
from lab.simulation.part import SimulatedPart
from lab.simulation.selection import relevant
from lab.simulation.words import numbered
from lab.trace import diagram


def rows(result: Exploration) -> list[tuple[str, str]]:
    """Return the figures of an exploration, as rows of a table."""
    last = result.first_seed + max(result.seeds - 1, 0)
    pace = result.schedules / result.seconds if result.seconds else 0.0
    return [
        ("schedules", f"{result.schedules:,}"),
        ("orders", f"{result.orders:,}"),
        ("effects passed", f"{result.effects:,}"),
        ("crash points covered", f"{len(result.crashes)} of {len(result.points)}"),
        ("violations", "1" if result.found else "0"),
        ("seeds", f"{result.first_seed} to {last}"),
        ("processor time", f"{result.seconds:.1f} s ({pace:.0f} schedules a second)"),
    ]


def missing(result: Exploration) -> list[str]:
    """Return the crash points that were passed and never killed at."""
    return [" · ".join(point) for point in sorted(result.points - result.crashes)]


def figures(result: Exploration) -> dict[str, Any]:
    """Return what can be recomputed: the same seeds give the same figures, but for the time."""
    last = result.first_seed + max(result.seeds - 1, 0)
    return {
        "part": result.part,
        "file": result.file,
        "seeds": [result.first_seed, last],
        "schedules": result.schedules,
        "orders": result.orders,
        "effects": result.effects,
        "crash_points": [" · ".join(point) for point in sorted(result.crashes)],
        "crash_points_missing": missing(result),
        "violations": [violation.id for violation in result.found.violations] if result.found else [],
        "processor_seconds": round(result.seconds, 1),
    }


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


def page(part: SimulatedPart, result: Exploration) -> str:
    """Return the report of an exploration as Markdown."""
    title = (
        f"{result.part}, broken version {result.file}" if result.file else f"{result.part}, the services as they are"
    )
    lines = [
        f"# Explored: {title}",
        "",
        "| | |",
        "|---|---|",
        *(f"| {name} | {value} |" for name, value in rows(result)),
    ]
    if result.found:
        entries = relevant(result.found.trace, result.found.violations)
        lines += ["", "## The shortest schedule that breaks a promise", "", *numbered(part, result.found.schedule), ""]
        lines += [f"- **{violation.id}** {violation.sentence}" for violation in result.found.violations]
        lines += ["", "```mermaid", diagram.mermaid(entries).rstrip(), "```"]
    elif missing(result):
        lines += ["", "Crash points that were passed and at which no process was killed:", ""]
        lines += [f"- {point}" for point in missing(result)]
    return "\n".join(lines) + "\n"


def write(part: SimulatedPart, result: Exploration, folder: Path) -> list[Path]:
    """Write the page, the figures, and for a violation a file for `./lab replay-schedule`; return the files."""
    folder.mkdir(parents=True, exist_ok=True)
    name = f"{result.part}-{result.file}" if result.file else result.part
    files = {f"{name}.md": page(part, result), f"{name}.figures.json": json.dumps(figures(result), indent=2) + "\n"}
    if result.found:
        files[f"{name}.json"] = as_json(result.found)
    for file, text in files.items():
        (folder / file).write_text(text)
    return [folder / file for file in files]


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
