"""Every shell script, called as people call it: by a link, with CDPATH, by another shell, without run bits."""

import os
import shutil
import subprocess
from pathlib import Path

import pytest
from conftest import ROOT, Copy

SOURCED = ("experiment.sh", "frame.sh", "each_part.sh")
FOUND = [path for folder in ("", "comparison") for path in sorted((ROOT / "experiments" / folder).glob("*.sh"))]
SCRIPTS = [*(path for path in FOUND if path.name not in SOURCED), ROOT / "run_tests.sh", ROOT / "lab"]
scripts = pytest.mark.parametrize("script", SCRIPTS, ids=lambda script: script.name)


def run(*words: str | Path, folder: Path, **env: str) -> tuple[int, str, str]:
    done = subprocess.run(words, cwd=folder, env=os.environ | env, capture_output=True, text=True, timeout=60)
    return done.returncode, done.stdout, done.stderr


@scripts
def test_by_a_symbolic_link_and_with_cdpath(script: Path, tmp_path: Path):
    (tmp_path / "its.sh").symlink_to(script)
    status, said, wrong = run(tmp_path / "its.sh", "--help", folder=tmp_path, CDPATH=".")
    assert (status, wrong) == (0, "")
    assert said == run(script, "--help", folder=tmp_path)[1]
    relative = script.relative_to(ROOT)
    assert run("bash", relative, "--help", folder=ROOT, CDPATH=".:..") == (0, said, "")


@scripts
def test_for_another_shell_than_bash_it_is_one_sentence(script: Path):
    wrong = f"this is a script for bash: bash {script}\n"
    assert run("dash", script, "--quick", folder=ROOT) == (2, "", wrong)


def test_a_shell_that_is_bash_by_the_name_of_sh_is_good_enough(copy: Copy, tmp_path: Path):
    (tmp_path / "sh").symlink_to(shutil.which("bash"))
    status, said = copy.run("lab", "--version", PATH=f"{tmp_path}:{os.environ['PATH']}")
    assert status == 0, said
    (tmp_path / "lab").symlink_to(copy.root / "lab")
    done = run(tmp_path / "sh", copy.root / "experiments/a1_baseline.sh", "--fast", folder=copy.root)
    assert done == (2, "", "a1_baseline.sh: there is no option --fast; see --help\n")


def test_without_run_bits_and_by_a_link(copy: Copy, tmp_path: Path):
    """As on a USB stick, or in a folder of Windows: none has its run bit, and `bash` before it does."""
    for path in [*(copy.root / "experiments").rglob("*.sh"), copy.root / "lab"]:
        path.chmod(0o644)
    (tmp_path / "mine.sh").symlink_to(copy.root / "experiments/a5_outage.sh")
    status, _, wrong = run("bash", tmp_path / "mine.sh", folder=tmp_path, **copy.env(CDPATH=".", INITIAL_STOCK="none"))
    assert status == 2
    assert "INITIAL_STOCK must be a number" in wrong  # so far it came: inventory was started


def test_a_report_is_the_same_bytes_whatever_the_users_own_settings(tmp_path: Path):
    """An instructor's style, another locale and time zone: grading compares the files byte for byte."""
    committed = ROOT / "results/sync-rest/a1_baseline"
    made = tmp_path / "a1_baseline"
    shutil.copytree(committed, made)
    (made / "plot.svg").unlink()
    (made / "report.md").unlink()
    (tmp_path / "matplotlibrc").write_text("axes.facecolor: black\nfont.size: 14\n")
    own = {"MATPLOTLIBRC": str(tmp_path / "matplotlibrc"), "TZ": "Asia/Kolkata", "LC_ALL": "C", "NO_COLOR": "1"}
    status, _, wrong = run("bash", ROOT / "lab", "report", made, folder=tmp_path, **own)
    assert status in (0, 1, 2), wrong  # the verdict
    for name in ("plot.svg", "report.md"):
        assert (made / name).read_bytes() == (committed / name).read_bytes(), name


def test_a_system_that_writes_other_line_ends_gets_line_feeds(tmp_path: Path):
    """Git for Windows is usually set so; bash would stumble over each line of `lab`."""
    made, clone = tmp_path / "made", tmp_path / "clone"
    made.mkdir()
    for name in (".gitattributes", "lab", "README.md"):
        shutil.copy(ROOT / name, made)
    git = ["git", "-c", "user.name=s", "-c", "user.email=s@example.org", "-c", "core.autocrlf=true"]
    for words in (["init", "-q"], ["add", "."], ["commit", "-qm", "all"], ["clone", "-q", ".", str(clone)]):
        status, _, wrong = run(*git, *words, folder=made, GIT_CONFIG_GLOBAL=os.devnull)
        assert status == 0, wrong
    assert b"\r" not in (clone / "lab").read_bytes() + (clone / "README.md").read_bytes()


def test_the_same_bytes_where_the_system_does_not_speak_utf_8(tmp_path: Path):
    there = Path("/usr/share/i18n/locales/de_DE").exists() and shutil.which("localedef")
    if not there:
        pytest.skip("this system cannot make a locale")
    locale = "de_DE.ISO-8859-1"
    run("localedef", "-i", "de_DE", "-f", "ISO-8859-1", tmp_path / locale, folder=tmp_path)  # warns, and makes it
    own = {"LOCPATH": str(tmp_path), "LC_ALL": locale}
    assert run("locale", "charmap", folder=tmp_path, **own)[1] == "ISO-8859-1\n"
    status, said, wrong = run("bash", ROOT / "lab", "readme", "--check", folder=tmp_path, **own)
    assert (status, wrong) == (0, ""), said
