"""What happened in a run, in order: the same for two runs of one schedule. Diagrams are made from it."""

from collections.abc import Iterator

from lab.trace.entries import CLIENT, Entry

__all__ = ["CLIENT", "Trace"]

SIDE_WORK = ("lease", "pruning", "start")  # their commits concern no order


class Trace:
    """The entries of one run."""

    def __init__(self) -> None:
        self.entries: list[Entry] = []
        self.now, self.depth = 0.0, 0

    def add(
        self,
        kind: str,
        source: str,
        text: str = "",
        *,
        to: str | None = None,
        about: str = "",
        lost: bool = False,
        again: bool = False,
    ) -> None:
        """Write one down, at the time and depth of now."""
        self.entries.append(Entry(self.now, self.depth, kind, source, to, text, about, lost, again))

    def lines(self) -> Iterator[str]:
        """Yield each as text."""
        return (entry.line() for entry in self.entries)
