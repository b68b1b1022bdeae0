"""The brokers where there is no Docker: whether their programs are there, and how to get them."""

import os
import re
import shutil
import sys
from pathlib import Path

from lab.errors import LabError
from lab.paths import ROOT, STATE_DIR
from lab.runtime import processes

# Where Debian's and Homebrew's packages put them.
_RABBITMQ_FOLDERS = ("/usr/lib/rabbitmq/bin", "/opt/homebrew/sbin", "/usr/local/sbin")
_POM = ROOT / "streaming-kafka/broker/pom.xml"
FETCH_SECONDS = 1800.0  # packages and jars may come over a slow line
_POLICY = Path("/usr/sbin/policy-rc.d")


def ensure(name: str) -> None:
    """Make sure that a broker's programs are there; install them where that is possible. Raises LabError."""
    if name == "rabbitmq" and not _has_rabbitmq():
        _install_rabbitmq()
    if name == "kafka" and not (_kafka() / "ready").exists():
        _fetch_kafka()


def _has_rabbitmq() -> bool:
    folders = os.pathsep.join([*_RABBITMQ_FOLDERS, os.environ.get("PATH", os.defpath)])
    return shutil.which("rabbitmq-server", path=folders) is not None


def _install_rabbitmq() -> None:
    if not _can_install():
        hint = "Debian, Ubuntu: sudo apt-get install rabbitmq-server; macOS: brew install rabbitmq; or start Docker"
        raise LabError("RabbitMQ is missing", hint)
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
    """Install Debian packages. Raises LabError."""
    names = " ".join(packages)
    print(f"installing {names} with apt-get (about a minute)", file=sys.stderr, flush=True)
    env = os.environ | {"DEBIAN_FRONTEND": "noninteractive"}
    for words in (["update", "-qq"], ["install", "-qq", "-y", "--no-install-recommends", *packages]):
        done = processes.finished(["apt-get", *words], FETCH_SECONDS, env=env, capture_output=True, text=True)
    if done.returncode:
        raise LabError(f"apt-get could not install {names}:\n{done.stderr.strip()[-400:]}")


def kafka_version() -> str:
    """Return the version of Kafka that Part C needs, as its pom.xml names it."""
    found = re.search("<kafka>(.*)</kafka>", _POM.read_text())
    assert found, f"no version in {_POM}"
    return found[1]


def _kafka() -> Path:
    """Return the folder of this version's jars: another version's jars must not be beside them."""
    return STATE_DIR / "kafka" / kafka_version()


def kafka_libs() -> Path:
    """Return the folder of the jars from which Kafka is started."""
    return _kafka() / "libs"


def _fetch_kafka() -> None:
    """Bring Kafka's released jars from Maven Central to `.lab/kafka/VERSION/libs`."""
    packages = {"java": "default-jre-headless", "mvn": "maven"}
    missing = [program for program in packages if shutil.which(program) is None]
    if missing and not _can_install():
        hint = "Debian, Ubuntu: sudo apt-get install default-jre-headless maven; macOS: brew install openjdk maven"
        raise LabError(f"{' and '.join(missing)} is missing, which Kafka needs", f"{hint}; or start Docker")
    if missing:
        _install(*(packages[program] for program in missing))
    print(f"fetching Apache Kafka {kafka_version()} from Maven Central (54 MB, once)", file=sys.stderr, flush=True)
    words = ["dependency:copy-dependencies", f"-DoutputDirectory={kafka_libs()}", "-DincludeScope=runtime"]
    command = ["mvn", "-q", "-B", "--strict-checksums", "-f", str(_POM), *words]
    done = processes.finished(command, FETCH_SECONDS, capture_output=True, text=True)
    if done.returncode:
        raise LabError(f"Maven could not fetch Kafka:\n{done.stdout.strip()[-600:]}")
    (_kafka() / "ready").touch()
