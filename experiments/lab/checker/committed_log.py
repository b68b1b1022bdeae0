"""LOG-1: what a log must show, beside INV-1 to INV-8. Those look at the services, which all know what they did before.

A result that is in the log twice changes no service. So without transactions, without fencing, or without a memory of
the emitted events, INV-1 to INV-8 hold, and readers of the log are told twice.
"""

from collections import Counter
from collections.abc import Iterable

ID = "LOG-1"
SENTENCE = "Each result of an order appears once in the committed view of the log."


def repeated(results: Iterable[tuple[str, str]]) -> list[str]:
    """Return which results appear more than once; each is given as its topic and its order, once for each record."""
    counts = Counter(results)
    return [f"{topic} has {n} results of {order}" for (topic, order), n in sorted(counts.items()) if n > 1]
