"""What the benchmarks share: the samples that they take, and how they wait for orders that are done later."""

import contextlib
import time
from collections.abc import Callable, Collection, Iterator, Mapping
from datetime import datetime
from typing import Any

import psutil
from campus.orders import MENU
from lab import client
from lab.analysis import latency
from lab.errors import LabError
from lab.history import model as history
from lab.history.machine import Others
from lab.load import generator
from lab.paths import ROOT
from lab.runtime import lifecycle, local
from lab.services import Service, services_of

from benchmarks import baselines, raw_client

SETTLE_SECONDS = 120.0
Services = Mapping[str, Service]
Sample = dict[str, Any]


class Bench:
    """One run of a benchmark: it measures a part beside its baselines, and keeps the samples."""

    def __init__(self, part: str, quick: bool, say: Callable[[str], None]) -> None:
        self.part, self.quick, self.say = part, quick, say
        self.samples: list[Sample] = []
        self.ports: dict[str, int] = {}  # of the order services of the part and its baselines, while they are up
        self._round: Sample = {}
        self._others = Others()

    def add(self, what: str, name: str = "service", /, **values: Any) -> None:
        """Keep a sample of this round."""
        self.samples.append({"what": what, "name": name, **self._round, **values})

    def rounds(self, count: int, what: str) -> Iterator[int]:
        """Yield the numbers of the rounds. After each one, look what other processes used meanwhile."""
        for n in range(count):
            self.say(f"{what}, round {n + 1} of {count}")
            self._round = {"round": n}
            yield n
            self._round = {}
            self.look(f"{what}, round {n + 1}")

    def look(self, when: str) -> None:
        """Keep a sample of the cores that other processes used since the last look."""
        cores, by_name = self._others.look()
        self.add("others", when, cores=cores, busiest=by_name)

    @contextlib.contextmanager
    def up(self, *names: str) -> Iterator[dict[str, Service]]:
        """Start the part and these baselines; yield the part's services; stop them all. Raises LabError."""
        runtime, services = local.LocalRuntime(), services_of(self.part)
        with contextlib.ExitStack() as stack:
            stack.callback(lifecycle.down, runtime, self.part)
            lifecycle.up(runtime, self.part, fresh=True, say=self.say)
            stack.callback(client.hang_up)
            self.ports = {"service": services["order"].port}
            for name in names:
                self.ports[name] = stack.enter_context(baselines.running(name, self.part))
            for sku in MENU:  # there must be enough, however fast the clients are
                client.call("POST", f"{services['inventory'].url}/stock", json={"sku": sku, "add": 100_000_000})
            self._others.look()
            yield services

    def closed(self, name: str, port: int, clients: int, seconds: float, *, wanted: int = 201) -> None:
        """Keep the rate and the latencies of a closed loop; an answer with another status than `wanted` is bad."""
        sample = raw_client.drive(port, clients, seconds, wanted=wanted)
        self.add("closed", name, clients=clients, rate=sample.rate, bad=sample.bad, **latency.figures(sample.latencies))

    def accept(self, services: Services, count: int, consumers: Collection[str], rest: Callable[[], None]) -> None:
        """Let the order service and the same app alone accept orders in turns; `rest` waits until the former rests.

        These consumers are paused, so that no service works on what was accepted.
        """
        since = mark(services)
        with paused(services, consumers):
            self.warm_up()
            for _ in self.rounds(count, "accepting"):
                for clients in (1, 8, 16):
                    for name, port in self.ports.items():
                        self.closed(name, port, clients, 1.0, wanted=202)
                        rest()
        settle(services, since)

    def warm_up(self) -> None:
        """Let first requests load code and open connections."""
        for port in self.ports.values():
            raw_client.drive(port, 8, 1.0)

    def completion(self, services: Services) -> None:
        """Keep how long orders took until they were notified, at 100 orders/s, and how long until accepted."""
        since = settled_mark(services)
        accepted = open_loop(services["order"].port, 3.0 if self.quick else 6.0)
        settle(services, since)
        orders = client.each_row(f"{services['order'].url}/orders", "orders", since)
        done = [order["timeline"] for order in orders if order["status"] == "notified"]
        times = latency.figures(seconds([timeline[0]["at"], timeline[-1]["at"]]) for timeline in done)
        accept = {f"accept_{q}": accepted[q] for q in ("p50", "p95", "p99", "max")}
        self.add("completion", sent=accepted["sent"], notified=len(done), **times, **accept)

    def memory(self) -> None:
        """Keep the resident memory of each of the part's services with its gunicorn."""
        for service in services_of(self.part).values():
            if not service.is_broker:
                leader = psutil.Process(local.LocalRuntime().pid(service))
                family = [leader, *leader.children(recursive=True)]
                self.add("memory", service.name, mib=sum(process.memory_info().rss for process in family) / 2**20)

    def costs(self, *words: str) -> None:
        """Keep where the processor time goes, measured in one process by the part's own script."""
        self.say("where the time goes, piece by piece")
        script = str(ROOT / self.part / "tests" / "cost_by_part.py")
        try:
            for line in baselines.printed([script, *words], "costs.jsonl", self.part, {}):
                self.add("cost", line["part"], us=line["us"])
        except LabError as error:  # all else is measured, and this decides no goal
            self.say(f"{error}: {error.hint}; the report is made without it")


