"""The promises of the project, and the tests that hold them: a table in `docs/architecture.md`, made from tests' marks.

A test that holds a promise is marked with its id, as `@pytest.mark.promise("INV-2", "b-duplicates")`. The marks are
read, and no test is imported.
"""

import ast
import os
import re
from collections.abc import Iterator
from pathlib import Path

from lab.checker import invariants
from lab.errors import LabError

TESTS = ("common", "sync-rest", "async-rabbitmq", "streaming-kafka", "experiments/lab")
BLOCK = re.compile(r"^<!-- promises -->\n(.*?)^<!-- end -->$", re.MULTILINE | re.DOTALL)
PROMISES = {
    "a-accepted": "A: an order that is answered 201 is reserved, and its student is notified or will be.",
    "a-down": "A: when a service is down the client is told at once, and nothing is left half done.",
    "a-duplicates": "A: `POST /reserve` is idempotent by order.",
    "b-accepted": "B: an order that is answered 202 is committed with its outbox row, in one transaction.",
    "b-down": "B: when the broker or a service is down, orders are accepted, and published and done later.",
    "b-duplicates": "B: the inbox row is in the transaction of the reservation: a repeated event changes nothing.",
    "c-accepted": "C: an order that is answered 202 was acknowledged by Kafka.",
    "c-down": "C: when Kafka is down the answer is 503 with `Retry-After`, and nothing was accepted.",
    "c-duplicates": "C: a batch is one database transaction, its results and offsets are one Kafka transaction.",
    "infrastructure": "A fault of the infrastructure is no message's try, dead-letters nothing, and work goes on.",
    "limits": "No wait is without a limit.",
    "answers": "An answer that promises (201, 202) is never taken back.",
    "poison": "A message that cannot be parsed or breaks the schema is dead-lettered at once, with the reason.",
    "retries": "A message that fails is retried with a growing delay, and dead-lettered after the last try.",
    "progress": "No message is dropped, is retried for ever, or stops its consumer.",
}


def promises() -> dict[str, str]:
    """Return each promise by its id: the invariants first."""
    return {id: (rule.__doc__ or "").strip() for id, rule in invariants.ALL_RULES.items()} | PROMISES


def marked(root: Path) -> Iterator[tuple[str, Path, str]]:
    """Yield `(promise, file, test)` for each mark of a test. Raises LabError for an id that is none."""
    known = promises()
    for suite in TESTS:
        for file in sorted((root / suite / "tests").glob("test_*.py")):
            tests = [node for node in ast.parse(file.read_text()).body if isinstance(node, ast.FunctionDef)]
            marks = ((node, mark) for node in tests for mark in node.decorator_list if isinstance(mark, ast.Call))
            for node, mark in marks:
                ids = mark.args if ast.unparse(mark.func) == "pytest.mark.promise" else []
                for id in map(ast.literal_eval, ids):
                    if id not in known:
                        raise LabError(f"{file.relative_to(root)}, line {node.lineno}: there is no promise {id!r}")
                    yield id, file, node.name


def filled(text: str, page: Path, root: Path) -> str:
    """Return the text of a page with its table of promises as the tests have it."""
    return BLOCK.sub(lambda _: f"<!-- promises -->\n\n{table(page, root)}\n\n<!-- end -->", text)


def table(page: Path, root: Path) -> str:
    """Return the table: a row for each promise, with the tests that hold it."""
    rows: dict[str, list[str]] = {id: [] for id in promises()}
    for id, file, test in marked(root):
        path = Path(os.path.relpath(file, page.parent)).as_posix()
        rows[id].append(f"[`{test}`]({path})")
    lines = ["| id | promise | held by |", "|---|---|---|"]
    return "\n".join(lines + [f"| {id} | {promises()[id]} | {'<br>'.join(tests)} |" for id, tests in rows.items()])
