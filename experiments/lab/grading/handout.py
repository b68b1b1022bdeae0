"""The repository that students get: our committed files at HEAD without our results, as one commit of a new history."""

import io
import os
import subprocess
import tarfile
from pathlib import Path

from lab.errors import LabError
from lab.paths import ROOT

LEFT_OUT = "results"
SECONDS = 120.0


def make(folder: Path) -> int:
    """Write the hand-out into a new folder, and return how many files it has. Raises LabError."""
    if folder.exists() and (not folder.is_dir() or any(folder.iterdir())):
        raise LabError(f"{folder} is not empty", "name a new folder")
    try:
        files = _git(ROOT, "archive", "--format=tar", "HEAD")
    except LabError:
        raise LabError("this copy is no git repository", "make the hand-out from a clone") from None
    folder.mkdir(parents=True, exist_ok=True)
    with tarfile.open(fileobj=io.BytesIO(files)) as archive:
        kept = [member for member in archive.getmembers() if member.name.partition("/")[0] != LEFT_OUT]
        archive.extractall(folder, members=kept, filter="tar")
    _git(folder, "init", "--quiet", "--initial-branch=main")
    _git(folder, "add", "--all")
    _git(folder, "-c", "user.name=Hand-out", "-c", "user.email=handout@localhost", "-c", "commit.gpgsign=false",
         "commit", "--quiet", "--no-verify", "-m", "Hand-out")  # fmt: skip
    return sum(member.isfile() for member in kept)


def _git(folder: Path, *words: str) -> bytes:
    env = {name: value for name, value in os.environ.items() if not name.startswith("GIT_")}
    env |= {"GIT_CEILING_DIRECTORIES": str(folder.resolve().parent)}
    done = subprocess.run(["git", *words], cwd=folder, env=env, capture_output=True, timeout=SECONDS)
    if done.returncode:
        raise LabError(f"git {words[0]} failed: {done.stderr.decode(errors='replace').strip()}")
    return done.stdout
