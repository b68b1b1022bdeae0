"""The sequence diagrams of a trace."""

from lab.trace import diagram
from lab.trace.entries import Entry


def entry(kind: str, source: str, target: str | None = None, text: str = "", **more) -> Entry:
    return Entry(0.0, 0, kind, source, target, text, **more)


ENTRIES = [
    entry("call", "client", "order", "POST /order"),
    entry("commit", "order", text="placed"),
    entry("message", "order", "rabbitmq", "order.placed"),
    entry("confirm", "rabbitmq", "order"),
    entry("reply", "order", "client", "202"),
    entry("delivery", "rabbitmq", "inventory", "order.placed"),
    entry("crash", "inventory"),
    entry("delivery", "rabbitmq", "inventory", "order.placed", again=True),
    entry("ack", "inventory", "rabbitmq", lost=True),
]


def test_lanes_are_those_that_matter_from_the_client_onwards():
    assert diagram.lanes(ENTRIES) == ["client", "order", "rabbitmq", "inventory"]
    assert diagram.lanes([entry("note", "zoo"), entry("call", "order", "client")]) == ["client", "order", "zoo"]


def test_mermaid():
    assert diagram.mermaid(ENTRIES).splitlines() == [
        "sequenceDiagram",
        "    participant client as client",
        "    participant order as order",
        "    participant rabbitmq as rabbitmq",
        "    participant inventory as inventory",
        "    client->>order: POST /order",
        "    Note over order: commit placed",
        "    order->>rabbitmq: order.placed",
        "    rabbitmq-->>order: confirm",
        "    order-->>client: 202",
        "    rabbitmq->>inventory: order.placed",
        "    Note over inventory: ✗ crash",
        "    rabbitmq-->>inventory: again: order.placed",
        "    inventory--xrabbitmq: ack",
    ]


def test_no_words_are_taken_for_something_else_by_mermaid():
    (*_, line) = diagram.mermaid([entry("note", "order", text="a; b\n# c")]).splitlines()
    assert line == "    Note over order: a#59; b #35; c"


def test_text_has_a_column_for_each_lane():
    lines = diagram.text(ENTRIES)
    assert lines[0].split() == ["client", "order", "rabbitmq", "inventory"]
    assert lines[1].strip(" │") == "POST /order"
    assert "─▶│" in lines[2]
    assert "[commit placed]" in lines[3]
    assert "◀┄" in lines[7]
    assert "╳" in lines[-1]
    assert max(map(len, lines)) <= 4 * diagram.WIDTH


def test_words_that_are_too_long_are_cut():
    assert "…" in diagram.text([entry("call", "client", "order", "x" * 100)])[1]
