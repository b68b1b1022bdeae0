"""A repository as git has it at HEAD: files by their paths, and scripts as they were at earlier commits."""

import os
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
        top = self._git("rev-parse", "--show-toplevel", "--short=12", "HEAD")
        if not top:
            raise LabError(f"{folder} is not a git repository with a commit", "grading reads committed files only")
        root, self.commit = top.decode().splitlines()
        self.root = Path(root)
        self._blobs = self._listed()
        self.shallow = self._git("rev-parse", "--is-shallow-repository").strip() == b"true"

    @property
    def paths(self) -> list[str]:
        """The paths of all committed files."""
        return list(self._blobs)

    def read(self, paths: Iterable[str]) -> dict[str, bytes]:
        """Return the committed contents of those of the files that there are."""
        there = [path for path in paths if path in self._blobs]
        contents = self._contents([self._blobs[path] for path in there])
        return {path: content for path, content in zip(there, contents, strict=True) if content is not None}

    def read_at(self, places: Iterable[tuple[str, str]]) -> dict[tuple[str, str], bytes | None]:
        """Return the contents of (commit, path), None where there was no such file."""
        asked = sorted({place for place in places if not any(c in "\n\0 " for c in "".join(place))})
        return dict(zip(asked, self._contents([f"{commit}:{path}" for commit, path in asked]), strict=True))

    def has(self, commit: str) -> bool:
        """Return whether a commit belongs to the history of HEAD."""
        if not commit or not all(c in "0123456789abcdef" for c in commit):
            return False
        return self._git("merge-base", "--is-ancestor", commit, "HEAD", wanted="status") == b"0"

    def changes(self) -> list[str]:
        """Return what differs from HEAD, or is new, in the folders that are graded."""
        said = self._git("status", "--porcelain", "-z", "--no-renames", "--", "results", "experiments")
        return [line[3:].decode(errors="replace") for line in said.split(b"\0") if line]

    def _listed(self) -> dict[str, str]:
        blobs = {}
        for line in self._git("ls-tree", "-r", "-z", "--full-tree", "HEAD").split(b"\0"):
            what, _, path = line.partition(b"\t")
            if what.split()[1:2] == [b"blob"]:
                blobs[path.decode(errors="surrogateescape")] = what.split()[2].decode()
        return blobs

    def _contents(self, names: list[str]) -> list[bytes | None]:
        """Return what git has under each name, with one call for all of them."""
        if not names:
            return []
        out = memoryview(self._git("cat-file", "--batch", told="\n".join(names).encode() + b"\n"))
        found: list[bytes | None] = []
        for _ in names:
            line, _, _ = bytes(out[:4096]).partition(b"\n")
            out = out[len(line) + 1 :]
            if line.endswith((b" missing", b" ambiguous")):
                found.append(None)
                continue
            size = int(line.split()[-1])
            found.append(bytes(out[:size]))
            out = out[size + 1 :]
        return found

    def _git(self, *words: str, told: bytes = b"", wanted: str = "output") -> bytes:
        """Return what git says: nothing when it fails."""
        command = [*GIT, "-C", str(self.folder), *words]
        done = processes.finished(command, 300.0, input=told, capture_output=True, env=os.environ | ENVIRONMENT)
        if wanted == "status":
            return str(done.returncode).encode()
        return done.stdout if done.returncode == 0 else b""
