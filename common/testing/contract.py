"""Holds the services against their documents: are these valid, up to date, and true of requests that are drawn?

`asyncapi-3.0.0.json.gz` is the schema of AsyncAPI 3.0.0 as published by its makers (npm @asyncapi/specs 6.11.1,
Apache License 2.0), unchanged.
"""

import gzip
import json
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any

import jsonschema_rs
import pytest
import schemathesis
from campus.schemas import Schema
from flask import Flask
from hypothesis import HealthCheck, Phase, given, settings
from openapi_spec_validator import OpenAPIV31SpecValidator
from pydantic import BaseModel
from schemathesis import GenerationMode, checks

from testing import documents

REFUSED = (400, 403, 405, 413, 415, 422)
CHECKS = [checks.not_a_server_error, checks.status_code_conformance, checks.content_type_conformance]
FEW_AND_MANY = pytest.mark.parametrize(
    "count", [50, pytest.param(1100, marks=[pytest.mark.long, pytest.mark.timeout(900)])]
)
NOT_ASKED = ("/ready",)  # 503 is its right answer here: the loops of these apps do not run


def check_documents(part: str) -> None:
    """Check that the committed documents are what the code says, and valid."""
    assert documents.stale(part) == [], (
        f"run: PYTHONPATH=common:{part} .lab/venv/bin/python -m testing.documents {part}"
    )
    for path in documents.FOLDER.glob(f"{part}*.json"):
        document = json.loads(path.read_text().replace(r"\\P{C}", "."))  # the validator has Python's patterns only
        if path.name.endswith(".openapi.json"):
            OpenAPIV31SpecValidator(document).validate()
        else:
            rules = json.loads(gzip.decompress(Path(__file__).with_name("asyncapi-3.0.0.json.gz").read_bytes()))
            jsonschema_rs.validator_for(rules).validate(document)


def declared(app: Flask) -> dict[str, set[str]]:
    """Return the names of the schemas that the document gives for the body of each path; of a list, for its items."""
    document: Any = app.test_client().get("/openapi.json").json
    of_path = {path: methods["post"]["requestBody"] for path, methods in document["paths"].items() if "post" in methods}
    known = document["components"]["schemas"]

    def names(schema: dict[str, Any]) -> set[str]:
        if "$ref" not in schema:
            return {name for form in schema.get("oneOf", schema.get("anyOf", ())) for name in names(form)}
        name = schema["$ref"].rpartition("/")[2]
        return names(known[name]["items"]) if "items" in known[name] else {name}

    return {path: names(body["content"]["application/json"]["schema"]) for path, body in of_path.items()}


def check_schemas(app: Flask, bodies: dict[str, Iterable[Any]], monkeypatch: Any) -> None:
    """Check that each path checks these bodies, one of each form, with the schemas that its document names.

    From a web page of elsewhere it takes none of them.
    """
    used: set[str] = set()
    real = BaseModel.__dict__["model_validate"].__func__

    def model_validate(cls: type[BaseModel], value: Any, **options: Any) -> Any:
        used.add(cls.__name__)
        return real(cls, value, **options)

    monkeypatch.setattr(Schema, "model_validate", classmethod(model_validate))
    wanted = {path: names for path, names in declared(app).items() if path != "/configure"}
    assert wanted.keys() == bodies.keys()
    for path, of_path in bodies.items():
        used.clear()
        for body in of_path:
            answer = app.test_client().post(path, json=body, headers={"Origin": "http://evil.example"})
            assert (answer.status_code, "urn:campus:problem:other-origin" in answer.text) == (403, True), path
            assert app.test_client().post(path, json=body).status_code < 400, (path, body)
        assert used == wanted[path], path


def check_requests(app: Flask, memory: Callable[[], Any], count: int) -> None:
    """Send so many requests that are drawn from the document; the service must answer, and store nothing it refused.

    `memory` returns everything that the service holds.
    """
    schema = schemathesis.openapi.from_wsgi("/openapi.json", app)
    everything: Any = schema.get_all_operations()
    operations = [found.ok() for found in everything if found.ok().path not in NOT_ASKED]
    sent = 0

    def ask(case: schemathesis.Case) -> None:
        nonlocal sent
        sent += 1
        app.test_client().delete("/configure")  # a fault of the request before
        before = memory()
        answer = case.call()
        case.validate_response(answer, checks=CHECKS)
        if answer.status_code in REFUSED:
            assert memory() == before, f"{case.method} {case.path} was refused, and something changed"

    while sent < count:  # an operation that takes nothing has one request only
        share = max(5, (count - sent) // len(operations))
        for operation in operations:
            strategy = operation.as_strategy(generation_mode=GenerationMode.NEGATIVE) | operation.as_strategy(
                generation_mode=GenerationMode.POSITIVE
            )
            _each(strategy, ask, share)


def _each(strategy: Any, ask: Callable[[Any], None], count: int) -> None:
    @settings(
        max_examples=count,
        deadline=None,
        database=None,
        phases=[Phase.generate],
        suppress_health_check=list(HealthCheck),
    )
    @given(strategy)
    def one(case: Any) -> None:
        ask(case)

    one()
