"""The committed documents of a part's services, `docs/api/…`: made from the apps, and compared with what is committed.

Usage: PYTHONPATH=common:PART .lab/venv/bin/python -m testing.documents PART      (makes them again)
"""

import importlib
import json
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path

from flask import Flask

ROOT = Path(__file__).parents[2]
FOLDER = ROOT / "docs" / "api"


def apps(part: str) -> Iterator[tuple[str, Flask]]:
    """Yield each service of a part by its name, on a database that is thrown away; none of its loops runs."""
    with tempfile.TemporaryDirectory() as folder:
        for package in sorted(path.parent.name for path in (ROOT / part).glob("*/app.py")):
            env = {"DATABASE_URL": f"sqlite:///{folder}/{package}.db"}
            app = importlib.import_module(f"{package}.app").create_app(env)
            yield app.name, app
            app.extensions["campus"].stop()


def documents(part: str) -> dict[Path, str]:
    """Return what each committed file of a part must hold."""
    found: dict[Path, str] = {}
    for name, app in apps(part):
        client = app.test_client()
        found[FOLDER / f"{part}-{name}.openapi.json"] = _text(client.get("/openapi.json").json)
        if (messages := client.get("/asyncapi.json")).status_code == 200:
            found[FOLDER / f"{part}.asyncapi.json"] = _text(messages.json)
    return found


def stale(part: str) -> list[str]:
    """Return the names of the committed files that differ from what the code says."""
    there = {path: path.read_text() for path in FOLDER.glob(f"{part}*.json")}
    wanted = documents(part)
    return sorted(path.name for path in there.keys() | wanted.keys() if there.get(path) != wanted.get(path))


def _text(value: object) -> str:
    return json.dumps(value, indent=1, ensure_ascii=False) + "\n"


if __name__ == "__main__":
    FOLDER.mkdir(exist_ok=True)
    for path, text in documents(sys.argv[1]).items():
        path.write_text(text)
        print(path.relative_to(ROOT))
