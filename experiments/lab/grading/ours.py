"""What this repository has, against which others are held: its code, its commits, every version of its own files."""

import hashlib
from collections.abc import Iterable
from dataclasses import dataclass, field
from functools import cache

from lab.errors import LabError
from lab.grading.repository import Repository
from lab.paths import PARTS, ROOT

CODE = ("lab", "requirements.lock", "common", *PARTS, "experiments")
# What makes no run and no page.
NO_CODE = ("/tests/", "common/testing/", "/grading/", "/__pycache__/", "experiments/broken/", ".md")
OF_RUNS = ("results", "experiments")


@dataclass(frozen=True)
class Ours:
    """Files by their git ids. Where this copy is no repository, only what lies there now is known."""

    code: dict[str, str]
    results: dict[str, str]
    commits: dict[str, int] = field(default_factory=dict)
    versions: frozenset[str] = frozenset()

    def differing(self, code: dict[str, str]) -> list[str]:
        """Return the files of other code that are not as ours, and those that only one of both has."""
        return sorted(path for path in code.keys() | self.code.keys() if code.get(path) != self.code.get(path))

    def had(self, id: str) -> bool:
        """Whether a script, a file of predictions, or a file of results was ever like this here."""
        return id in self.versions


@cache
def ours() -> Ours:
    """Return what this repository has."""
    try:
        repository = Repository(ROOT)
        tracked = [path for path, blob in repository.files.items() if blob.is_file]
        commits, versions = repository.commits, repository.versions(*OF_RUNS)
    except LabError:
        found = (path for name in (*CODE, "results") for path in [ROOT / name, *(ROOT / name).rglob("*")])
        tracked = [str(path.relative_to(ROOT)) for path in found if path.is_file()]
        commits, versions = {}, set()
    code, results = ids_now(filter(is_code, tracked)), ids_now(p for p in tracked if p.startswith("results/"))
    return Ours(code, results, commits, frozenset(versions.union(code.values(), results.values())))


def is_code(path: str) -> bool:
    """Whether a file is part of what makes runs and pages."""
    return (path.startswith(tuple(f"{name}/" for name in CODE)) and not any(part in path for part in NO_CODE)) or (
        path in CODE
    )


def ids_now(paths: Iterable[str]) -> dict[str, str]:
    """Return the git id of each file as it lies in this folder, committed or not."""
    return {path: id_of((ROOT / path).read_bytes()) for path in paths if (ROOT / path).is_file()}


def id_of(content: bytes) -> str:
    """Return the id under which git keeps a content."""
    return hashlib.sha1(b"blob %d\0" % len(content) + content, usedforsecurity=False).hexdigest()
