"""Which version of the laboratory this is: its number, its commit, and whether files differ from that commit."""

import os
import subprocess
from dataclasses import dataclass

from lab import __version__
from lab.paths import ROOT

_GIT = ("git", "-c", "core.fsmonitor=false", "-c", "core.hooksPath=/dev/null")


@dataclass(frozen=True)
class Commit:
    """The commit of this folder; `id` is empty where git knows none, and `why` says why."""

    id: str
    changed: bool = False
    why: str = ""


def commit(*but: str) -> Commit:
    """Return the commit (12 digits), and whether any file differs from it; `but` are pathspecs that do not count."""
    try:
        head = _git("rev-parse", "--short=12", "--verify", "HEAD")
        if head.returncode:
            said = head.stderr.strip().partition("\n")[0]
            return Commit("", why=said.removeprefix("fatal: ").partition(" (")[0])
        status = _git("status", "--porcelain", "--", ".", *(f":!{path}" for path in but))
    except FileNotFoundError:
        return Commit("", why="git is not installed")
    except subprocess.TimeoutExpired:
        return Commit("", why="git does not answer")
    return Commit(head.stdout.strip(), changed=bool(status.stdout.strip()))


def sentence() -> str:
    """Return what `./lab --version` prints."""
    found = commit()
    if not found.id:
        return f"lab {__version__}, no commit ({found.why})"
    return f"lab {__version__}, commit {found.id}{', changed' if found.changed else ''}"


def _git(*words: str) -> subprocess.CompletedProcess[str]:
    # Only a repository of this folder counts: not one in which an unpacked archive lies, nor one that a hook names.
    env = {key: value for key, value in os.environ.items() if not key.startswith("GIT_")}
    env |= {"GIT_CEILING_DIRECTORIES": str(ROOT.parent), "GIT_OPTIONAL_LOCKS": "0", "LC_ALL": "C"}
    return subprocess.run([*_GIT, *words], cwd=ROOT, env=env, capture_output=True, text=True, timeout=60)
