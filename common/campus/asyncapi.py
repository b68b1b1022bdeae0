"""The AsyncAPI 3 document of a part's messages, made from the rules that check each message."""

from collections.abc import Mapping, Sequence
from typing import Any

from campus.events import schema_of

Shape = dict[str, Any]


def document(about: str, server: Shape, channels: Mapping[str, Shape], sends: Mapping[str, Sequence[str]]) -> Shape:
    """Return the document; `channels` are shaped as AsyncAPI has them, `sends` names the events of each."""
    events = sorted({event for kinds in sends.values() for event in kinds})
    title, _, text = about.strip().partition(":")
    return {
        "asyncapi": "3.0.0",
        "info": {"title": title, "description": text.strip(), "version": "1"},
        "defaultContentType": "application/json",
        "servers": {"broker": server},
        "channels": {name: shape | {"messages": _refs(sends[name])} for name, shape in channels.items()},
        "operations": {
            f"{action}-{name}": {"action": action, "channel": {"$ref": f"#/channels/{name}"}}
            for name in channels
            for action in ("send", "receive")
        },
        "components": {"messages": {event: _message(event) for event in events}},
    }


def _refs(events: Sequence[str]) -> Shape:
    return {event: {"$ref": f"#/components/messages/{event}"} for event in events}


def _message(event: str) -> Shape:
    schema = {"schemaFormat": "application/schema+json;version=draft-2020-12", "schema": schema_of(event)}
    correlation = {"location": "$message.payload#/order_id", "description": "all events of one order"}
    return {"name": event, "payload": schema, "correlationId": correlation}
