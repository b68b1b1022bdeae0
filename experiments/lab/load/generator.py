"""The load generator: sends orders and records each one's outcome.

Open loop (the default): arrivals are scheduled beforehand, and an order's latency counts from when it was *meant* to
be sent. A server that stops answering does not stop students from ordering. Closed loop: each of `clients` sends its
next order when it has the answer to the last; it measures a frozen server once and then waits with it.
"""

import asyncio
import contextlib
import gc
import json
import random
import resource
import time
from collections.abc import Callable, Iterator
from dataclasses import asdict, dataclass, field
from typing import Any

import aiohttp

from lab.errors import LabError

# What a reply says of the order. Anything else (500, 504, no reply) leaves open whether it happened.
OK = frozenset({200, 201, 202})
DEFINITELY_NOT = frozenset({400, 404, 409, 413, 415, 422, 429, 502, 503})
MENU = ("burger", "fries", "pizza", "salad", "sandwich", "soda", "sushi", "taco")
MAX_WAITING = 4000
OTHER_FILES = 64  # those that the generator holds besides a connection for each order that waits


@dataclass(frozen=True)
class Plan:
    """A load: open loop with `rate` (orders/s) for `seconds`, closed loop with `clients` sending `count` in all, or
    bulk: `count` in one request (see `lab.load.bulk`)."""

    phase: str
    rate: float = 0.0
    seconds: float = 0.0
    clients: int = 0
    count: int = 0
    poisson: bool = False
    bulk: bool = False
    seed: int = 1
    timeout: float = 60.0
    item: str = ""  # what each order is about, as "burger=1"; drawn by the seed unless given
    path: str = "/order"

    @property
    def loop(self) -> str:
        """How orders follow each other: `open` (scheduled, whatever the server does), `closed` or `bulk`."""
        return "bulk" if self.bulk else "closed" if self.clients else "open"

    def check(self) -> None:
        """Raise LabError for parameters that do not belong together, as the options of `./lab load`."""
        if self.loop == "bulk" and (not self.count or self.rate or self.clients or self.seconds):
            raise LabError("a bulk load needs --count; it takes only --seed besides")
        if self.loop == "open" and not (self.rate and self.seconds):
            raise LabError("an open loop needs --rate and --seconds", "or a closed loop: --clients 8 --count 200")
        if self.loop == "closed" and (self.rate or not (self.count or self.seconds)):
            raise LabError("a closed loop needs --count or --seconds, and takes no --rate")
        sku, _, qty = self.item.partition("=")
        if self.item and not (sku and qty.isdecimal()):
            raise LabError(f"{self.item} is not SKU=QTY", "for example: --item burger=1")

    def params(self) -> dict[str, Any]:
        """Return what a reader needs to know of the load."""
        shape = {k: v for k, v in asdict(self).items() if v and k not in ("phase", "path", "bulk")}
        return {"loop": self.loop} | shape


def result_of(kind: str) -> str:
    """Return what a kind of answer says of an order: `ok`, `fail` (it did not happen) or `info` (unknown)."""
    status = int(kind) if kind.isdecimal() else None
    if status in OK:
        return "ok"
    return "fail" if status in DEFINITELY_NOT or kind in ("refused", "not sent") else "info"


@dataclass
class OperationRecorder:
    """Collects what happened, at the run's times."""

    phase: str
    now: Callable[[], float]
    lines: list[dict[str, Any]] = field(default_factory=list)
    waiting: int = 0

    def invoke(self, op: str, intended: float, items: list[dict[str, Any]]) -> None:
        """Note that an order is being sent."""
        self.waiting += 1
        self._add("invoke", op, phase=self.phase, intended=round(intended, 6), items=items)

    def end(self, op: str, kind: str, order_id: str | None) -> None:
        """Note what became of it."""
        self.waiting -= 1
        extra = {"order_id": order_id} if order_id else {}
        self._add(result_of(kind), op, kind=kind, **extra)

    def drop(self, op: str, intended: float) -> None:
        """Note an arrival that could not be sent, as too many were waiting."""
        self._add("dropped", op, phase=self.phase, intended=round(intended, 6))

    def _add(self, type_: str, op: str, **more: Any) -> None:
        self.lines.append({"at": round(self.now(), 6), "type": type_, "op": op, **more})


def run(plan: Plan, url: str, now: Callable[[], float]) -> tuple[list[dict[str, Any]], float, float]:
    """Drive the load and return (its lines for the history, when it began, when its last reply came)."""
    recorder = OperationRecorder(plan.phase, now)
    began = asyncio.run(_drive(plan, url + plan.path, recorder))
    return recorder.lines, began, now()


