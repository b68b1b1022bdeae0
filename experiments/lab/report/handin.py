"""`results/HANDIN.md`: one page that answers the assignment line by line, with the student's own words kept.

Its tables come from the runs in results/. What stands between `<!-- your words: ID -->` and
`<!-- end of your words -->` is the student's, and stays when the page is made again.
"""

import json
import re
from pathlib import Path

from lab.report.format import page, section

NAME = "HANDIN.md"
WORDS = re.compile(r"<!-- your words: ([a-z0-9-]+) -->\n(.*?)\n<!-- end of your words -->", re.DOTALL)
QUESTION = re.compile(r"_Your words: [^\n]*_")


def words(text: str) -> dict[str, str]:
    """Return the student's own words in a hand-in page, by the id of the answer; what is only our question is none."""
    found = {id: said.strip() for id, said in WORDS.findall(text)}
    return {id: said for id, said in found.items() if said and not QUESTION.fullmatch(said)}


def write(results: Path) -> str:
    """Return the page for the runs in a folder, with the words that stand in the page there."""

    def read(run: str, name: str) -> str:
        return (results / run / name).read_text()

    return page(
        "report/templates/handin.md.j2",
        words=words((results / NAME).read_text()) if (results / NAME).exists() else {},
        measured=[file.parent.relative_to(results).as_posix() for file in results.glob("*/*/summary.json")],
        read=read,
        summary=lambda run: json.loads(read(run, "summary.json")),
        metrics=lambda run: json.loads(read(run, "metrics.json")),
        section=lambda run, title: section(read(run, "report.md").splitlines(), title),
    )
