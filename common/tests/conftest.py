"""What the tests of the domain share: a database of either kind, and waiting by retrying."""

import contextlib
from collections.abc import Callable, Iterator
from typing import Any

import pytest
import testing
from campus.database import Database
from hypothesis import HealthCheck, settings
from sqlalchemy import MetaData
from testing.postgres import cluster as cluster

# The same examples in every run; `--hypothesis-profile=explore` draws new ones.
_FIXTURES = [HealthCheck.function_scoped_fixture, HealthCheck.too_slow]
settings.register_profile("same", derandomize=True, deadline=None, suppress_health_check=_FIXTURES)
settings.register_profile("explore", max_examples=1000, deadline=None, suppress_health_check=_FIXTURES)
settings.load_profile("same")


@pytest.fixture(params=["sqlite", "postgresql"])
def url(request, tmp_path) -> Iterator[str]:
    """The address of an empty database, of both kinds in turn."""
    if request.param == "sqlite":
        yield f"sqlite:///{tmp_path}/test.db"
    else:
        with request.getfixturevalue("cluster").database() as address:
            yield address


@pytest.fixture
def open_database(url) -> Iterator[Callable[..., Database]]:
    """A function that opens the database with these tables; what it opened is closed at the end."""
    with contextlib.ExitStack() as stack:

        def open_one(*tables: MetaData) -> Database:
            database = Database(url, *tables)
            stack.callback(database.close)
            return database

        yield open_one


@pytest.fixture
def wait_until() -> Callable[..., Any]:
    """A function that retries until its argument is true."""
    return testing.wait_until
