"""Text that comes from a clone, made harmless before a person sees it, and where it differs from ours."""

from itertools import zip_longest

MAX, SHOWN = 400, 100  # letters of a sentence, and of a line that differs


def plain(text: str, limit: int = MAX) -> str:
    """Return a text in one line that a terminal, a table and a file can show: what is hidden is written as `\\x1b`."""
    text = text if len(text) <= limit else f"{text[: limit - 1]}…"
    return "".join(letter if letter.isprintable() else letter.encode("unicode_escape").decode() for letter in text)


def listed(names: list[str], most: int = 3) -> str:
    """Return the first of some names, and how many more there are."""
    more = len(names) - most
    return ", ".join(names[:most]) + (f" and {more:,} more" if more > 0 else "")


def differs(name: str, was: bytes | None, made: bytes | None) -> str:
    """Return in a sentence how a file differs from what is made of the raw files; nothing if it does not."""
    if was is None:
        return f"{name} is missing"
    if made is None:
        return f"{name} is not made from the raw files"
    if was == made:
        return ""
    pairs = zip_longest(*(content.decode(errors="replace").split("\n") for content in (was, made)))
    for n, (is_, should) in enumerate(pairs, start=1):
        if is_ != should:
            return f"{name} line {n} is `{_cut(is_, should)}`, and the raw files give `{_cut(should, is_)}`"
    return f"{name} has bytes that are no text"


def _cut(line: str | None, other: str | None) -> str:
    """Return a line, without what comes long before its difference to the other."""
    if line is None:
        return "the end"
    same = next((n for n, (a, b) in enumerate(zip(line, other or "", strict=False)) if a != b), 0)
    start = max(0, same - SHOWN // 2)
    cut = line[start : start + SHOWN].strip()
    return f"{'…' if start else ''}{cut}{'…' if start + SHOWN < len(line) else ''}"
