"""A4: what we expect after a time-out."""

from lab.checker.predictions import Run, at_least, at_most, equals

SLACK = 0.25  # s, added to the time-out for the answer


def predictions(run: Run):
    slow, lost, crash, killed = (run.load(name) for name in ("too_slow", "lost", "crash", "killed"))
    timeout = run.fault("order", "timeout").value
    text = "Every order that waits longer than the time-out is answered 504"
    yield equals("a4-slow-is-504", text, slow.share("504"), 1, unit="%")
    text = f"The 504 comes after the time-out of {timeout:g} s (p50)"
    yield equals("a4-at-the-time-out", text, slow.error_latency("504", 0.5), timeout, within="5%", unit="s")
    yield at_most(
        "a4-no-later", "The 504 comes no later (max)", slow.error_latency("504", 1), timeout + SLACK, unit="s"
    )
    text = "Each of these orders is notified or failed in the end"
    ended = slow.ended_as("failed") + slow.ended_as("notified")
    yield equals("a4-slow-ends", text, ended, slow.sent, unit="orders")
    text = "Orders that inventory did not answer get 504, too"
    yield equals("a4-swallowed-is-504", text, lost.share("504"), 1, unit="%")
    yield equals(
        "a4-swallowed-fails", "All of these orders fail in the end", lost.ended_as("failed"), lost.sent, unit="orders"
    )
    text = "A reservation made just before a crash is found, and the order is completed"
    yield equals("a4-crash-completed", text, crash.ended_as("notified"), crash.sent, unit="orders")
    yield at_least(
        "a4-crash-was-504", "The client of the crashed request got 504", crash.count("504"), 1, unit="orders"
    )
    text = "Orders still open at the end, after the order service was killed and started again"
    still_open = sum(killed.ended_as(status) for status in ("placed", "unknown", "reserved"))
    yield equals("a4-none-open", text, still_open, 0, unit="orders")
    yield at_least(
        "a4-connections-lost",
        "Clients that lost their connection when the order service was killed",
        killed.count("reset"),
        1,
        unit="orders",
    )
