"""Load from the page: one order, a steady rate until it is stopped, or many at once. All end with this process."""

import asyncio
import itertools
import threading
import time
from typing import Any

import aiohttp

from lab import client
from lab.errors import LabError
from lab.load import generator
from lab.services import Service, by_kind, services_of

MAX_RATE, MAX_AT_ONCE = 300, 20_000
TIMEOUT = 60.0


class Loads:
    """The loads that run now, each a task of one event loop in one thread."""

    def __init__(self) -> None:
        self._loop = asyncio.new_event_loop()
        self._tasks: dict[str, Any] = {}
        self._run = time.strftime("%H%M%S")
        self._numbers = itertools.count()
        self.rates: dict[str, float] = {}
        threading.Thread(target=self._loop.run_forever, name="load", daemon=True).start()

    def set_rate(self, part: str, rate: float) -> None:
        """Send so many orders a second to a part from now on; 0 stops. Raises LabError."""
        if not 0 <= rate <= MAX_RATE:
            raise LabError(f"the rate must be from 0 to {MAX_RATE} orders/s", "./lab load sends more")
        if (old := self._tasks.pop(part, None)) is not None:
            old.cancel()
        self.rates[part] = rate
        if rate:
            self._tasks[part] = asyncio.run_coroutine_threadsafe(self._steady(part, rate), self._loop)

    def order_one(self, part: str) -> dict[str, Any]:
        """Place one order and return the reply. Raises LabError."""
        body = {"user_id": f"live-{self._run}-{next(self._numbers)}", "items": [{"sku": "burger", "qty": 1}]}
        answer = client.call("POST", f"{by_kind(services_of(part))['order'].url}/order", json=body, timeout=TIMEOUT)
        return {"status": answer.status_code, "order_id": answer.json().get("order_id")}

    def at_once(self, part: str, count: int) -> None:
        """Send so many orders as fast as eight clients can. Raises LabError."""
        if not 0 < count <= MAX_AT_ONCE:
            raise LabError(f"at once go 1 to {MAX_AT_ONCE} orders", "./lab load --bulk sends more")
        asyncio.run_coroutine_threadsafe(self._many(part, count), self._loop)

    async def _steady(self, part: str, rate: float) -> None:
        """Open loop: an order is sent when it is due, whatever the service does."""
        began, recorder = time.monotonic(), generator.OperationRecorder("live", time.monotonic)
        async with _session() as session, asyncio.TaskGroup() as tasks:
            for n in itertools.count():
                await asyncio.sleep(max(0.0, began + n / rate - time.monotonic()))
                recorder.lines.clear()  # the services' own lists say what became of them
                if recorder.waiting < generator.MAX_WAITING:
                    tasks.create_task(self._send(session, order_url(part), recorder))

    async def _many(self, part: str, count: int) -> None:
        recorder = generator.OperationRecorder("live", time.monotonic)
        left = iter(range(count))

        async def one_client(session: aiohttp.ClientSession) -> None:
            for _ in left:
                await self._send(session, order_url(part), recorder)
                recorder.lines.clear()

        async with _session() as session:
            await asyncio.gather(*(one_client(session) for _ in range(8)))

    async def _send(self, session: aiohttp.ClientSession, url: str, recorder: generator.OperationRecorder) -> None:
        n = next(self._numbers)
        items = [{"sku": generator.MENU[n % len(generator.MENU)], "qty": 1 + n % 3}]
        await generator.send(session, url, recorder, f"live-{self._run}-{n}", items, 0.0)


_URLS: dict[str, str] = {}


def order_url(part: str) -> str:
    """Return where a part takes orders; its file is read once."""
    if part not in _URLS:
        order: Service = by_kind(services_of(part))["order"]
        _URLS[part] = f"{order.url}/order"
    return _URLS[part]


def _session() -> aiohttp.ClientSession:
    connector = aiohttp.TCPConnector(limit=0, keepalive_timeout=30)
    return aiohttp.ClientSession(connector=connector, timeout=aiohttp.ClientTimeout(total=TIMEOUT), trust_env=False)
