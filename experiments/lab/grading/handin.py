"""`results/HANDIN.md`: one page that answers the assignment line by line, with the student's own words kept.

Its tables come from the runs in results/. What stands between `<!-- your words: ID -->` and
`<!-- end of your words -->` is the student's, and stays when the page is made again.
"""

import json
import re
from itertools import pairwise
from pathlib import Path

from markdown_it import MarkdownIt

from lab.report.format import page

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
        "grading/templates/handin.md.j2",
        words=words((results / NAME).read_text()) if (results / NAME).exists() else {},
        measured=[file.parent.relative_to(results).as_posix() for file in results.glob("*/*/summary.json")],
        read=read,
        summary=lambda run: json.loads(read(run, "summary.json")),
        metrics=lambda run: json.loads(read(run, "metrics.json")),
        section=lambda run, title: section(read(run, "report.md"), title),
    )


def section(text: str, title: str) -> str:
    """Return what stands below a heading of a page, up to the next of its level or above. Raises LookupError."""
    marks = pairwise(MarkdownIt().parse(text))
    headings = [
        (mark.map[0], mark.tag, words.content) for mark, words in marks if mark.type == "heading_open" and mark.map
    ]
    found = next(((n, level) for n, level, words in headings if words == title), None)
    if found is None:
        raise LookupError(f"no heading `{title}`")
    lines, (first, level) = text.split("\n"), found
    last = next((n for n, other, _ in headings if n > first and other <= level), len(lines))
    return "\n".join(lines[first + 1 : last]).strip("\n")