def max_waiting() -> int:
    """Return how many orders may wait for their answers: no more than this process may have open files."""
    files, _ = resource.getrlimit(resource.RLIMIT_NOFILE)
    return MAX_WAITING if files == resource.RLIM_INFINITY else max(1, min(MAX_WAITING, files - OTHER_FILES))


def arrivals(plan: Plan) -> list[float]:
    """Return when each order of an open loop is to be sent, in seconds from its beginning: the same for a seed."""
    if not plan.poisson:
        return [n / plan.rate for n in range(round(plan.rate * plan.seconds))]
    chance = random.Random(f"{plan.seed}:{plan.phase}:arrivals")
    times, at = [], chance.expovariate(plan.rate)
    while at < plan.seconds:
        times.append(at)
        at += chance.expovariate(plan.rate)
    return times


def orders(plan: Plan) -> Iterator[tuple[str, list[dict[str, Any]]]]:
    """Yield (operation, items) without end: the same for a seed."""
    chance = random.Random(f"{plan.seed}:{plan.phase}:orders")
    n = 0
    while True:
        skus = chance.sample(MENU, chance.choice((1, 1, 2, 3)))
        items = [{"sku": sku, "qty": chance.randint(1, 3)} for sku in sorted(skus)]
        sku, _, qty = plan.item.partition("=")
        yield f"{plan.phase}-{n:06d}", [{"sku": sku, "qty": int(qty)}] if sku else items
        n += 1


async def _drive(plan: Plan, url: str, recorder: OperationRecorder) -> float:
    connector = aiohttp.TCPConnector(limit=0, keepalive_timeout=30)
    timeout = aiohttp.ClientTimeout(total=plan.timeout)
    async with aiohttp.ClientSession(connector=connector, timeout=timeout, trust_env=False) as session:
        # Collections pause the generator for milliseconds; a load is short and its garbage has hardly any cycles.
        gc.collect()
        gc.freeze()
        gc.disable()
        try:
            drive = _open_loop if plan.loop == "open" else _closed_loop
            return await drive(plan, session, url, recorder)
        finally:
            gc.enable()
            gc.unfreeze()


async def _open_loop(plan: Plan, session: aiohttp.ClientSession, url: str, recorder: OperationRecorder) -> float:
    source, most = orders(plan), max_waiting()
    began = recorder.now() + 0.05
    async with asyncio.TaskGroup() as tasks:
        for offset in arrivals(plan):
            intended = began + offset
            op, items = next(source)
            # Also when it is behind: what was sent before must begin, to be counted among those that wait.
            await asyncio.sleep(max(0.0, intended - recorder.now()))
            if recorder.waiting >= most:
                recorder.drop(op, intended)
            else:
                tasks.create_task(send(session, url, recorder, op, items, intended))
    return began


async def _closed_loop(plan: Plan, session: aiohttp.ClientSession, url: str, recorder: OperationRecorder) -> float:
    source = orders(plan)
    began = recorder.now()
    left = plan.count or float("inf")
    until = began + plan.seconds if plan.seconds else float("inf")

    async def client() -> None:
        nonlocal left
        while left > 0 and recorder.now() < until:
            left -= 1
            op, items = next(source)
            await send(session, url, recorder, op, items, recorder.now())

    if plan.clients > max_waiting():
        raise LabError(
            f"{plan.clients} clients need more open files than this process may have",
            f"at most {max_waiting()} clients, or raise the limit first: ulimit -Hn 8192",
        )
    await asyncio.gather(*(client() for _ in range(plan.clients)))
    return began


async def send(
    session: aiohttp.ClientSession,
    url: str,
    recorder: OperationRecorder,
    op: str,
    items: list[dict[str, Any]],
    intended: float,
) -> None:
    body = json.dumps({"user_id": op, "items": items}).encode()
    recorder.invoke(op, intended, items)
    order_id = None
    try:
        async with session.post(url, data=body, headers={"Content-Type": "application/json"}) as reply:
            answer, kind = await reply.read(), str(reply.status)
            with contextlib.suppress(ValueError, AttributeError):  # an answer without an id
                order_id = json.loads(answer).get("order_id")
    except aiohttp.ClientConnectorError:
        kind = "refused"
    except TimeoutError:
        kind = "timeout"
    except (aiohttp.ClientError, OSError):
        kind = "reset"
    recorder.end(op, kind, order_id)


def monotonic_since(start: float) -> Callable[[], float]:
    """Return a clock that counts the seconds since `start` on time.monotonic."""
    return lambda: time.monotonic() - start
