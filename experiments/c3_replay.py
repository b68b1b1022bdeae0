"""C3: what we expect of a replay."""

from lab.checker.predictions import Run, at_least, equals


def predictions(run: Run):
    warm, mixed, report = run.load("warm"), run.load("mixed"), run.report("after replay")
    text, changed = (
        "Figures that a replay from the beginning changes",
        run.report_differences("before replay", "after replay"),
    )
    yield equals("c3-replay-changes-nothing", text, changed, 0, unit="figures")
    text = "Figures that an independent count of the log has otherwise"
    yield equals("c3-counted-apart", text, run.report_differences("before replay", "counted apart"), 0, unit="figures")
    seen, failed = report["totalOrdersSeen"], report["inventoryFailed"]
    yield equals("c3-orders-counted", "Orders that analytics saw", seen, warm.ok + mixed.ok, unit="orders")
    yield equals("c3-failures-counted", "Failures that analytics saw", failed, mixed.ended_as("failed"), unit="orders")
    clock, chance, seeded = (
        run.report_differences(f"{way}, first", f"{way}, second") for way in ("wall clock", "unseeded", "seeded")
    )
    text = "Counted twice by wall-clock time: figures that differ"
    yield at_least("c3-wall-clock-differs", text, clock, 1, unit="figures")
    text = "Counted twice, 30 % lost at random without a seed: figures that differ"
    yield at_least("c3-unseeded-differs", text, chance, 1, unit="figures")
    text = "Counted twice, 30 % lost at random with a seed: figures that differ"
    yield equals("c3-seeded-is-the-same", text, seeded, 0, unit="figures")
