"""Which version of the laboratory this is: its number, its commit, and whether files differ from that commit."""

import os
import shlex
import subprocess
import tempfile
from dataclasses import dataclass
from pathlib import Path

from lab import __version__
from lab.paths import PARTS, ROOT

CODE = ("experiments", "common", *PARTS)  # what is new here counts; what is new beside it makes no run
_GIT = ("git", "-c", "core.fsmonitor=false", "-c", "core.hooksPath=/dev/null")


@dataclass(frozen=True)
class Commit:
    """The commit of this folder; `id` is empty where git knows none, and `why` says why. `changes` are paths."""

    id: str
    changes: tuple[str, ...] = ()
    why: str = ""


def commit(*but: str, new_in: tuple[str, ...] = (".",)) -> Commit:
    """Return the commit (12 digits), and the files that differ from it, or are new in some folders.

    `but` are pathspecs that do not count. New files that `.gitignore` names do not count either.
    """
    try:
        head = _git("rev-parse", "--short=12", "--verify", "HEAD")
        if head.returncode:
            said = head.stderr.strip().partition("\n")[0]
            if "dubious ownership" in said:
                owner = "the clone belongs to another user, so git does not read it; to allow it"
                return Commit("", why=f"{owner}: git config --global --add safe.directory {shlex.quote(str(ROOT))}")
            return Commit("", why=said.removeprefix("fatal: ").partition(" (")[0])
        changes = _changes([f":!{path}" for path in but], new_in)
    except FileNotFoundError:
        return Commit("", why="git is not installed")
    except subprocess.TimeoutExpired:
        return Commit("", why="git does not answer")
    return Commit(head.stdout.strip(), changes)


def _changes(but: list[str], new_in: tuple[str, ...]) -> tuple[str, ...]:
    """Return what differs from HEAD, by an index of its own: the flags of the index that is there hide changes."""
    with tempfile.TemporaryDirectory() as folder:
        index = str(Path(folder) / "index")
        _git("read-tree", "HEAD", index=index)
        _git("update-index", "-q", "--refresh", index=index)
        changed = _git("diff-files", "--name-only", "-z", "--", ".", *but, index=index)
        there = [path for path in new_in if (ROOT / path).exists()]
        new = _git("ls-files", "-o", "-z", "--exclude-per-directory=.gitignore", "--", *there, *but, index=index)
    return tuple(sorted({path for said in (changed, new) for path in said.stdout.split("\0") if path}))


def sentence() -> str:
    """Return what `./lab --version` prints."""
    found = commit()
    if not found.id:
        return f"lab {__version__}, no commit ({found.why})"
    return f"lab {__version__}, commit {found.id}{', changed' if found.changes else ''}"


def _git(*words: str, index: str = "") -> subprocess.CompletedProcess[str]:
    # Only a repository of this folder counts: not one in which an unpacked archive lies, nor one that a hook names.
    env = {key: value for key, value in os.environ.items() if not key.startswith("GIT_")}
    env |= {"GIT_CEILING_DIRECTORIES": str(ROOT.parent), "GIT_OPTIONAL_LOCKS": "0", "LC_ALL": "C"}
    env |= {"GIT_INDEX_FILE": index} if index else {}
    command = [*_GIT, *words]
    return subprocess.run(command, cwd=ROOT, env=env, timeout=60, capture_output=True, text=True, errors="replace")
