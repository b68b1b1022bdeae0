"""What a service says of itself: `GET /openapi.json` for programs, and `GET /` for a person."""

from typing import Any

from flask import Flask, render_template_string, request

from campus.openapi import document

_PAGE = """<!doctype html>
<html lang="en"><meta charset="utf-8"><meta name="viewport" content="width=device-width">
<title>{{ info.title }}</title><link rel="icon" href="data:,">
<style>:root{color-scheme:light dark}
body{font:1rem/1.5 system-ui,sans-serif;max-width:50rem;margin:2rem auto;padding:0 1rem}
td{padding:.2rem 1rem .2rem 0;vertical-align:top}</style>
<h1>{{ info.title }}</h1>
<p>{{ info.description }}</p>
<table>
{% for path, methods in paths.items() %}{% for method, operation in methods.items() -%}
<tr><td>{{ method | upper }}</td><td>{% if method == "get" and "{" not in path -%}
<a href="{{ path }}">{{ path }}</a>{% else %}{{ path }}{% endif %}</td><td>{{ operation.summary }}</td></tr>
{% endfor %}{% endfor -%}
</table>
</html>
"""


def add_documents(app: Flask, about: str) -> None:
    """Add both. The document is made when it is asked for: by then all endpoints are there."""

    @app.get("/openapi.json")
    def openapi() -> dict[str, Any]:
        """Show this service's requests as an OpenAPI document."""
        return document(app, about)

    @app.get("/")
    def index() -> Any:
        """Say what this service is, and what it can be asked: in HTML for a browser."""
        known = document(app, about)
        if request.accept_mimetypes.best_match(["application/json", "text/html"]) == "text/html":
            return render_template_string(_PAGE, **known)
        paths = {path: [method.upper() for method in methods] for path, methods in known["paths"].items()}
        return {**known["info"], "documents": [path for path in paths if path.endswith(".json")], "paths": paths}
