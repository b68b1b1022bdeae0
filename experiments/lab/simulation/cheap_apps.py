"""What is the same each time that a service starts is made once: its routes, its schemas, where its package is.

A run starts each service at least once, and that was half of its time.
"""

import functools
from collections.abc import Callable
from typing import Any

import flask.sansio.app
import flask.sansio.scaffold
from campus.faults import FaultConfig
from flask import Flask
from werkzeug.routing import Map


class _OneMap(Map):
    """The routes of one service: those of its first app are those of all."""

    is_complete = False

    def add(self, rulefactory: Any) -> None:
        """Add a route, unless this service's routes are there."""
        if not self.is_complete:
            super().add(rulefactory)


def use(current: Callable[[], str]) -> None:
    """Let every Flask app of this process be made so; `current` names the service that is being started."""
    maps: dict[str, _OneMap] = {}

    def map_of(**options: Any) -> _OneMap:
        service = current()
        if service in maps:
            maps[service].is_complete = True
        return maps.setdefault(service, _OneMap(**options))

    made: Any = Flask
    made.url_map_class = staticmethod(map_of)
    for module, name in ((flask.sansio.scaffold, "get_root_path"), (flask.sansio.app, "find_package")):
        setattr(module, name, functools.cache(getattr(module, name)))
    config: Any = FaultConfig
    config.model_json_schema = functools.cache(FaultConfig.model_json_schema)
