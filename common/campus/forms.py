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


class Form(BaseModel):
    """A body whose unknown keys are refused."""

    model_config = ConfigDict(extra="forbid", allow_inf_nan=False)


F = TypeVar("F", bound=Form)


class Line(Form):
    """One line of an order."""

    sku: Name
    qty: Quantity


class OrderForm(Form):
    """`{"user_id": "u1", "items": [{"sku": "burger", "qty": 1}]}`"""

    user_id: Name
    items: Annotated[list[Line], Field(min_length=1, max_length=MAX_LINES)]


class ShortOrderForm(Form):
    """`{"item": "burger", "qty": 1}`: one line, `quantity` for `qty` if you like, and `user_id` if you have one."""

    item: Name
    qty: Annotated[Quantity, Field(validation_alias=AliasChoices("qty", "quantity"))]
    user_id: Name = "guest"


class StoredLine(Form):
    """A line after adding up."""

    sku: Name
    qty: StoredQuantity


class ReserveForm(Form):
    """`{"order_id": …, "items": […]}`"""

    order_id: Name
    items: Annotated[list[StoredLine], Field(min_length=1, max_length=MAX_LINES)]


class ReleaseForm(Form):
    """`{"order_id": …}`"""

    order_id: Name


class SendForm(Form):
    """`{"order_id": …, "user_id": …}`"""

    order_id: Name
    user_id: Name


class StockForm(Form):
    """`{"sku": "burger", "set": 10}` makes 10 the number on hand; `"add": 10` puts 10 more there."""

    sku: Name
    set: Count | None = None
    add: Count | None = None


def check(form: type[F], body: Any) -> F:
    """Return `body` as that form, or raise a 400 Problem that lists every field at fault."""
    try:
        return form.model_validate(body)
    except ValidationError as error:
        raise bad_request(errors_of(error)) from None


def read_order(body: Any) -> tuple[str, list[dict[str, Any]]]:
    """Return (user_id, lines added up by sku) of either form of `POST /order`. Raises a 400 Problem."""
    if isinstance(body, dict) and "item" in body and "items" not in body:
        short = check(ShortOrderForm, body)
        return short.user_id, [{"sku": short.item, "qty": short.qty}]
    form = check(OrderForm, body)
    return form.user_id, add_up([{"sku": line.sku, "qty": line.qty} for line in form.items])


def read_stock_change(body: Any) -> StockForm:
    """Return the change of `POST /stock`; exactly one of `set` and `add` must be there. Raises a 400 Problem."""
    form = check(StockForm, body)
    if (form.set is None) == (form.add is None):
        raise bad_request([{"field": "set", "why": "give either set or add"}])
    return form


def errors_of(error: ValidationError) -> list[dict[str, str]]:
    """Return `[{"field": "items[0].qty", "why": "…"}]`, in the order of the rules."""
    return [{"field": _path(e["loc"]), "why": e["msg"]} for e in error.errors(include_url=False)]


def bad_request(errors: list[dict[str, str]]) -> Problem:
    """Return the 400 Problem for these faulty fields."""
    return Problem(400, "invalid-request", "The request breaks a rule; see errors.", errors=errors)


def _path(loc: tuple[int | str, ...]) -> str:
    path = ""
    for part in loc:
        path += f"[{part}]" if isinstance(part, int) else f".{part}" if path else str(part)
    return path or "(body)"
