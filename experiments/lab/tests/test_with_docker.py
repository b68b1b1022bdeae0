"""The lab on a real Docker engine: a clone that only its owner can read, `./lab` and plain Compose side by side.

Without an engine these tests are skipped. They build the image, so they are long.
"""

import json
import os
import shutil
import stat
import subprocess
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest
from conftest import ROOT, free_ports
from lab import client
from lab.compose import ONE, Size
from lab.paths import PARTS
from lab.services import services_of
from lab.setup import engine
from testing import wait_until

pytestmark = [
    pytest.mark.long,
    pytest.mark.timeout(900),
    pytest.mark.skipif(bool(engine.fault()), reason=f"these tests need a Docker engine: {engine.fault()}"),
]
FILES = ("Dockerfile", ".dockerignore", "pyproject.toml", "requirements.lock", "lab")
FOLDERS = ("common", "experiments", "sync-rest", "async-rabbitmq", "streaming-kafka")


@dataclass
class Clone:
    """A copy of the repository that works with Docker, on ports of its own."""

    root: Path
    ports: dict[str, str]  # by the variable that chooses each
    part: str = "sync-rest"

    def run(self, *words: str, **env: str) -> str:
        """Run a command in the folder of the part, which must succeed, and return what it said."""
        env = os.environ | {"LAB_RUNTIME": "docker", "COLUMNS": "250"} | self.ports | env
        done = subprocess.run(words, cwd=self.root / self.part, env=env, capture_output=True, text=True, timeout=600)
        assert done.returncode == 0, done.stdout + done.stderr
        return done.stdout + done.stderr

    def lab(self, *words: str, **env: str) -> str:
        """Run `./lab`."""
        return self.run("bash", "../lab", *words, **env)

    def containers(self) -> dict[str, str]:
        """Return the id and the start of each container of the part, as plain Compose finds them."""
        said = self.run("docker", "compose", "ps", "--all", "--format", "json")
        ids = {found["Service"]: found["ID"] for found in map(json.loads, said.splitlines())}
        began = {name: ["docker", "inspect", "-f", "{{.Id}} {{.State.StartedAt}}", id] for name, id in ids.items()}
        return {name: self.run(*words) for name, words in began.items()}


@pytest.fixture(scope="module")
def clone(tmp_path_factory) -> Iterator[Clone]:
    """A clone that was made with umask 077, in a folder with an apostrophe and blanks."""
    root = tmp_path_factory.mktemp("docker") / "it's week 3"
    root.mkdir()
    for name in FOLDERS:
        shutil.copytree(ROOT / name, root / name, ignore=shutil.ignore_patterns("__pycache__", ".env"))
    for name in FILES:
        shutil.copy2(ROOT / name, root / name)
    for path in (root, *root.rglob("*")):
        path.chmod(stat.S_IMODE(path.stat().st_mode) & 0o700)
    (root / ".lab").mkdir()
    (root / ".lab/venv").symlink_to(ROOT / ".lab/venv")
    made = Clone(root, _ports(ONE, "sync-rest"))
    try:
        yield made
    finally:
        made.run("docker", "compose", "down", "--volumes", "--rmi", "all")


def _ports(size: Size, part: str) -> dict[str, str]:
    """Return a free port for each variable of a part of this size that chooses one."""
    variables = [variable for service in services_of(part, {}, size).values() for variable in service.ports]
    return dict(zip(variables, map(str, free_ports(len(variables))), strict=True))


def test_lab_and_plain_compose_see_the_same_and_one_service_is_started_alone(clone: Clone):
    assert "order is ready" in clone.lab("up", "sync-rest", "--fresh")
    before = clone.containers()
    assert before.keys() == {"order", "inventory", "notification"}
    clone.lab("configure", "inventory", "delay=0.1")
    clone.run("docker", "compose", "kill", "notification")
    assert "notification │ exited" in clone.lab("status")
    clone.run("docker", "compose", "up", "--detach", "--wait")
    after = clone.containers()
    assert {name for name in after if after[name] != before[name]} == {"notification"}
    said = clone.lab("status")
    assert "delay=0.1" in said
    assert f"container {before['order'][:12]}" in said
    assert "notified" in clone.lab("order")


