"""What a prediction may ask of one size of an experiment about growth. Times are in seconds, memory is in MiB."""

from typing import Any

from lab.checker.figure import attribute, figure
from lab.checker.parts import Recorded, View


class Size(View):
    """So many orders, sent after smaller numbers of them."""

    def __init__(self, run: Recorded, orders: int) -> None:
        super().__init__(run, f"Size({orders}).")
        self._orders = orders

    ok = attribute(lambda self: self._found["ok"])  # orders that were accepted
    seconds = attribute(lambda self: self._found["seconds"] / self._orders)  # an order, until nothing was left to do
    processor = attribute(
        lambda self: sum(self._found["processor"].values()) / self._orders
    )  # of all services, an order
    store = attribute(lambda self: sum(self._found["store"].values()) / self._found["total"])  # MiB, an order so far
    page = attribute(lambda self: self._found["page"])  # 95 % of the pages of orders came within
    status = attribute(lambda self: self._found["status"])  # 95 % of the pages of orders in one state
    work = attribute(lambda self: self._found["work"])  # processor time of the order service for one of these pages
    settling = attribute(lambda self: self._found["settling"])  # to see that nothing is left to do

    @figure
    def memory(self, service: str) -> float:
        """Return the memory of a service after it, in MiB."""
        return self._found["memory"][service]

    @property
    def _found(self) -> dict[str, Any]:
        return {e["orders"]: e for e in self.raw.of_type("grown")}[self._orders]