def open_loop(port: int, seconds: float) -> Sample:
    """Return the figures of 100 orders/s in an open loop."""
    plan = generator.Plan("bench", rate=100.0, seconds=seconds)
    lines, began, until = generator.run(plan, f"http://127.0.0.1:{port}", generator.monotonic_since(time.monotonic()))
    phase = {"at": began, "type": "phase", "phase": "bench", "params": plan.params(), "until": until}
    done = latency.of_phases(history.Run({}, [phase, *lines]))["bench"]
    return {key: done[key] for key in ("sent", "ok", "p50", "p95", "p99", "max", "late", "lateness_p99")}


def mark(services: Services) -> str:
    """Place an order and return its id: the orders of later sort after it."""
    order = {"user_id": "mark", "items": [{"sku": "taco", "qty": 1}]}
    return client.call("POST", f"{services['order'].url}/order", json=order).json()["order_id"]


def settled_mark(services: Services) -> str:
    """Return a mark that is itself in a final state."""
    path = f"{services['order'].url}/orders/{(placed := mark(services))}"
    wait("an order stays unfinished", lambda: client.call("GET", path).json()["status"] in ("notified", "failed"))
    return placed


def settle(services: Services, since: str) -> None:
    """Wait until every order since that mark is in a final state. Looks at those only: the service is measured."""
    url = f"{services['order'].url}/orders?limit=1&after={since}&status="
    unfinished = ("placed", "reserved")  # in this order: one that moves on between the two questions is seen by one
    wait("orders stay unfinished", lambda: not any(client.call("GET", url + s).json()["orders"] for s in unfinished))


def wait(trouble: str, done: Callable[[], bool], *, every: float = 0.2) -> None:
    """Wait until something is done. Raises LabError."""
    deadline = time.monotonic() + SETTLE_SECONDS
    while not done():
        if time.monotonic() > deadline:
            raise LabError(f"{trouble} after {SETTLE_SECONDS:.0f} s", "./lab logs order")
        time.sleep(every)


def done(service: Service) -> float:
    """Return how many messages a consumer has handled since it was started; 0 while there is no answer."""
    return client.metric(service.url, "messages_total", outcome="done") or 0.0


@contextlib.contextmanager
def paused(services: Services, names: Collection[str]) -> Iterator[None]:
    """Let these services consume nothing until the end of the block."""
    for name in names:
        client.call("POST", f"{services[name].url}/configure", json={"paused": True})
    time.sleep(0.5)  # a consumer that is just waiting for a message would still take one
    yield
    for name in names:
        resume(services[name])


def resume(service: Service) -> None:
    """Let a service consume again."""
    client.call("POST", f"{service.url}/configure", json={"paused": False})


def seconds(times: list[str]) -> float:
    """Return the time from the earliest to the latest."""
    at = sorted(datetime.fromisoformat(time) for time in times)
    return (at[-1] - at[0]).total_seconds() if at else 0.0
