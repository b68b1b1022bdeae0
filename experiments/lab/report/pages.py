"""Parts of a page of Markdown: the section below a heading."""

import re
from collections.abc import Iterator

HEADING = re.compile(r"(#+) (.*)")


def section(lines: list[str], title: str) -> str:
    """Return what stands below a heading, up to the next of its level or above. Raises LookupError."""
    found_headings = list(headings(lines))
    found = next((h for h in found_headings if h[2] == title), None)
    if found is None:
        raise LookupError(f"no heading `{title}`")
    first, level, _ = found
    last = next((n for n, other, _ in found_headings if n > first and other <= level), len(lines))
    return "\n".join(lines[first + 1 : last]).strip("\n")


def headings(lines: list[str]) -> Iterator[tuple[int, int, str]]:
    """Yield line number, level and title of each heading; what is in a fence is none."""
    fenced = False
    for n, line in enumerate(lines):
        if line.startswith("```"):
            fenced = not fenced
        found = HEADING.fullmatch(line)
        if found and not fenced:
            yield n, len(found[1]), found[2].strip()
