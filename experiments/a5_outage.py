"""A5: what we expect while a service is down."""

from lab.checker.predictions import Run, at_least, at_most, equals

LOADING = 1.5  # s: a service listens before it has loaded, so the first order waits for it instead of being refused


def predictions(run: Run):
    refused, pending = run.load("no_inventory"), run.load("no_notification")
    outage, silence = run.fault("inventory", "killed"), run.fault("notification", "killed")
    rate, seconds = refused.params["rate"], refused.params["seconds"]
    down = seconds - (3 if run.quick else 10)  # s: the load also runs before and after the outage, as in a5_outage.sh
    text = "Orders refused while inventory is down: at least rate × planned outage"
    yield at_least("a5-refused-at-least", text, refused.count("503"), 0.95 * rate * down, unit="orders")
    text = "Orders refused while inventory is down: at most rate × the time until inventory is ready again"
    yield at_most("a5-refused-at-most", text, refused.count("503"), rate * outage.duration + 1, unit="orders")
    yield at_most("a5-refusal-is-quick", "A refusal is quick (p50)", refused.error_latency("503", 0.5), 0.02, unit="s")
    text = "Orders refused although they were sent after inventory was seen ready again"
    yield equals("a5-none-refused-after", text, refused.refused_after(outage.until), 0, unit="orders")
    text = "Time from the last refused order to the first order that is done: two orders, and a service to load"
    gap = refused.first_ok(outage.since) - refused.last_refused()
    yield at_most("a5-works-again", text, gap, 2 / rate + LOADING, unit="s")
    text = "Orders not accepted while notification is down"
    yield at_most("a5-accepted-all-the-same", text, pending.not_accepted, 1, unit="orders")
    text = "Time from notification's return to the last pending notification"
    yield at_most("a5-owed-are-sent", text, pending.last_notified(silence.until) - silence.until, 5, unit="s")
    text = "Accepted orders whose student was notified in the end"
    yield equals("a5-all-notified", text, pending.ended_as("notified"), pending.ok, unit="orders")
