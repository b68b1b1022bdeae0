"""The services of a part as real processes, and what every client does with them."""

from testing import Service, wait_until

SECONDS = 60.0  # that a service may take until it is ready, and an order until it is final


class Services:
    """The services of a part, in the order in which they are started; orders go to `order`."""

    order: Service
    services: tuple[Service, ...]

    def down(self) -> None:
        """Kill what runs."""
        for service in self.services:
            service.kill()

    def up(self) -> None:
        """Start what does not run, and take every fault away."""
        for service in self.services:
            if not service.runs:
                service.start()
        for service in self.services:
            wait_until(service.ready, SECONDS)
            service.call("DELETE", "/configure")

    def look(self, order_id: str) -> dict:
        """Return an order as the order service shows it."""
        return self.order.call("GET", f"/orders/{order_id}").json()

    def becomes(self, order_id: str, status: str) -> dict:
        """Wait until the order is in its final state, which must be this one, and return it."""
        last: dict = {}

        def is_final() -> bool:
            last.update(self.look(order_id))
            return last["status"] in ("notified", "failed")

        try:
            wait_until(is_final, SECONDS)
        except AssertionError:
            logs = [f"the last lines of {service.name}:\n{service.last_lines()}" for service in self.services]
            raise AssertionError("\n".join([f"not final in {SECONDS:g} s: {last}", *logs])) from None
        assert last["status"] == status
        return last
