"""Lets `pytest PATH[::TEST]` work from the root for any path of one suite.

The parts share the names of their packages (`order_service` …), so one process of pytest can take one suite only.
`common` and `experiments` are in sys.path by pyproject.toml; a part's folder is, because it holds a conftest.py.
"""

from pathlib import Path

import pytest

ROOT = Path(__file__).parent
SUITES = ("common", "sync-rest", "async-rabbitmq", "streaming-kafka", "experiments")
taken: list[str] = []  # the suite of which a conftest.py was loaded


def pytest_plugin_registered(plugin: object) -> None:
    """Refuse a second suite as soon as its first conftest.py is loaded: before its services are imported."""
    if Path(getattr(plugin, "__file__", None) or "").name != "conftest.py":
        return
    suite = Path(plugin.__file__).relative_to(ROOT).parts[0]
    if suite in SUITES and suite not in taken:
        taken.append(suite)
    if len(taken) > 1:
        raise pytest.UsageError(
            f"{' and '.join(taken)} are two suites, and one process of pytest can take one only; "
            "run pytest once for each, or ./run_tests.sh for all"
        )


@pytest.hookimpl(tryfirst=True)
def pytest_sessionstart(session: pytest.Session) -> None:
    """Refuse a folder that holds several suites, as a plain `pytest` at the root asks for."""
    if any(ROOT.is_relative_to(Path(arg).resolve()) for arg in session.config.args):
        pytest.exit(
            "each suite needs a process of its own: ./run_tests.sh runs all of them, "
            f"pytest PATH[::TEST] one of {', '.join(SUITES)}",
            returncode=2,
        )
