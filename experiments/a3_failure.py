"""A3: what we expect of an inventory that fails."""

from lab.checker.predictions import Run, at_most, equals

RATE = 0.3  # failure_rate of the load some_fail, as in a3_failure.sh


def predictions(run: Run):
    warm, healthy, all_fail, some_fail = (run.load(name) for name in ("warm", "healthy", "all_fail", "some_fail"))
    quick = all_fail.error_latency("502", 0.5) / healthy.percentile(0.5)
    yield equals("a3-all-fail", "With failure_rate 1 every order is answered 502", all_fail.share("502"), 1, unit="%")
    yield at_most(
        "a3-fails-quickly", "A failure takes no longer than a success: ratio of p50", quick, 1.5, unit="times"
    )
    text, room = "With failure_rate 0.3 three of ten orders are answered 502", 0.16 if run.quick else 0.08
    yield equals("a3-some-fail", text, some_fail.share("502"), RATE, within=room, unit="%")
    yield equals(
        "a3-others-done", "The other orders are notified", some_fail.ok, some_fail.ended_as("notified"), unit="orders"
    )
    text = "Reservations that hold stock at the end: one for each order that was done"
    done = warm.ok + healthy.ok + some_fail.ok
    yield equals("a3-nothing-left", text, run.reservations("reserved"), done, unit="orders")
