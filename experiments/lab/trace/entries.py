"""One line of a trace: something that travels between two lanes, or happens in one."""

from dataclasses import dataclass

CLIENT = "client"


@dataclass(frozen=True, slots=True)
class Entry:
    """One line. With a `target` something travels to it from `source`; else it happens in `source`.

    `kind` is call, reply, message, delivery, confirm, ack, commit, crash, still, fault or note. What travels and does
    not arrive is `lost`. `about` holds the ids that the entry is about, where it is known.
    """

    at: float
    depth: int  # how many frames stand still below this
    kind: str
    source: str
    target: str | None
    text: str
    about: str = ""
    lost: bool = False
    again: bool = False  # a redelivery or a repetition

    def line(self) -> str:
        """Return it as text."""
        arrow = f" {'-x' if self.lost else '->'} {self.target}" if self.target else ""
        again = " (again)" if self.again else ""
        return f"{self.at:8.2f} {'  ' * self.depth}{self.source}{arrow}: {self.kind} {self.text}{again}".rstrip()
