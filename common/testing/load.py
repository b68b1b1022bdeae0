"""Clients that order all the time, while something happens to what they order from."""

import contextlib
import threading
from abc import ABC, abstractmethod
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import Any

from testing import wait_until

CLIENTS, PAUSE = 4, 0.05  # seconds


class Load(ABC):
    """Some clients of the services of a chain. What goes wrong with one of them is raised at the end of the block."""

    def __init__(self, chain: Any) -> None:
        self.chain = chain
        self._ended = threading.Event()

    @abstractmethod
    def order(self) -> None:
        """Place one order, and remember what became of it."""

    @contextlib.contextmanager
    def going_on(self) -> Iterator[None]:
        """Let the clients order until the end of the block."""
        with ThreadPoolExecutor(CLIENTS) as pool:
            clients = [pool.submit(self._order) for _ in range(CLIENTS)]
            try:
                yield
            finally:
                self._ended.set()
            for client in clients:
                client.result()

    def _order(self) -> None:
        while not self._ended.wait(PAUSE):
            self.order()

    def all_are_ready(self) -> None:
        """Wait until all services say that they are well."""
        for service in self.chain.services:
            wait_until(service.ready, 60, what=f"{service.name} is ready")
