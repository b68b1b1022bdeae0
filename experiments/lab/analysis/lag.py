"""The lag of consumer groups over time, from the samples of a run. A sample stands until the next of its partition."""

from bisect import bisect_right
from collections import defaultdict
from typing import Any

from lab.history.model import Run

Partition = tuple[str, int]  # (topic, number)


def groups(run: Run) -> list[str]:
    """Return the groups that were watched, in order of their names."""
    return sorted({e["group"] for e in run.of_type("lag")})


def rows(run: Run) -> list[dict[str, Any]]:
    """Return the lag at each sample: `{"at": …, "analytics-consumer-group": 7, "analytics-consumer-group …": 3, …}`.

    A column is what a whole group has not read yet, or what it has not read of one partition.
    """
    series = {group: LagSeries(run, group) for group in groups(run)}
    return [
        {"at": at}
        | {group: of.at(at) for group, of in series.items()}
        | {name_of(group, each): of.of(each, at) for group, of in series.items() for each in of.partitions}
        for at in sorted({e["at"] for e in run.of_type("lag")})
    ]


def name_of(group: str, partition: Partition) -> str:
    """Return what the column of one partition is called: `inventory-consumer-group order-events[0]`."""
    return f"{group} {partition[0]}[{partition[1]}]"


class LagSeries:
    """What one group had not read yet, of each partition, at any time of a run."""

    def __init__(self, run: Run, group: str) -> None:
        self.group = group
        self._seen: dict[Partition, list[tuple[float, int]]] = defaultdict(list)
        for e in run.of_type("lag"):
            if e["group"] == group:
                self._seen[e["topic"], e["partition"]].append((e["at"], e["lag"]))

    @property
    def partitions(self) -> list[Partition]:
        """The partitions that the group reads."""
        return sorted(self._seen)

    @property
    def times(self) -> list[float]:
        """When there was a sample of any of them."""
        return sorted({at for samples in self._seen.values() for at, _ in samples})

    def of(self, partition: Partition, second: float) -> int:
        """Return the lag of one partition then; 0 before the first sample."""
        samples = self._seen[partition]
        place = bisect_right(samples, (second, float("inf")))
        return samples[place - 1][1] if place else 0

    def at(self, second: float) -> int:
        """Return the lag of all partitions together then."""
        return sum(self.of(partition, second) for partition in self._seen)

    def of_partition(self, number: int, second: float) -> int:
        """Return the lag of this partition of the topics then."""
        return sum(self.of(partition, second) for partition in self._seen if partition[1] == number)

    def highest(self) -> tuple[int, float]:
        """Return the largest lag of all partitions together, and when it was."""
        return max(((self.at(at), at) for at in self.times), key=lambda sample: sample[0], default=(0, 0.0))

    def peak(self) -> int:
        """Return the largest lag."""
        return self.highest()[0]

    def growth(self, since: float, until: float) -> float:
        """Return by how many records a second it grew."""
        return (self.at(until) - self.at(since)) / (until - since)
