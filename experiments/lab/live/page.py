"""What the page is made of: the same files in the server and in the one file of a run."""

from pathlib import Path

HOME = Path(__file__).parent
TEMPLATES, STATIC = HOME / "templates", HOME / "static"
SCRIPTS = ("uplot.js", "base.js", "lanes.js", "card.js", "time.js", "order.js", "runs.js", "app.js")
