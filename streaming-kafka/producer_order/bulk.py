"""Many orders in one request: straight into the log, acknowledged one by one.

Unlike `POST /order` it writes nothing down itself: the orders appear in the order store as they are read from the log.
So one that Kafka did not acknowledge is not published again. It may be there all the same; its id says which.
"""

import itertools
from collections.abc import Iterator
from typing import Annotated, Any

from broker.producer import BrokerDown, Producer
from campus.events import Event, order_placed
from campus.orders import Item, Order, drawn
from campus.problems import Problem
from campus.schemas import OrderSchema, Schema, ShortOrderSchema, bad_request, check, read_order
from pydantic import Field, RootModel

MAX_ORDERS = 100_000

Wanted = tuple[str, list[Item]]
Count = Annotated[int, Field(strict=True, ge=1, le=MAX_ORDERS)]


class CountSchema(Schema):
    """`{"count": 10000, "seed": 7}`"""

    count: Count
    seed: Annotated[int, Field(strict=True, ge=0, le=2**31)] = 1


class OrderList(RootModel[list[OrderSchema | ShortOrderSchema]]):
    """Orders, each in either form of `POST /order`."""


class RepeatSchema(ShortOrderSchema):
    """`{"count": 10000, "item": "burger", "qty": 1}`: the short form of `POST /order`, so many times."""

    count: Count


# A list of orders is the third form: `read_order` checks each.
BULK_FORMS = CountSchema, RepeatSchema, OrderList


def read_bulk(body: Any) -> Iterator[Wanted]:
    """Return `(user_id, items)` of each order. Raises a 400 Problem.

    They are those of a list, or one order so many times, or so many drawn from a seed.
    """
    if isinstance(body, list):
        return iter(_read_list(body))
    if isinstance(body, dict) and "item" in body:
        same = check(RepeatSchema, body)
        return itertools.repeat((same.user_id, [{"sku": same.item, "qty": same.qty}]), same.count)
    wanted = check(CountSchema, body)
    return drawn(wanted.count, wanted.seed)


def produce(producer: Producer, wanted: Iterator[Wanted], request_id: str) -> dict[str, Any]:
    """Produce the orders; return `{acknowledged, unknown, not_sent, order_ids}`, the ids in the order of the request.

    `unknown` lists the ids of orders with an unknown outcome, `not_sent` says how many were not tried after
    that. Raises a 503 Problem when none was sent.
    """
    ids: list[str] = []

    def events() -> Iterator[Event]:
        for user_id, items in wanted:
            order = Order.place(user_id=user_id, items=items, request_id=request_id)
            ids.append(order.order_id)
            yield order_placed(order)

    try:
        troubles = producer.publish(events())
    except BrokerDown as error:
        detail = f"{error}. Nothing was accepted; try again later."
        raise Problem(503, "kafka-unreachable", detail, headers={"Retry-After": "2"}) from None
    unknown = [order_id for order_id, trouble in zip(ids, troubles, strict=True) if trouble]
    not_sent = sum(1 for _ in wanted)
    return {"acknowledged": len(ids) - len(unknown), "unknown": unknown, "not_sent": not_sent, "order_ids": ids}


def _read_list(body: list[Any]) -> list[Wanted]:
    wanted, errors = [], []
    for n, one in enumerate(body):
        try:
            wanted.append(read_order(one))
        except Problem as problem:
            errors += [{**error, "field": f"[{n}].{error['field']}"} for error in problem.members["errors"]]
    if errors or not wanted:
        raise bad_request(errors or [{"field": "(body)", "why": "there is no order in it"}])
    return wanted
