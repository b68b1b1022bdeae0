"""`./lab` itself, over a laboratory that only says where it is: how it finds itself, and prepares its environment."""

import os
import shlex
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
from conftest import ROOT

SAYS = "import os, sys; print('here', os.environ['PYTHONPATH'].split(os.pathsep)[0], *sys.argv[1:])\n"
USER = 12345  # not ours, and not the one of any file
# A Python that makes an environment in no time: its pip does nothing. One test has the real one.
PYTHON = shlex.quote(sys.executable)
QUICK = f"""#!/bin/sh
if [ "$1 $2" != "-m venv" ]; then exec {PYTHON} "$@"; fi
{PYTHON} -m venv --without-pip "$3" || exit
cd "$3"/lib/python3.*/site-packages
mkdir pip
touch pip/__main__.py
"""


@pytest.fixture
def folder(tmp_path) -> Path:
    """A laboratory that installs nothing, in a folder with a name that a shell might stumble over."""
    return made(tmp_path / "it's week 3")


def made(folder: Path) -> Path:
    (folder / "experiments/lab").mkdir(parents=True)
    (folder / "experiments/lab/__main__.py").write_text(SAYS)
    (folder / "requirements.lock").write_text("# nothing\n")
    shutil.copy2(ROOT / "lab", folder)
    (folder / "python").write_text(QUICK)
    (folder / "python").chmod(0o755)
    return folder


def command(*words: str | Path, **env: str) -> subprocess.Popen:
    own = {name: value for name, value in os.environ.items() if not name.startswith(("PIP_", "PYTHON"))}
    own["PYTHON"] = str(next((Path(word).parent / "python" for word in words if Path(word).name == "lab"), "python3"))
    return subprocess.Popen(words, env=own | env, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)


def run(*words: str | Path, **env: str) -> tuple[int, str]:
    child = command(*words, **env)
    said, _ = child.communicate(timeout=60)
    return child.returncode, said


def here(folder: Path) -> str:
    return f"here {folder}/experiments\n"


def test_the_first_use_prepares_and_the_second_does_not(folder: Path):
    status, said = run(folder / "lab", "a", "b c")
    assert (status, said.count("making .lab/venv")) == (0, 1)
    assert run(folder / "lab", "a", "b c") == (0, f"here {folder}/experiments a b c\n")


def test_of_two_first_uses_at_once_one_prepares(folder: Path):
    children = [command(folder / "lab") for _ in range(2)]
    said = [child.communicate(timeout=60)[0] for child in children]
    assert [child.returncode for child in children] == [0, 0], said
    assert "".join(said).count("making .lab/venv") == 1
    assert all(text.endswith(here(folder)) for text in said)


@pytest.mark.parametrize("spoilt", ["moved", "python gone", "python of another version"])
def test_an_environment_that_does_not_fit_any_more_is_made_anew(folder: Path, spoilt: str):
    run(folder / "lab")
    venv = folder / ".lab/venv"
    match spoilt:
        case "moved":
            folder = folder.rename(folder.with_name("moved"))
        case "python gone":
            (venv / "bin/python").unlink()
            (venv / "bin/python").symlink_to("/gone/python3")
        case "python of another version":
            (lib,) = (venv / "lib").glob("python3*")
            lib.rename(lib.with_name("python3.0"))
    status, said = run(folder / "lab")
    assert (status, said.count("making .lab/venv")) == (0, 1)
    assert "this folder was moved, or its Python is gone" in said
    assert run(folder / "lab") == (0, here(folder))


def test_other_packages_are_installed_into_the_environment_that_is_there(folder: Path):
    run(folder / "lab")
    (folder / "requirements.lock").write_text("# something else\n")
    status, said = run(folder / "lab")
    assert (status, said.splitlines()[0]) == (0, "lab: installing 0 packages from requirements.lock")
    assert run(folder / "lab") == (0, here(folder))


