"""The shortest schedule that shows a mistake, and its diagram, in the page of a broken version."""

import json
import re
from collections.abc import Sequence

from lab.errors import LabError
from lab.simulation.part import Action, SimulatedPart
from lab.simulation.selection import relevant
from lab.simulation.verdict import Violation
from lab.simulation.words import numbered
from lab.trace import diagram
from lab.trace.entries import Entry

BLOCK = re.compile(r"<!-- explored: (.*?) -->\n.*?<!-- end -->\n", re.DOTALL)
BEFORE = "## What a student sees\n"


def schedule_in(page: str) -> list[Action]:
    """Return the schedule that a page holds. Raises LabError when it holds none."""
    found = BLOCK.search(page)
    if found is None:
        raise LabError("this page holds no schedule", "./lab explore PART --broken NAME --page")
    return json.loads(found[1])


def with_schedule(
    page: str,
    part: SimulatedPart,
    version: str,
    schedule: Sequence[Action],
    violations: Sequence[Violation],
    trace: Sequence[Entry],
) -> str:
    """Return a page with this schedule, what it breaks and its diagram; a new block comes before BEFORE."""
    block = "\n".join([
        f"<!-- explored: {json.dumps(schedule)} -->",
        "",
        f"`./lab explore {part.name} --broken {version}` finds it in memory. With `--prove` it does the same to",
        "the real services.",
        "",
        *numbered(part, schedule),
        "",
        *(f"**{violation.id}** {violation.sentence}\n" for violation in violations),
        "```mermaid",
        diagram.mermaid(relevant(trace, violations)).rstrip(),
        "```",
        "",
        "<!-- end -->",
        "",
    ])  # fmt: skip
    if BLOCK.search(page):
        return BLOCK.sub(lambda _: block, page, count=1)
    return page.replace(BEFORE, f"## The shortest schedule\n\n{block}\n{BEFORE}", 1)
