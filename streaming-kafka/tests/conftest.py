"""What the tests of Part C share: a real Kafka node of their own."""

from collections.abc import Iterator

import pytest
from node import Node


@pytest.fixture(scope="session")
def node(tmp_path_factory) -> Iterator[Node]:
    """One node for all tests; it may be killed, and runs again at the next test that asks for it."""
    made = Node(tmp_path_factory.mktemp("kafka"))
    try:
        made.start()
        yield made
    finally:
        made.kill()
