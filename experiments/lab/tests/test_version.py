"""`./lab --version`: the version and the commit, from a clone, a changed clone, an archive, and without git."""

import os
import shutil
import subprocess
import tomllib
from pathlib import Path

import lab
import pytest
from click.testing import CliRunner
from conftest import ROOT
from lab import version
from lab.cli.main import main
from lab.history import environment

IDENTITY = ("-c", "user.name=A", "-c", "user.email=a@example.org", "-c", "commit.gpgsign=false")
USER = 12345  # not ours, and not the one of any file


def git(folder: Path, *words: str) -> str:
    done = subprocess.run(["git", *IDENTITY, *words], cwd=folder, check=True, capture_output=True, text=True)
    return done.stdout.strip()


@pytest.fixture
def clone(tmp_path, monkeypatch) -> Path:
    """A repository with one commit, which the laboratory takes for its own."""
    folder = tmp_path / "clone"
    folder.mkdir()
    monkeypatch.setattr(version, "ROOT", folder)
    for name in ("code.py", "page.md", "results/run/report.txt"):
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_text("1\n")
    git(folder, "init", "-q")
    git(folder, "add", ".")
    git(folder, "commit", "-qm", "first")
    return folder


def told() -> str:
    done = CliRunner().invoke(main, ["--version"])
    assert done.exit_code == 0
    return done.output


def test_the_version_is_the_project_s():
    assert lab.__version__ == tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]["version"]


def test_a_clone(clone):
    assert told() == f"lab {lab.__version__}, commit {git(clone, 'rev-parse', '--short=12', 'HEAD')}\n"


def test_a_changed_clone(clone):
    (clone / "new.py").write_text("")
    assert told().endswith(", changed\n")


@pytest.mark.parametrize("path", ["page.md", "results/run/report.txt"])
def test_pages_and_results_that_a_run_writes_do_not_change_the_commit_of_the_next(clone, path):
    (clone / path).write_text("2\n")
    assert told().endswith(", changed\n")
    assert environment.commit_of_run() == git(clone, "rev-parse", "--short=12", "HEAD")
    (clone / "code.py").write_text("2\n")
    assert environment.commit_of_run().endswith("+changes")


def of_a_run() -> str:
    return environment.commit_of_run()


@pytest.mark.parametrize("flag", ["--assume-unchanged", "--skip-worktree"])
def test_a_flag_of_the_index_hides_no_change(clone, flag):
    git(clone, "update-index", flag, "code.py")
    (clone / "code.py").write_text("2\n")
    assert git(clone, "status", "--porcelain") == ""
    assert told().endswith(", changed\n")
    assert of_a_run().endswith("+changes")


def test_new_code_that_is_excluded_in_this_clone_only(clone):
    (clone / "common").mkdir()
    (clone / "common/new.py").write_text("")
    (clone / ".git/info/exclude").write_text("*.py\n")
    assert of_a_run().endswith("+changes")


def test_what_an_editor_leaves_and_notes_beside_the_code_are_no_changes_of_a_run(clone):
    shutil.copy(ROOT / ".gitignore", clone)
    git(clone, "add", ".")
    git(clone, "commit", "-qm", "as ours")
    for name in (".idea/workspace.xml", ".vscode/settings.json", ".DS_Store", "common/.DS_Store", "notes.txt", "a.swp"):
        (clone / name).parent.mkdir(exist_ok=True)
        (clone / name).write_text("mine")
    assert of_a_run() == git(clone, "rev-parse", "--short=12", "HEAD")
    assert environment.warning() == ""
    (clone / "common/new.py").write_text("")
    assert environment.warning().startswith("not committed: common/new.py; so grading cannot tell which code made this")


def test_an_archive_in_somebody_else_s_repository(clone, monkeypatch):
    inner = clone / "unpacked"
    inner.mkdir()
    monkeypatch.setattr(version, "ROOT", inner)
    assert told() == f"lab {lab.__version__}, no commit (not a git repository)\n"
    assert environment.commit_of_run() == "none"


def test_another_repository_that_a_hook_names(clone, tmp_path, monkeypatch):
    other = tmp_path / "other"
    shutil.copytree(clone, other)
    git(other, "commit", "-q", "--allow-empty", "-m", "second")
    monkeypatch.setenv("GIT_DIR", str(other / ".git"))
    assert git(other, "rev-parse", "--short=12", "HEAD") not in told()


@pytest.mark.skipif(os.geteuid() != 0, reason="only root can give a clone to another user")
def test_a_clone_of_another_user(clone, tmp_path, monkeypatch):
    monkeypatch.setenv("HOME", str(tmp_path))  # whose git may trust every folder
    head = git(clone, "rev-parse", "--short=12", "HEAD")
    for path in (clone, *clone.rglob("*")):
        os.chown(path, USER, USER)
    why = "the clone belongs to another user, so git does not read it; to allow it: "
    allow = f"git config --global --add safe.directory {clone}"
    assert told() == f"lab {lab.__version__}, no commit ({why}{allow})\n"
    assert environment.warning().startswith(f"there is no commit ({why}")
    subprocess.run(allow.split(), check=True)
    assert told() == f"lab {lab.__version__}, commit {head}\n"


def test_no_git(clone, monkeypatch):
    monkeypatch.setenv("PATH", "/nonexistent")
    assert told() == f"lab {lab.__version__}, no commit (git is not installed)\n"
