"""The rules that the body of a request must keep. What breaks one is answered 400 with the fields and why."""

from typing import Annotated, Any, TypeVar

from pydantic import AliasChoices, BaseModel, ConfigDict, Field, StringConstraints, ValidationError

from campus.orders import add_up
from campus.problems import Problem

MAX_LINES = 50
# Rust's regex: \P{C} is any character but controls, format characters and the unassigned.
Name = Annotated[str, StringConstraints(strict=True, min_length=1, max_length=64, pattern=r"^\P{C}+$")]
Quantity = Annotated[int, Field(strict=True, ge=1, le=100)]
StoredQuantity = Annotated[int, Field(strict=True, ge=1, le=100 * MAX_LINES)]  # several lines of one sku, added up
Count = Annotated[int, Field(strict=True, ge=0, le=1_000_000_000)]


class Schema(BaseModel):
    """A body whose unknown keys are refused."""

    model_config = ConfigDict(extra="forbid", allow_inf_nan=False)


S = TypeVar("S", bound=Schema)


class Line(Schema):
    """One line of an order."""

    sku: Name
    qty: Quantity


class OrderSchema(Schema):
    """`{"user_id": "u1", "items": [{"sku": "burger", "qty": 1}]}`"""

    user_id: Name
    items: Annotated[list[Line], Field(min_length=1, max_length=MAX_LINES)]


class ShortOrderSchema(Schema):
    """`{"item": "burger", "qty": 1}`: one line, `quantity` for `qty` if you like, and `user_id` if you have one."""

    item: Name
    qty: Annotated[Quantity, Field(validation_alias=AliasChoices("qty", "quantity"))]
    user_id: Name = "guest"


ORDER_FORMS = OrderSchema, ShortOrderSchema


class StoredLine(Schema):
    """A line after adding up."""

    sku: Name
    qty: StoredQuantity


class ReserveSchema(Schema):
    """`{"order_id": …, "items": […]}`"""

    order_id: Name
    items: Annotated[list[StoredLine], Field(min_length=1, max_length=MAX_LINES)]


class ReleaseSchema(Schema):
    """`{"order_id": …}`"""

    order_id: Name


class SendSchema(Schema):
    """`{"order_id": …, "user_id": …}`"""

    order_id: Name
    user_id: Name


class StockSchema(Schema):
    """`{"sku": "burger", "set": 10}` makes 10 the number on hand; `"add": 10` puts 10 more there."""

    sku: Name
    set: Count | None = None
    add: Count | None = None


def check(schema: type[S], body: Any) -> S:
    """Return `body` as that schema says, or raise a 400 Problem that lists every field at fault."""
    try:
        return schema.model_validate(body)
    except ValidationError as error:
        raise bad_request(errors_of(error)) from None


def read_order(body: Any) -> tuple[str, list[dict[str, Any]]]:
    """Return (user_id, lines added up by sku) of either form of `POST /order`. Raises a 400 Problem."""
    if isinstance(body, dict) and "item" in body and "items" not in body:
        short = check(ShortOrderSchema, body)
        return short.user_id, [{"sku": short.item, "qty": short.qty}]
    order = check(OrderSchema, body)
    return order.user_id, add_up([{"sku": line.sku, "qty": line.qty} for line in order.items])


def read_stock_change(body: Any) -> StockSchema:
    """Return the change of `POST /stock`; exactly one of `set` and `add` must be there. Raises a 400 Problem."""
    change = check(StockSchema, body)
    if (change.set is None) == (change.add is None):
        raise bad_request([{"field": "set", "why": "give either set or add"}])
    return change


def errors_of(error: ValidationError) -> list[dict[str, str]]:
    """Return `[{"field": "items[0].qty", "why": "…"}]`, in the order of the rules."""
    return [{"field": _path(e["loc"]), "why": e["msg"]} for e in error.errors(include_url=False)]


def bad_request(errors: list[dict[str, str]]) -> Problem:
    """Return the 400 Problem for these faulty fields."""
    return Problem(400, "invalid-request", "The request is invalid; see errors.", errors=errors)


def _path(loc: tuple[int | str, ...]) -> str:
    path = ""
    for part in loc:
        path += f"[{part}]" if isinstance(part, int) else f".{part}" if path else str(part)
    return path or "(body)"
