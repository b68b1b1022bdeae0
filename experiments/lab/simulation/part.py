"""What a part brings to its simulation: the broker or network that its services talk to, and the faults of that.

`core.Simulation` knows processes, time, databases, clients and the common faults. It knows no transport. A module such
as `simulation/rabbitmq/part.py` holds a class with the members below and puts its own things in place of the lowest
layer that the services use: pika's connection and channel, kafka-python's clients, the HTTP adapter.

Rules that keep a run the same for the same schedule, and each schedule worth its time:

- No thread, no real wait, no random number, no set that is iterated. Time is `sim.clock.monotonic()`.
- Wherever a process could die, or another process could act in between, call `sim.effect("publish:before")`. That call
  may raise `Crash`, which nothing may catch, or perform further actions before it returns. So after it, look again at
  what may have changed meanwhile, such as whether the connection is still open.
- Code of a service runs only inside `sim.run(process, doing, function)`; what a library's own thread would do for a
  process, a callback for instance, too.
- `sim.trace.add(...)` tells what travels between two lanes; a diagram is made from that.
"""

from collections.abc import Mapping, Sequence
from typing import Any, Protocol

from lab.simulation.process import Process

# One thing that happens: `["order", "burger", 2]`, `["crash", "inventory", "commit:after"]`. It is JSON.
Action = list[Any]


class SimulatedPart(Protocol):
    """The transport of one part. One object serves many runs: `begin` makes everything new."""

    name: str  # as its folder: "async-rabbitmq"
    apps: Mapping[str, str]  # process → module with create_app: {"order": "order_service.app"}, "inventory-2" a replica
    replicas: Mapping[str, str]  # processes that may run beside those of `apps`, on the same database: "inventory-2"
    broker: str | None  # the lane of the broker in diagrams
    effects: Sequence[str]  # names of the effects at which a process may crash or stand still, beside the common ones
    words: Mapping[str, str]  # kind → a sentence about such an action, with {0} for its first value: "{0} is back."
    actions: Mapping[str, Sequence[Action]]  # kind → the actions of that kind, beside the common ones, simplest first

    scouts: Sequence[list[Action]]  # schedules that pass what is passed rarely: played first

    def patch(self) -> None:
        """Put the simulated things in place of the library's, once, before any service is made."""

    def env(self, process: str) -> dict[str, str]:
        """Return the environment of a process, beside its database and its initial stock."""
        ...

    def begin(self, sim: Any) -> None:
        """Begin a run of this `core.Simulation`: nothing is connected, and no message is on its way."""

    def started(self, process: Process) -> None:
        """Connect the clients of a process whose app was made: `process.parts` are the parts of its service."""

    def died(self, process: Process) -> None:
        """Do what the operating system and the broker do when a process is gone: close its connections."""

    def tick(self) -> None:
        """Do what is due by the clock: messages that waited long enough, sessions that ended, late requests."""

    def receive(self, process: Process) -> None:
        """Do what the threads of the client library would do for this process now, inside `sim.run`."""

    def perform(self, action: Action) -> None:
        """Do an action of this part's own kinds."""

    def heal(self) -> None:
        """End all faults of the transport."""

    def waits_for(self) -> str | None:
        """Return what is still on its way after healing, as "2 messages in order-placed"; None if nothing is."""
        ...

    def state(self) -> list[dict[str, Any]]:
        """Return what the broker holds at the end, in the shape of `lab.history.model`: dead letters, reports."""
        ...

    def promises(self) -> list[tuple[str, str]]:
        """Return broken promises that the checker does not see: `[("poison", "… was not dead-lettered")]`."""
        ...
