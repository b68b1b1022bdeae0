"""What commands print: progress beside the answer, and tables."""

import functools
from collections.abc import Iterable, Sequence
from typing import Any

import click

say = functools.partial(click.echo, err=True)  # progress, where it does not mix with a command's answer


def show(columns: Sequence[str], rows: Iterable[Sequence[str]], *, width: int | None = None, **options: Any) -> None:
    """Print a table, as wide as the terminal, or as it is told; `options` are those of rich's tables."""
    from rich.console import Console  # it takes long to import
    from rich.table import Table

    table = Table(*columns, **options)
    for row in rows:
        table.add_row(*row)
    Console(width=width).print(table)
