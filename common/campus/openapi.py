"""The OpenAPI 3.1 document of a service, made from its routes and from the schemas that check its requests.

`@takes(…)` stands at each view with a body or parameters; a test holds that the view checks with just these schemas.
"""

import inspect
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, TypeVar

from flask import Flask
from pydantic import BaseModel
from pydantic.json_schema import models_json_schema

from campus.orders import STATUSES
from campus.problems import CONTENT_TYPE

Shape = dict[str, Any]
View = TypeVar("View", bound=Callable[..., Any])
MAX_PAGE = 1000


@dataclass(frozen=True)
class Takes:
    """What one view takes, and the status of its good answer."""

    schemas: Sequence[type[BaseModel] | Shape] = ()
    parameters: Sequence[Shape] = ()
    status: int = 200


def _parameter(name: str, place: str, text: str, **schema: Any) -> Shape:
    return {"name": name, "in": place, "description": text, "schema": schema}


ORDER_ID = _parameter("order_id", "query", "Only those of this order.", type="string")
STATUS = _parameter("status", "query", "Only those in this state.", enum=list(STATUSES))
PAGE = (
    _parameter("limit", "query", "How many at most.", type="integer", minimum=1, maximum=MAX_PAGE, default=100),
    _parameter("after", "query", "`next` of the page before.", type="string"),
)
IDEMPOTENCY_KEY = _parameter(
    "Idempotency-Key",
    "header",
    "The same key and body give the same order, and nothing is done again.",
    type="string",
    pattern="^[ -~]{1,255}$",
)
PROBLEM = {
    "type": "object",
    "description": "Problem details (RFC 9457)",
    "properties": {
        "type": {"type": "string"},
        "title": {"type": "string"},
        "status": {"type": "integer"},
        "detail": {"type": "string"},
        "request_id": {"type": "string"},
        "order_id": {"type": "string"},
        "errors": {
            "type": "array",
            "items": {"type": "object", "properties": {"field": {"type": "string"}, "why": {"type": "string"}}},
        },
    },
    "required": ["type", "title", "status", "detail", "request_id"],
}


def takes(*schemas: type[BaseModel] | Shape, parameters: Sequence[Shape] = (), status: int = 200) -> Callable[..., Any]:
    """Note what a view takes; several schemas are forms of which a body has one."""

    def note(view: View) -> View:
        view.__dict__["takes"] = Takes(schemas, parameters, status)
        return view

    return note


def document(app: Flask, about: str) -> Shape:
    """Return the OpenAPI document of a service."""
    models = [schema for _, _, view in _routes(app) for schema in _taken(view).schemas if not isinstance(schema, dict)]
    ways, shared = models_json_schema([(m, "validation") for m in models], ref_template="#/components/schemas/{model}")
    schemas: dict[Any, Shape] = {model: ref for (model, _), ref in ways.items()}
    paths: dict[str, Shape] = {}
    for method, path, view in _routes(app):
        paths.setdefault(path, {})[method] = _operation(method, path, view, schemas)
    title, _, text = about.strip().partition(":")
    return {
        "openapi": "3.1.0",
        "info": {"title": title, "description": text.strip(), "version": "1"},
        "paths": paths,
        "components": {"schemas": {"Problem": PROBLEM, **shared.get("$defs", {})}},
    }


def _routes(app: Flask) -> list[tuple[str, str, Callable[..., Any]]]:
    """Return `(method, path, view)` of each endpoint, in order of their paths."""
    rules = [rule for rule in app.url_map.iter_rules() if rule.endpoint != "static"]
    found = [(m.lower(), r.rule.replace("<", "{").replace(">", "}"), r) for r in rules for m in r.methods or ()]
    in_order = sorted(found, key=lambda route: route[:2][::-1])
    return [(m, path, app.view_functions[r.endpoint]) for m, path, r in in_order if m not in ("head", "options")]


def _taken(view: Callable[..., Any]) -> Takes:
    return view.__dict__.get("takes", Takes())


def _operation(method: str, path: str, view: Callable[..., Any], schemas: dict[Any, Shape]) -> Shape:
    taken = _taken(view)
    in_path = [{"name": part[1:-1], "in": "path", "required": True, "schema": {"type": "string", "minLength": 1}}
               for part in path.split("/") if part[:1] == "{"]  # fmt: skip
    text = (inspect.getdoc(view) or path).partition("\n\n")[0]
    shape: Shape = {"summary": text, "parameters": [*in_path, *taken.parameters]}
    problem = {"description": "What is wrong, and why", "content": {CONTENT_TYPE: {"schema": _ref("Problem")}}}
    shape["responses"] = {str(taken.status): {"description": "Done"}, "default": problem}
    if method == "post":
        forms = [schema if isinstance(schema, dict) else schemas[schema] for schema in taken.schemas]
        body = forms[0] if len(forms) == 1 else {"oneOf": forms}
        shape["requestBody"] = {"required": True, "content": {"application/json": {"schema": body}}}
    return shape


def _ref(name: str) -> Shape:
    return {"$ref": f"#/components/schemas/{name}"}
