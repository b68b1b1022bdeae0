"""Whether two runs are the same one: by what took equally long, to the microsecond, for clients and for services.

Independent runs of one experiment agree in 0.3 % at most, by chance. A copied run agrees in all, also one that was
moved in time; one whose figures were edited still agrees in those that were not.
"""

import json
from array import array
from collections import defaultdict
from collections.abc import Iterable
from dataclasses import dataclass
from zlib import crc32

from lab.analysis import latency
from lab.grading import raw
from lab.history.model import HISTORY, SAMPLES, STATE, Run
from lab.paths import PARTS, RESULTS

SAME = 0.05  # the share of operations from which two runs are said to be the same
FEWEST = 2  # operations that both have
US = "our own copy"
Print = tuple[array, array]  # of each operation its name, and what was measured, both as numbers
Printed = tuple[str, str, Print]  # where, which run, and its print


@dataclass(frozen=True)
class Pair:
    """Two places that have the same run: the share of its operations that took equally long in both."""

    folder: str
    one: str
    other: str
    share: float

    @property
    def measured(self) -> str:
        """The share in words."""
        return f"{self.share:.0%} of what was measured is equal, to the microsecond"


def print_of(run: Run, *, benchmark: bool) -> Print:
    """Return what shows whether a run is the same as another."""
    if benchmark:
        found = {crc32(b"%d" % n): crc32(json.dumps(line).encode()) for n, line in enumerate(run.events)}
    else:
        took = [(f"client {op.op}", op.ended - op.sent) for op in run.operations if op.ended is not None]
        took += [(f"order {order['user_id']}", latency.completion(run, order)) for order in run.held("order")]
        found = {crc32(name.encode()): round(1e6 * seconds) & 0xFFFFFFFF for name, seconds in took}
    keys = sorted(found)
    return array("I", keys), array("I", (found[key] for key in keys))


def of_ours() -> list[tuple[str, str, Print]]:
    """Return what shows whether a run is one of this repository's."""
    found = []
    for part in (*PARTS, "bench"):
        for folder in sorted((RESULTS / part).glob("*")):
            names = [name for name in (HISTORY, STATE, SAMPLES) if (folder / name).exists()]
            if names:
                run = raw.read({name: (folder / name).read_bytes() for name in names}, benchmark=part == "bench")
                found.append((US, f"results/{part}/{folder.name}", print_of(run, benchmark=part == "bench")))
    return found


def pairs(prints: Iterable[Printed]) -> list[Pair]:
    """Return the pairs of places whose runs are the same. The last place of all is `other`, never `one`."""
    by_folder: dict[str, list[tuple[str, Print]]] = defaultdict(list)
    for place, folder, print in prints:
        by_folder[folder].append((place, print))
    return [pair for folder, of in sorted(by_folder.items()) for pair in _pairs(folder, of)]


def _pairs(folder: str, of: list[tuple[str, Print]]) -> list[Pair]:
    import numpy as np  # here, as a process with its threads cannot be divided safely

    keys = np.unique(np.concatenate([np.frombuffer(keys, dtype=np.uint32) for _, (keys, _) in of]))
    table = np.full((len(of), len(keys)), -1, dtype=np.int64)
    for row, (_, (names, values)) in zip(table, of, strict=True):
        row[np.searchsorted(keys, np.frombuffer(names, dtype=np.uint32))] = np.frombuffer(values, dtype=np.uint32)
    found = []
    for n, (place, _) in enumerate(of):
        both = (table[n] >= 0) & (table[n + 1 :] >= 0)
        same = ((table[n] == table[n + 1 :]) & both).sum(axis=1)
        for (other, _), count, common in zip(of[n + 1 :], same, both.sum(axis=1), strict=True):
            if common >= FEWEST and count >= SAME * common:
                found.append(Pair(folder, place, other, float(count / common)))
    return found
