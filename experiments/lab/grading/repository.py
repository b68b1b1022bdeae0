"""A repository as git has it at HEAD: files by their paths, and scripts as they were at earlier commits."""

import io
import os
import subprocess
from collections.abc import Iterable
from pathlib import Path

from lab.errors import LabError
from lab.runtime import processes

GIT = ("git", "-c", "core.fsmonitor=false", "-c", "core.hooksPath=/dev/null")
ENVIRONMENT = {"GIT_NO_LAZY_FETCH": "1", "GIT_OPTIONAL_LOCKS": "0", "GIT_TERMINAL_PROMPT": "0", "LC_ALL": "C"}


class Repository:
    """The committed files of one repository. Raises LabError where there is none."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        said = self._git("rev-parse", "--is-shallow-repository", "--short=12", "HEAD")
        if said.returncode:
            raise LabError(f"{folder} is not a git repository with a commit", "grading reads committed files only")
        shallow, self.commit = said.stdout.decode().split()
        self.shallow = shallow == "true"
        listed = self._git("ls-tree", "-r", "-z", "--name-only", "--full-tree", "HEAD").stdout
        self.paths = [path.decode(errors="surrogateescape") for path in listed.split(b"\0") if path]

    def read(self, paths: Iterable[str], commit: str = "HEAD") -> dict[str, bytes]:
        """Return the contents of those of the files that there were at a commit, with one call of git for all."""
        asked = [path for path in paths if "\n" not in path]
        names = "".join(f"{commit}:{path}\n" for path in asked).encode(errors="surrogateescape")
        out = io.BytesIO(self._git("cat-file", "--batch", told=names).stdout)
        found = {}
        for path in asked:
            *_, size = out.readline().split()  # "ID blob SIZE", or "NAME missing"
            if size.isdigit():
                found[path] = out.read(int(size))
                out.read(1)
        return found

    def has(self, commit: str) -> bool:
        """Return whether a commit belongs to the history of HEAD."""
        if not commit or not all(c in "0123456789abcdef" for c in commit):
            return False
        return self._git("merge-base", "--is-ancestor", commit, "HEAD").returncode == 0

    def changes(self) -> list[str]:
        """Return what differs from HEAD, or is new, in the folders that are graded."""
        said = self._git("status", "--porcelain", "-z", "--no-renames", "--", "results", "experiments").stdout
        return [line[3:].decode(errors="replace") for line in said.split(b"\0") if line]

    def _git(self, *words: str, told: bytes = b"") -> subprocess.CompletedProcess[bytes]:
        command = [*GIT, "-C", str(self.folder), *words]
        return processes.finished(command, 300.0, input=told, capture_output=True, env=os.environ | ENVIRONMENT)
