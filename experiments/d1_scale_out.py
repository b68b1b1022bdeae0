"""D1: what we expect of more replicas, and in Part A of more threads."""

from lab.checker.predictions import Run, at_most, equals

PARTITIONS = 6
REPLICAS = {"async-rabbitmq": (2, 4), "streaming-kafka": (2, 4, 6, 8)}  # of inventory, after one
THREADS = {"eight": 8, "sixteen": 16, "many": 32}  # of the order service in Part A
SHARE = 0.8  # of the time until the first replica may have nothing left


def predictions(run: Run):
    if run.part == "sync-rest":
        yield from by_threads(run)
    else:
        yield from by_replicas(run)
    text = "Orders whose steps are not in their order: placed, reserved, notified"
    yield equals("d1-in-order", text, run.misordered, 0, unit="orders")
    yield equals("d1-nothing-twice", "Orders that were done twice", run.duplicated, 0, unit="orders")


def by_threads(run: Run):
    delay = run.fault("inventory", "delay").value
    for name, threads in THREADS.items():
        text = f"{threads} threads: threads ÷ delay"
        done = run.load(name).achieved
        yield equals(f"d1-threads-{threads}", text, done, threads / delay, within="10%", unit="orders/s")


def by_replicas(run: Run):
    waiting, room = run.backlog("inventory"), "30%" if run.quick else "20%"
    first, delay = run.fault("inventory.1", "paused"), run.fault("inventory.1", "delay").value
    count = run.load("one").sent
    began = waiting.resumed(first.until)
    alone = count / (waiting.drained(began) - began)  # orders/s of one replica
    yield at_most("d1-one", "1 replica: at most 1 ÷ delay", alone, 1 / delay, unit="orders/s")
    for replicas in REPLICAS[run.part]:
        useful = replicas if replicas < PARTITIONS else PARTITIONS
        began = waiting.resumed(run.fault(f"inventory.{replicas}", "paused").until)  # the last of them goes on
        shares = (
            PARTITIONS if run.part == "streaming-kafka" else replicas
        )  # of the orders; one is done before the others
        done = waiting.rate(began, began + SHARE * count / shares / alone)
        text = f"{replicas} replicas: {useful} × what one does"
        yield equals(f"d1-replicas-{replicas}", text, done, useful * alone, within=room, unit="orders/s")
