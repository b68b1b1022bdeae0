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

_COMMITS = ("commit:before", "commit:after", "poll:before", "poll:after", "join:after")
_OFFSETS = ("offsets:before", "offsets:after")
_WORKER = tuple(effect for effect in EFFECTS if effect not in _OFFSETS)
# Where each process can crash: analytics writes no records, and the order service no transactions.
CRASHES = {
    "order": (*_COMMITS, *_OFFSETS, "produce:before", "produce:after"),
    "inventory": (*_COMMITS[:2], *_WORKER),
    "notification": (*_COMMITS[:2], *_WORKER),
    "analytics": (*_COMMITS, *_OFFSETS),
    "inventory-2": _WORKER,
}

ACTIONS: Mapping[str, Sequence[Action]] = {
    "crash": [["crash", name, effect] for name, effects in CRASHES.items() for effect in effects],
    "crash while working": [["crash", name, effect] for name in ("inventory", "notification") for effect in _WORKER],
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
    # A request stands still with an order that is stored and not published.
    "late": [["hold", "order", effect, n, 12.0] for effect in ("commit:after", "produce:before") for n in (1, 3)],
}
