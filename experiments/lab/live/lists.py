"""The lists of a part's services, read as they grow: every row once, and only a few rows at a time.

A page is made and sent by a thread of the service, which meanwhile answers no order. So a look asks each list once, for
few rows; where there are more, it goes on with the list that is furthest behind, up to a limit. A look thus costs the
same whether the part has a hundred orders or a million.
"""

from collections import deque
from collections.abc import Iterable, Iterator
from datetime import datetime
from typing import Any

from lab import client
from lab.errors import LabError

ROWS, MORE_ROWS, MORE_PAGES = 100, 250, 10  # of the first page of each list, of each other page; other pages a look
STEPS_BACK = 100  # Part C takes an order out of its list again when Kafka has not acknowledged it
Row = dict[str, Any]


class Emptied(Exception):
    """The rows after which a list was to be read on are no longer there: the part was emptied."""


class GrowingList:
    """One list of a service, and how far it was read."""

    def __init__(self, url: str, name: str) -> None:
        self.name, self._url = name, f"{url}/{name}"
        self._last: deque[str] = deque(maxlen=STEPS_BACK)  # the orders of the last rows
        self.whole = False  # whether the last page was the end of the list
        self.read_at = 0.0  # when it answered last, in seconds since 1970
        self.known_until = 0.0  # every row of before this time was read

    def read(self, now: float, rows: int) -> list[Row]:
        """Return the next rows. Raises LabError when the service does not answer, and Emptied."""
        while (page := page_of(self._url, after=self._last[-1] if self._last else "", limit=rows)) is None:
            self._last.pop()  # this row is gone; the one before it may be there
            if not self._last:
                raise Emptied
        found = page[self.name]
        self._last.extend(row["order_id"] for row in found)
        self.read_at, self.whole = now, page["next"] is None
        self.known_until = now if self.whole or not found else written_at(found[-1])
        return found


def read_on(lists: Iterable[GrowingList], now: float) -> Iterator[tuple[str, Row]]:
    """Yield the new rows of several lists, each with the name of its list: at most so many that a look stays short.

    Raises LabError when a service does not answer, after the rows of the others; and Emptied.
    """
    trouble: LabError | None = None
    first, behind = [*lists], []
    for n in range(len(first) + MORE_PAGES):
        if n >= len(first) and not behind:
            break
        if n < len(first):
            each, rows = first[n], ROWS
        else:
            each, rows = min(behind, key=lambda of: of.known_until), MORE_ROWS
            behind.remove(each)
        try:
            found = each.read(now, rows)
        except LabError as error:
            trouble, each.whole = error, False
            continue
        if not each.whole:
            behind.append(each)
        yield from ((each.name, row) for row in found)
    if trouble:
        raise trouble


def page_of(url: str, *, after: str, limit: int) -> Row | None:
    """Return a page of a list; None when the order after which it begins is not there. Raises LabError."""
    answer = client.call("GET", url, params={"after": after, "limit": limit}, timeout=2.0)
    if answer.status_code == 400:
        return None
    if answer.status_code != 200:
        raise LabError(f"{url} answered {answer.status_code}")
    return answer.json()


def written_at(row: Row) -> float:
    """Return when a row of a list was written: an order is in its list from when it was placed."""
    return seconds(row["timeline"][0]["at"] if "timeline" in row else row["at"])


def seconds(utc: str) -> float:
    """Return a service's UTC time as seconds since 1970."""
    return datetime.fromisoformat(utc).timestamp()
