"""The brokers where there is no Docker: whether their programs are there, how to get them, whether one answers."""

import os
import shutil
import socket
import sys
from pathlib import Path

from lab import processes, rabbit
from lab.compose import Service
from lab.places import HIDDEN, ROOT, LabError

# Where Debian's and Homebrew's packages put them.
_RABBITMQ_FOLDERS = ("/usr/lib/rabbitmq/bin", "/opt/homebrew/sbin", "/usr/local/sbin")
_KAFKA = HIDDEN / "kafka"
# What a client says first, and how a broker's answer begins: AMQP 0.9.1 and a method frame; ApiVersions, and a reply.
HELLO = {
    "rabbitmq": (b"AMQP\x00\x00\x09\x01", b"\x01"),
    "kafka": (b"\x00\x00\x00\x0a\x00\x12\x00\x00\x00\x00\x00\x01\xff\xff", b"\x00\x00"),
}
FETCH_SECONDS = 1800.0  # packages and jars may come over a slow line
_POLICY = Path("/usr/sbin/policy-rc.d")


def install(name: str) -> None:
    """Make sure that a broker's programs are there; install them where that is possible. Raises LabError."""
    if name == "rabbitmq" and not _has_rabbitmq():
        _install_rabbitmq()
    if name == "kafka" and not (_KAFKA / "ready").exists():
        _fetch_kafka()


def emptied(service: Service) -> bool:
    """Delete everything that a broker holds, if it can be asked to; return whether it is empty now."""
    from lab import kafka  # which asks here whether its broker answers

    try:
        {"rabbitmq": rabbit.empty, "kafka": kafka.empty}[service.name](service)
    except LabError:
        return False
    return True


def answers(service: Service, timeout: float) -> bool:
    """Return whether a broker speaks to who connects, and not only listens."""
    try:
        with socket.create_connection(("127.0.0.1", service.port), timeout) as connection:
            hello, reply = HELLO[service.name]
            connection.sendall(hello)
            return connection.recv(len(reply)) == reply
    except OSError:
        return False


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


def _fetch_kafka() -> None:
    """Bring Kafka's released jars from Maven Central to `.lab/kafka/libs`."""
    packages = {"java": "default-jre-headless", "mvn": "maven"}
    missing = [program for program in packages if shutil.which(program) is None]
    if missing and not _can_install():
        hint = "Debian, Ubuntu: sudo apt-get install default-jre-headless maven; macOS: brew install openjdk maven"
        raise LabError(f"{' and '.join(missing)} is missing, which Kafka needs", f"{hint}; or start Docker")
    if missing:
        _install(*(packages[program] for program in missing))
    print("fetching Apache Kafka from Maven Central (54 MB, once)", file=sys.stderr, flush=True)
    pom = ROOT / "streaming-kafka" / "broker" / "pom.xml"
    words = ["dependency:copy-dependencies", f"-DoutputDirectory={_KAFKA / 'libs'}", "-DincludeScope=runtime"]
    command = ["mvn", "-q", "-B", "-f", str(pom), *words]
    done = processes.finished(command, FETCH_SECONDS, capture_output=True, text=True)
    if done.returncode:
        raise LabError(f"Maven could not fetch Kafka:\n{done.stdout.strip()[-600:]}")
    (_KAFKA / "ready").touch()
