"""A repository as git has it at HEAD: files by their paths, and what they were at earlier commits.

No setting of a repository is read: git runs with a folder of its own, which only borrows the objects. So no filter,
hook, monitor or remote of a clone can start a program, and its index can hide nothing.
"""

import os
import re
import subprocess
import tempfile
from collections.abc import Iterable
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

from lab.errors import LabError
from lab.grading.text import plain
from lab.paths import ROOT

ID = re.compile(r"[0-9a-f]{40}")
BRANCH = re.compile(r"refs/heads/[^\0\n\\]+")
GRADED = ("results", "experiments")
MAX_FILES, MAX_FILE, MAX_OUTPUT = 20_000, 32 * 2**20, 256 * 2**20
SECONDS = 60.0
HINT = "grading reads the committed files of one repository; name the folder that holds its .git"


@dataclass(frozen=True)
class Blob:
    """A committed file: its id, its bytes, and whether it is a link or another thing that holds no text."""

    id: str
    size: int
    is_file: bool


class Repository:
    """The committed files of one repository. Raises LabError where the folder is not the root of one."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        git_dir, home = _places(folder)
        self._objects, self.id = home / "objects", _head(git_dir, home)
        self._place = tempfile.TemporaryDirectory(prefix="grade-")  # what git takes for its folder
        place = Path(self._place.name)
        (place / "refs").mkdir()
        (place / "HEAD").write_text(f"{self.id}\n")
        (place / "config").write_text("[core]\nrepositoryformatversion = 0\nbare = false\n")
        shallow = home / "shallow"
        self.shallow = shallow.is_file()
        if self.shallow:
            (place / "shallow").write_bytes(shallow.read_bytes()[:MAX_FILE])
        self.files = self.tree("HEAD")

    @property
    def commit(self) -> str:
        """The commit, short."""
        return self.id[:12]

    def tree(self, commit: str, *paths: str) -> dict[str, Blob]:
        """Return what is committed below some paths; all if none is given."""
        said = self._git("ls-tree", "-r", "-l", "-z", "--full-tree", commit, "--", *paths)
        lines = said.split(b"\0")[:-1]
        if len(lines) > MAX_FILES:
            raise LabError(f"{self.folder} has more than {MAX_FILES:,} files")
        found = {}
        for line in lines:
            about, _, path = line.partition(b"\t")
            mode, kind, id, size = about.split()
            is_file = kind == b"blob" and mode != b"120000"
            found[path.decode(errors="surrogateescape")] = Blob(id.decode(), int(size) if size != b"-" else 0, is_file)
        return found

    def read(self, paths: Iterable[str], commit: str = "") -> dict[str, bytes]:
        """Return the contents of those of the files that there are, with one call of git; none that is too large."""
        files = self.tree(commit, *paths) if commit else self.files
        wanted = [path for path in paths if path in files and files[path].is_file and files[path].size <= MAX_FILE]
        if not wanted:
            return {}
        said = memoryview(self._git("cat-file", "--batch", told="".join(f"{files[path].id}\n" for path in wanted)))
        found, at = {}, 0
        for path in wanted:
            end = bytes(said[at : at + 100]).find(b"\n")
            _, _kind, size = bytes(said[at : at + end]).split()  # "ID blob SIZE"; "ID missing" where it is damaged
            begin, at = at + end + 1, at + end + 2 + int(size)
            found[path] = bytes(said[begin : begin + int(size)])
        return found

    @cached_property
    def commits(self) -> dict[str, int]:
        """The commits of the history of HEAD, and the second at which each was made."""
        lines = (line.split() for line in self._git("rev-list", "--timestamp", "HEAD").splitlines())
        return {id.decode(): int(at) for at, id in lines}

    def named(self, commit: str) -> str:
        """Return the full id of a commit of the history of HEAD; nothing if there is none."""
        if not re.fullmatch(r"[0-9a-f]{7,40}", commit):
            return ""
        return next((id for id in self.commits if id.startswith(commit)), "")

    @cached_property
    def changed_by(self) -> dict[str, str]:
        """The last commit that changed each file below `results`."""
        said = self._git("log", "--format=%x00%H", "--name-only", "-z", "--no-renames", "HEAD", "--", "results")
        found: dict[str, str] = {}
        commit = ""
        for word in said.decode(errors="surrogateescape").split("\0"):
            name = word.strip("\n")
            if ID.fullmatch(name):
                commit = name
            elif name.startswith("results/"):
                found.setdefault(name, commit)
        return found

    def versions(self, *paths: str) -> set[str]:
        """Return the ids of all contents that files below some paths ever had."""
        said = self._git("log", "--format=", "--raw", "--no-abbrev", "--no-renames", "-m", "HEAD", "--", *paths)
        return {line.split()[3].decode() for line in said.splitlines() if line.startswith(b":")}

    def changes(self) -> list[str]:
        """Return what differs from HEAD, or is new, in the folders that are graded."""
        self._git("read-tree", "HEAD")
        options = ("--porcelain", "-z", "--no-renames", "--ignore-submodules=all", "--untracked-files=normal")
        work_tree = f"--work-tree={self.folder.resolve()}"
        said = self._git(work_tree, "status", *options, "--", *GRADED)
        return [plain(line[3:].decode(errors="surrogateescape")) for line in said.split(b"\0") if line]

    def _git(self, *words: str, told: str = "") -> bytes:
        """Return what git says. Raises LabError where it fails, or says too much."""
        env = {"PATH": os.environ.get("PATH", os.defpath), "HOME": self._place.name, "LC_ALL": "C"}
        env |= {"GIT_DIR": self._place.name, "GIT_OBJECT_DIRECTORY": str(self._objects)}
        env |= {"GIT_CONFIG_NOSYSTEM": "1", "GIT_CONFIG_GLOBAL": os.devnull, "GIT_NO_REPLACE_OBJECTS": "1"}
        env |= {"GIT_NO_LAZY_FETCH": "1", "GIT_TERMINAL_PROMPT": "0", "GIT_LITERAL_PATHSPECS": "1"}
        with tempfile.TemporaryFile() as asked:
            asked.write(told.encode())
            asked.seek(0)
            with subprocess.Popen(
                ["git", *words],
                env=env,
                cwd=self._place.name,
                stdin=asked,
                stdout=subprocess.PIPE,
                stderr=subprocess.DEVNULL,
            ) as process:
                assert process.stdout is not None
                said = process.stdout.read(MAX_OUTPUT)
                if len(said) == MAX_OUTPUT:
                    process.kill()
                    raise LabError(f"git {words[0]} says too much of {self.folder}")
        if process.returncode:
            raise LabError(f"git {words[0]} cannot read {self.folder}", "is the clone complete? git -C FOLDER fsck")
        return said


def _places(folder: Path) -> tuple[Path, Path]:
    """Return the git folder of a repository, and the one of its objects and branches. Raises LabError.

    These differ in a work tree of another repository, which only this very repository may be.
    """
    git_dir = home = folder.resolve() / ".git"
    if git_dir.is_file() and folder.resolve() == ROOT:
        git_dir = folder / _text(git_dir).removeprefix("gitdir: ")
        home = git_dir / _text(git_dir / "commondir")
    if git_dir.is_symlink() or not (home / "objects").is_dir():
        raise LabError(f"{folder} is not the root of a git repository", HINT)
    return git_dir, home


def _head(git_dir: Path, home: Path) -> str:
    said = _text(git_dir / "HEAD")
    branch = said.removeprefix("ref: ")
    if branch != said and BRANCH.fullmatch(branch) and ".." not in branch:
        packed = (line.split(" ", 1) for line in _text(home / "packed-refs").splitlines() if " " in line)
        said = _text(home / branch) or next((id for id, name in packed if name == branch), "")
    if not ID.fullmatch(said):
        raise LabError(f"{git_dir.parent} has no commit", HINT)
    return said


def _text(path: Path) -> str:
    try:
        return path.read_bytes()[:MAX_FILE].decode(errors="replace").strip() if path.is_file() else ""
    except OSError:
        return ""
