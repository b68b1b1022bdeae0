"""The documents of Part B: valid, up to date, and true of requests that are drawn from them."""

import pytest
from testing import contract

LINE = {"sku": "burger", "qty": 1}
BODIES = {
    "order": {"/order": [{"user_id": "u1", "items": [LINE]}, {"item": "burger", "qty": 1}]},
    "inventory": {"/stock": [{"sku": "burger", "add": 1}]},
    "notification": {},
}


@pytest.fixture(params=BODIES)
def served(request, make):
    """Each of the three services in turn, without a broker."""
    return make(request.param)


def test_the_committed_documents_are_valid_and_what_the_code_says():
    contract.check_documents("async-rabbitmq")


def test_each_request_is_checked_with_the_schemas_that_the_document_names(served, monkeypatch):
    contract.check_schemas(served.client.application, BODIES[served.name], monkeypatch)


@contract.FEW_AND_MANY
def test_drawn_requests_are_answered_and_what_is_refused_is_not_stored(served, count):
    contract.check_requests(served.client.application, served.memory, count)
