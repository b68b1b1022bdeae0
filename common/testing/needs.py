"""What a machine may lack: a test that needs it fails, unless a variable says that this is known."""

import contextlib
import os
from collections.abc import Iterator
from typing import Any

import pytest


def skip_without(*programs: str) -> None:
    """Skip the test where CAMPUS_WITHOUT_PROGRAM=1 says of one of these programs that this machine does not have it."""
    for program in programs:
        variable = f"CAMPUS_WITHOUT_{program.upper()}"
        if os.environ.get(variable) == "1":
            pytest.skip(f"without {program}, as {variable}=1 says")


@contextlib.contextmanager
def started(program: str, node: Any) -> Iterator[Any]:
    """Start a node of a program, or a cluster of them, for the block; kill what runs of it in the end."""
    skip_without(program)
    try:
        node.start()
        yield node
    finally:
        node.kill()