def test_where_python_is_too_old_a_newer_one_is_taken_or_named(folder: Path, tmp_path: Path):
    """Ubuntu 22.04 has 3.10 as `python3`, and as `python3.11` a release candidate, with which a service crashed."""
    for name in ("python3", *(f"python3.{n}" for n in range(11, 15))):
        version = (3, 10, 12, "final", 0) if name == "python3" else (3, 11, 0, "candidate", 1)
        says = shlex.quote(f"import sys; sys.version_info = {version}; exec(sys.argv[1])")
        (tmp_path / name).write_text(f'#!/bin/sh\nexec {PYTHON} -c {says} "$2"\n')
        (tmp_path / name).chmod(0o755)
    path = f"{tmp_path}:{os.environ['PATH']}"
    status, said = run(folder / "lab", PYTHON="", PATH=path)
    assert status == 2
    assert "Python 3.11 or newer is missing." in said
    assert "Ubuntu 22.04:   sudo add-apt-repository ppa:deadsnakes/ppa" in said
    shutil.copy2(folder / "python", tmp_path / "python3.12")
    assert run(folder / "lab", PYTHON="", PATH=path)[0] == 0


def test_an_environment_that_cannot_be_made_names_the_package_that_is_missing(folder: Path, tmp_path: Path):
    python = tmp_path / "python3.11"
    python.write_text(QUICK.replace(f"{PYTHON} -m venv --without-pip", "false"))
    python.chmod(0o755)
    status, said = run(folder / "lab", PYTHON=str(python))
    assert (status, "sudo apt-get install python3.11-venv\n" in said) == (2, True), said


def test_settings_of_the_users_own_pip_and_python_do_not_count(folder: Path, tmp_path: Path):
    own = {
        "PYTHON": sys.executable,
        "PIP_USER": "1",
        "PIP_TARGET": str(tmp_path / "target"),
        "PYTHONHOME": "/gone",
        "PYTHONOPTIMIZE": "2",
    }
    status, said = run(folder / "lab", **own)
    assert (status, said.splitlines()[-1]) == (0, here(folder).strip()), said


@pytest.fixture(scope="module")
def ready(tmp_path_factory) -> Path:
    """A folder that was used before."""
    folder = made(tmp_path_factory.mktemp("ready") / "clone")
    assert run(folder / "lab")[0] == 0
    return folder


def test_it_finds_itself_by_symbolic_links_and_whatever_cdpath_says(ready: Path, tmp_path: Path):
    (tmp_path / "bin").mkdir()
    (tmp_path / "bin/first").symlink_to(os.path.relpath(ready / "lab", tmp_path / "bin"))
    (tmp_path / "lab").symlink_to("bin/first")
    assert run(tmp_path / "lab") == (0, here(ready))
    assert run("bash", "-c", 'cd "$0" && bash clone/lab', ready.parent, CDPATH=".") == (0, here(ready))
    assert sorted(path.name for path in (tmp_path / "bin").iterdir()) == ["first"]


def test_another_shell_gets_one_sentence(ready: Path):
    assert run("dash", ready / "lab") == (2, f"this is a script for bash: bash {ready}/lab\n")


def test_a_colon_in_the_path_is_named(tmp_path: Path):
    folder = made(tmp_path / "week 3:4")
    status, said = run(folder / "lab")
    assert status == 2
    assert f"has a colon, with which Python makes no virtual environment: {folder}\n" in said
    assert not (folder / ".lab").exists()


@pytest.mark.skipif(os.geteuid() != 0, reason="only root can be the one who came first")
@pytest.mark.parametrize("what", ["what is to be written", "what is to be removed"])
def test_what_root_made_is_named_to_another_user(folder: Path, what: str):
    run(folder / "lab")
    for path in folder.parents:
        if not path.stat().st_mode & 0o001:  # pytest's own folders: nothing else is touched
            path.chmod(0o755)
    (folder / ".lab/venv/made_in").unlink()
    if what == "what is to be removed":
        for path in (folder / ".lab", *(folder / ".lab").glob("prepare.*")):
            os.chown(path, USER, USER)
    user = ["setpriv", f"--reuid={USER}", f"--regid={USER}", "--clear-groups"]
    status, said = run(*user, folder / "lab")
    assert status == 2, said
    assert "it belongs to root" in said
    assert f'sudo chown -R {USER} "{folder}/.lab"' in said
    assert "Permission denied" not in said
