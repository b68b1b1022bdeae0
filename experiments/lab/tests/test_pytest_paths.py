"""`pytest PATH[::TEST]` from the root: any path of one suite, and a sentence for everything else."""

import os
import re
import subprocess
import sys

import pytest
from conftest import ROOT

TESTS = ("common/tests", "sync-rest/tests", "async-rabbitmq/tests", "streaming-kafka/tests", "experiments/lab/tests")


def collect(*paths: str) -> subprocess.CompletedProcess[str]:
    """Run pytest at the root, as a person would: without PYTHONPATH. It only collects."""
    env = {key: value for key, value in os.environ.items() if not key.startswith(("PYTHONPATH", "PYTEST_"))}
    words = [sys.executable, "-m", "pytest", "--collect-only", "-p", "no:cacheprovider", *paths]
    return subprocess.run(words, cwd=ROOT, env=env, capture_output=True, text=True, timeout=60)


@pytest.mark.parametrize("folder", TESTS)
def test_one_test_of_each_suite(folder):
    file = min((ROOT / folder).glob("test_*.py"))
    first = re.search(r"^def (test_\w+)", file.read_text(), re.MULTILINE)
    test = f"{file.relative_to(ROOT)}::{first[1]}"
    done = collect(test)
    assert done.returncode == 0, done.stdout + done.stderr
    assert done.stdout.startswith(test)


@pytest.mark.parametrize(
    ("paths", "named"),
    [
        (("sync-rest/tests", "streaming-kafka/tests"), "sync-rest and streaming-kafka are two suites"),
        (("common/tests", "experiments/lab"), "common and experiments are two suites"),
    ],
)
def test_two_suites_are_refused_before_anything_is_imported(paths, named):
    done = collect(*paths)
    assert (done.returncode, done.stdout.strip()) == (pytest.ExitCode.USAGE_ERROR, "")
    assert done.stderr.startswith(f"ERROR: {named}")
    assert "./run_tests.sh" in done.stderr
    assert "Traceback" not in done.stderr


@pytest.mark.parametrize("paths", [(), (".",)])
def test_all_of_it_is_for_run_tests(paths):
    done = collect(*paths)
    assert done.returncode == 2
    assert "./run_tests.sh runs all of them" in done.stdout + done.stderr
    assert "Traceback" not in done.stderr


@pytest.mark.parametrize("path", ["common/tests", "common/tests/test_stock.py::test_any"])
def test_a_path_is_not_for_run_tests_which_would_hand_it_to_all_suites(path):
    done = subprocess.run([ROOT / "run_tests.sh", path], capture_output=True, text=True, timeout=60)
    assert (done.returncode, done.stderr) == (2, f"run_tests: a path is for pytest: .lab/venv/bin/pytest {path}\n")
