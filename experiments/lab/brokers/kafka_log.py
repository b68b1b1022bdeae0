"""What Kafka's own log says of a fault that it does not get over by itself."""

_LOST = "is out of sync with the underlying log"  # of a group coordinator, again and again
_STARTED = "Performing controller activation"


def fault(log: str) -> str | None:
    """Return what is wrong with the groups since Kafka's last start, and what cures it; None when nothing is."""
    if _LOST not in log.rpartition(_STARTED)[2]:
        return None
    return (
        "Kafka's consumer groups do not work: its log says 'out of sync' (a fault of Kafka's after it was killed). "
        "Stop it in good order and start it: ./lab stop kafka && ./lab start kafka"
    )
