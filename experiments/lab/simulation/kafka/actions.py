"""The processes of Part C, the effects at which they may crash, and the faults that are drawn for them."""

from collections.abc import Mapping, Sequence

from lab.simulation.part import Action

SERVICES = {
    "order": "producer_order.app",
    "inventory": "inventory_consumer.app",
    "notification": "notification_consumer.app",
    "analytics": "analytics_consumer.app",
}
REPLICAS = ("order-2", "inventory-2")  # they are started by an action only
PROCESSES = (*SERVICES, *REPLICAS)
CUTS = ("produce:before", "produce:after", "offsets:after", "transaction-offsets:after", "transaction:after")
EFFECTS = ("poll:before", "poll:after", "join:after", "epoch:before", "epoch:after", "produce:before", "produce:after",
           "offsets:before", "offsets:after", "transaction-offsets:before", "transaction-offsets:after",
           "transaction:before", "transaction:after")  # fmt: skip

_WORKER = ("commit:before", "commit:after", *(effect for effect in EFFECTS if not effect.startswith("offsets")))

ACTIONS: Mapping[str, Sequence[Action]] = {
    "crash while working": [
        ["crash", name, effect] for name in ("inventory", "notification", "inventory-2") for effect in _WORKER
    ],
    "broker": [["broker", True], ["broker", False]],
    "cut": [["cut", name, effect, seconds] for name in PROCESSES for effect in CUTS for seconds in (1.0, 6.0, 20.0)],
    "apart": [["apart", name, seconds] for name in PROCESSES for seconds in (1.0, 6.0, 20.0)],
    "double": [["double", n] for n in range(3)],
    "poison": [["poison"]],
    "evict": [["evict", name] for name in PROCESSES],
    "reset": [["reset"]],
    "replica": [["start", name] for name in REPLICAS],
    # It stands still for longer than its session, with work that is not published: then it is a zombie.
    "zombie": [["freeze", "inventory", effect, 1, 70.0] for effect in ("commit:after", "poll:after")],
    # Two requests under one key while Kafka is away: what the second one is told must stay true.
    "undecided": [["broker", False], ["step", "order"], ["twice", "burger", 1, "k3"]],
    # A request stands still with an order that is stored and not published.
    "late": [["hold", "order", effect, n, 12.0] for effect in ("commit:after", "produce:before") for n in (1, 3)],
}

_ONE: Action = ["order", "burger", 1]
SCOUTS: Sequence[list[Action]] = (
    [_ONE, ["run", 2.0], ["double", 0], ["run", 1.0], ["poison"], ["order", "caviar", 1], ["run", 2.0]],
    [["broker", False], _ONE, ["run", 16.0], ["broker", True], ["run", 4.0]],
    [["cut", "inventory", "produce:after", 6.0], ["cut", "notification", "produce:after", 6.0], _ONE, ["run", 16.0]],
    [["cut", "order", "offsets:after", 6.0], ["cut", "analytics", "offsets:after", 6.0], _ONE, ["run", 16.0]],
)
