"""The brokers where there is no Docker: whether their programs are there, how to get them, whether one answers."""

import os
import shutil
import socket
import subprocess
import sys
from pathlib import Path

from lab.compose import Service
from lab.places import LabError

# Where Debian's and Homebrew's packages put them.
_RABBITMQ_FOLDERS = ("/usr/lib/rabbitmq/bin", "/opt/homebrew/sbin", "/usr/local/sbin")
_POLICY = Path("/usr/sbin/policy-rc.d")


def install(name: str) -> None:
    """Make sure that a broker's programs are there; install them where that is possible. Raises LabError."""
    if name == "rabbitmq" and not _has_rabbitmq():
        _install_rabbitmq()


def answers(service: Service, timeout: float) -> bool:
    """Return whether a broker speaks to who connects, and not only listens."""
    try:
        with socket.create_connection(("127.0.0.1", service.port), timeout) as connection:
            connection.sendall(b"AMQP\x00\x00\x09\x01")
            return connection.recv(1) == b"\x01"  # a method frame: connection.start
    except OSError:
        return False


def _has_rabbitmq() -> bool:
    folders = os.pathsep.join([*_RABBITMQ_FOLDERS, os.environ.get("PATH", os.defpath)])
    return shutil.which("rabbitmq-server", path=folders) is not None


def _install_rabbitmq() -> None:
    if shutil.which("apt-get") is None or os.geteuid() != 0:
        hint = "Debian, Ubuntu: sudo apt-get install rabbitmq-server; macOS: brew install rabbitmq; or start Docker"
        raise LabError("RabbitMQ is missing", hint)
    print("installing rabbitmq-server with apt-get (about a minute)", file=sys.stderr, flush=True)
    ours = not _POLICY.exists()
    if ours:  # the package would start a server of its own
        _POLICY.write_text("#!/bin/sh\nexit 101\n")
        _POLICY.chmod(0o755)
    try:
        env = os.environ | {"DEBIAN_FRONTEND": "noninteractive"}
        for words in (["update", "-qq"], ["install", "-qq", "-y", "--no-install-recommends", "rabbitmq-server"]):
            done = subprocess.run(["apt-get", *words], env=env, capture_output=True, text=True)
        if done.returncode:
            raise LabError(f"apt-get could not install rabbitmq-server:\n{done.stderr.strip()[-400:]}")
    finally:
        if ours:
            _POLICY.unlink()
