"""JSON to bytes and back by pydantic's own parser, which every service has loaded anyway: several times faster than
the standard library's, and strict (no NaN, no Infinity)."""

from typing import Any

import pydantic_core

BYTE_ORDER_MARK = b"\xef\xbb\xbf"
MARKED = "it begins with a byte order mark; save it as UTF-8 without one"


def dumps(value: Any) -> bytes:
    """Return compact JSON in UTF-8; what JSON has no word for becomes text."""
    return pydantic_core.to_json(value, serialize_unknown=True)


def string(value: Any) -> str:
    """Return the same as a string, for a column of a table."""
    return dumps(value).decode()


def loads(data: bytes | str) -> Any:
    """Return the value. Raises ValueError when `data` is not JSON."""
    if isinstance(data, bytes) and data.startswith(BYTE_ORDER_MARK):  # as some editors write it
        raise ValueError(MARKED)
    return pydantic_core.from_json(data, allow_inf_nan=False)
