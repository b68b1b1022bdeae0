"""Text that comes from a clone, made harmless before a person sees it."""

import unicodedata

MAX = 400  # letters of a sentence
UNSEEN = ("Cc", "Cf", "Cs", "Co", "Cn", "Zl", "Zp")  # control, direction, halves of pairs, private, unassigned, breaks


def plain(text: str, limit: int = MAX) -> str:
    """Return a text in one line that a terminal, a table and a file can show: what is hidden is written as `\\x1b`."""
    text = text if len(text) <= limit else f"{text[: limit - 1]}…"
    return "".join(letter if letter.isprintable() or letter == " " else _escaped(letter) for letter in text)


def _escaped(letter: str) -> str:
    if 0xDC80 <= ord(letter) <= 0xDCFF:  # a byte of a path that is no UTF-8
        return f"\\x{ord(letter) - 0xDC00:02x}"
    return letter.encode("unicode_escape").decode() if unicodedata.category(letter) in UNSEEN else " "


def listed(names: list[str], most: int = 3) -> str:
    """Return the first of some names, and how many more there are."""
    more = len(names) - most
    return ", ".join(names[:most]) + (f" and {more:,} more" if more > 0 else "")
