"""The OpenAPI documents of Part A: valid, up to date, and true of requests that are drawn from them."""

from testing import contract

LINE = {"sku": "burger", "qty": 1}
BODIES = {
    "order": {"/order": [{"user_id": "u1", "items": [LINE]}, {"item": "burger", "qty": 1}]},
    "inventory": {
        "/reserve": [{"order_id": "o1", "items": [LINE]}],
        "/release": [{"order_id": "o1"}],
        "/stock": [{"sku": "burger", "add": 1}],
    },
    "notification": {"/send": [{"order_id": "o1", "user_id": "u1"}]},
}


def test_the_committed_documents_are_valid_and_what_the_code_says():
    contract.check_documents("sync-rest")


def test_each_request_is_checked_with_the_schemas_that_the_document_names(service, monkeypatch):
    contract.check_schemas(service.client.application, BODIES[service.name], monkeypatch)


@contract.FEW_AND_MANY
def test_drawn_requests_are_answered_and_what_is_refused_is_not_stored(service, count):
    contract.check_requests(service.client.application, service.memory, count)
