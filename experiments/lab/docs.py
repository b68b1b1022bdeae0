"""The project's pages: blocks that quote what was measured.

A block stands between two comments, so a page reads well wherever Markdown does. The first one names a file, from the
repository's root, and a place in it; what is between it and `<!-- end -->` is replaced by what the file says there.

    <!-- quote: results/sync-rest/a2_delay/report.md#What the clients saw -->
    <!-- quote: results/sync-rest/a2_delay/run.log#inventory now waits -->
    <!-- quote: results/streaming-kafka/c3_replay/run.log#stopping analytics … the contrast -->

Of a Markdown file it is the section with that heading; of a `run.log` the step that begins with those words, or all
from one step to another.

(cogapp would save some eight of these lines, and would run code that stands in a page.)
"""

import functools
import os
import re
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from lab import promises
from lab.errors import LabError
from lab.grading import handin
from lab.report import index as results_index

BLOCK = re.compile(r"^<!-- quote: ([^#\n]+)#([^\n]+) -->\n(.*?)^<!-- end -->$", re.MULTILINE | re.DOTALL)
BEGINNING = re.compile(r"^<!-- quote:", re.MULTILINE)
LINK = re.compile(r"```.*?```|`[^`\n]+`|(\]\()([^)\s]+)", re.DOTALL)  # what is in code is none
ELSEWHERE = re.compile(r"[a-z]+:|/")
STEP = "— "
PAGES = ("*.md", "*/README.md", "docs/*.md", "experiments/broken/*.md")
INDEX = "results/README.md"


@dataclass(frozen=True)
class Block:
    """A block of a page: the file that it quotes, the place in it, and what stands in the page now."""

    source: str
    place: str
    body: str

    def __str__(self) -> str:
        return f"{self.source}#{self.place}"


def blocks(text: str) -> list[Block]:
    """Return the blocks of a page."""
    return [Block(*found.groups()) for found in BLOCK.finditer(text)]


def filled(text: str, page: Path, root: Path) -> str:
    """Return the text of a page with every block as its source has it. Raises LabError."""
    if len(blocks(text)) != len(BEGINNING.findall(text)):
        raise LabError(f"{page.relative_to(root)}: a quote has no end, or no section after a #")
    return BLOCK.sub(lambda found: _block(found, page, root), text)


def _block(found: re.Match[str], page: Path, root: Path) -> str:
    """Return a block as its source has it, and as it is where the run was never made here, as in a hand-out."""
    block = Block(*found.groups())
    source = root / block.source
    if block.source.startswith("results/") and not source.parent.exists():
        return found[0]
    if not source.exists():
        raise LabError(f"{page.relative_to(root)} quotes {block.source}, which does not exist")
    said = source.read_text()
    try:
        body = handin.section(said, block.place) if source.suffix == ".md" else _steps(said.splitlines(), block.place)
    except LookupError as error:
        raise LabError(f"{page.relative_to(root)} quotes {block}, and {block.source} has {error.args[0]}") from None
    if source.suffix == ".md":
        body = LINK.sub(functools.partial(_link, page, source), body)
    return f"<!-- quote: {block} -->\n\n{body}\n\n<!-- end -->"


def _steps(lines: list[str], place: str) -> str:
    """Return a step of a log, or all from one step to another, as a block of text."""
    begin, _, end = place.partition(" … ")
    first = _step(lines, begin, 0)
    last = _step(lines, end, first + 1)
    kept = [line.rstrip() for line in lines[first:last]]
    return "\n".join(["```text", *"\n".join(kept).rstrip().splitlines(), "```"])


def _step(lines: list[str], words: str, start: int) -> int:
    """Return where the step that begins with these words is; without words the next one, or the end."""
    found = (n for n, line in enumerate(lines) if n >= start and line.startswith(STEP + words))
    n = next(found, None if words else len(lines))
    if n is None:
        raise LookupError(f"no step `{words}`")
    return n


def _link(page: Path, source: Path, found: re.Match[str]) -> str:
    """Return a link of a source as it must be written in the page."""
    target = found[2]
    if not target or ELSEWHERE.match(target):
        return found[0]
    path, mark, anchor = target.partition("#")
    there = source.parent / path if path else source
    return f"{found[1]}{Path(os.path.relpath(there, page.parent)).as_posix()}{mark}{anchor}"


def differences(root: Path) -> Iterator[tuple[Path, str, str]]:
    """Yield each page that is not up to date: its path, what it should say, and what differs. Raises LabError."""
    index = root / INDEX
    made = results_index.write(index.parent)
    if not index.exists() or index.read_text() != made:
        yield index, made, "the index of all runs"
    page, made = index.with_name(handin.NAME), handin.write(index.parent)
    if not page.exists() or page.read_text() != made:
        yield page, made, "the hand-in page"
    for page in pages(root):
        text = page.read_text()
        made = promises.filled(filled(text, page, root), page, root)
        if made != text:
            pairs = zip(blocks(text), blocks(made), strict=True)
            yield page, made, ", ".join(str(is_) for is_, should in pairs if is_ != should) or "the promises"


def pages(root: Path) -> list[Path]:
    """Return the pages that may quote."""
    return sorted({page for pattern in PAGES for page in root.glob(pattern)} - {root / INDEX})
