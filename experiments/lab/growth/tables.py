"""What each size of a run with ever more orders cost, as tables."""

from typing import Any

from lab.history.model import Run

Rows = list[tuple[Any, ...]]


def grown(run: Run) -> list[tuple[tuple[str, ...], Rows]]:
    """Return what each size of a run with ever more orders cost: as a whole, and by service."""
    sizes = run.of_type("grown")
    services = list(dict.fromkeys(name for size in sizes for name in size["processor"]))
    whole = [
        (s["orders"], s["total"], f"{s['accepted']:.1f} s", f"{s['seconds']:.1f} s",
         f"{1e6 * s['seconds'] / s['orders']:,.0f} µs", f"{1e6 * sum(s['processor'].values()) / s['orders']:,.0f} µs",
         *(f"{1000 * s[name]:.1f} ms" for name in ("page", "status", "work")), f"{s['settling']:.2f} s")
        for s in sizes
    ]  # fmt: skip
    first = ("orders", "so far", "accepted after", "done after", "an order", "processor, an order", "a page",
             "a page of one state", "processor, a page", "settling")  # fmt: skip
    tables: list[tuple[tuple[str, ...], Rows]] = [(first, whole)]
    for title, of in (
        ("processor time of an order, µs", lambda s, name: f"{1e6 * s['processor'][name] / s['orders']:,.0f}"),
        ("memory, MiB", lambda s, name: f"{s['memory'][name]:,.0f}"),
        ("store, MiB", lambda s, name: f"{s['store'][name]:,.1f}" if name in s["store"] else None),
    ):
        rows = [(s["total"], *(of(s, name) for name in services)) for s in sizes]
        tables.append(((f"orders so far: {title}", *services), rows))
    return tables if sizes else []