def test_the_containers_can_write_nothing_but_their_data(clone: Clone):
    clone.lab("up", "sync-rest")
    for path in ("/app/x", "/usr/x", "/home/campus/x"):
        words = ["sh", "-c", f"touch {path} 2>&1 || true"]
        assert "Read-only file system" in clone.run("docker", "compose", "exec", "-T", "order", *words)
    assert clone.run("docker", "compose", "exec", "-T", "order", "id", "-u").strip() == "1000"
    assert "CapEff:\t0000000000000000" in clone.run("docker", "compose", "exec", "-T", "order", "cat", "/proc/1/status")


def test_a_broken_version_runs_in_place_of_the_right_service(clone: Clone):
    clone.lab("up", "sync-rest", "--fresh", LAB_BROKEN="no_release")
    command = clone.run("docker", "compose", "ps", "--no-trunc", "--format", "{{.Command}}", "order")
    assert "no_release:create_app()" in command
    assert "notified" in clone.lab("order")
    clone.lab("up", "sync-rest", "--fresh")
    command = clone.run("docker", "compose", "ps", "--no-trunc", "--format", "{{.Command}}", "order")
    assert "no_release" not in command


def test_a_variable_in_the_env_file_counts(clone: Clone):
    file = clone.root / "sync-rest/.env"
    kept = file.read_text() if file.exists() else ""
    file.write_text(f"{kept}INITIAL_STOCK='{{\"caviar\": 3}}'\n")
    try:
        clone.lab("up", "sync-rest", "--fresh")
        assert "notified" in clone.lab("order", "--item", "caviar")
    finally:
        file.write_text(kept)
    assert clone.lab("down")
    assert clone.containers() == {}


@pytest.fixture(params=[("async-rabbitmq", "rabbitmq"), ("streaming-kafka", "kafka")], ids=lambda pair: pair[1])
def cluster(request, clone: Clone) -> Iterator[Clone]:
    """The clone with three nodes of a broker, PostgreSQL, and two inventories."""
    part, _ = request.param
    size = Size(3, {"inventory": 2}, "postgres", {"inventory.1": 8198, "inventory.2": 8199})
    ports = _ports(size, part) | _ports(ONE, part)
    ports["B_RABBITMQ_UI_PORT"] = str(free_ports(1)[0])
    made = Clone(clone.root, ports | {"LAB_START_SECONDS": "240"}, part)
    try:
        yield made
    finally:
        made.lab("down", part)
        made.run("docker", "compose", *OVERRIDE, "down", "--volumes", "--rmi", "all")


OVERRIDE = ("-f", "docker-compose.yml", "-f", "docker-compose.cluster.yml")


def test_three_nodes_and_two_replicas(cluster: Clone, request):
    broker = request.node.callspec.params["cluster"][1]
    said = cluster.lab("up", cluster.part, "--fresh", "--nodes", "3", "--replicas", "inventory=2")
    ready = [line.split()[0] for line in said.splitlines() if " is ready at " in line]
    assert ready[:4] == [f"{broker}.1", f"{broker}.2", f"{broker}.3", "postgres"]
    assert cluster.lab("status").count("│ running │ yes") == len(ready)
    assert "notified" in cluster.lab("order")
    cluster.lab("kill", "inventory.2")
    cluster.lab("kill", f"{broker}.1")
    assert cluster.lab("status").count("│ exited") == 2
    assert "notified" in cluster.lab("order")
    for name in ("inventory.2", f"{broker}.1"):
        cluster.lab("start", name)
    cluster.lab("pause", f"{broker}.2")
    assert "notified" in cluster.lab("order")
    cluster.lab("unpause", f"{broker}.2")
    said = cluster.lab("configure", "inventory", "delay=0.01")
    assert [line.partition(" ")[0] for line in said.splitlines()] == ["inventory.1", "inventory.2"]
    assert "connected" in cluster.lab("logs", "inventory.2") or broker == "kafka"
    cluster.lab("down")
    assert cluster.containers() == {}


def test_plain_compose_starts_a_cluster_and_replicas(cluster: Clone):
    cluster.run("docker", "compose", *OVERRIDE, "up", "--build", "--wait", "--scale", "inventory=2")
    said = cluster.run("docker", "compose", *OVERRIDE, "ps", "--format", "{{.Service}} {{.Health}}")
    assert said.splitlines().count("inventory healthy") == 2
    order = f"http://127.0.0.1:{cluster.ports['ABC'[PARTS.index(cluster.part)] + '_ORDER_PORT']}"
    placed = client.call("POST", f"{order}/order", json={"item": "burger", "qty": 1}).json()["order_id"]
    wait_until(lambda: client.call("GET", f"{order}/orders/{placed}").json()["status"] == "notified", 60)
