"""What the tests of the laboratory share: waiting by retrying, free ports, and a copy of the repository to play in."""

import os
import shutil
import signal
import subprocess
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

import psutil
import pytest
import testing
from lab.brokers import kafka, kafka_client
from lab.brokers.probe import answers
from lab.checker import predictions
from lab.services import Service
from lab.setup import install
from testing.needs import started

ROOT = Path(__file__).resolve().parents[3]
NEEDED = ("lab", "requirements.lock", "experiments", "common", "sync-rest")
FOREIGN = ("LAB_RUN", "INITIAL_STOCK", "INVENTORY_TIMEOUT_MS", "CONFIGURE_TOKEN", "DATABASE_URL", "TRACE_ORDERS")


@pytest.fixture(autouse=True)
def local_runtime(monkeypatch) -> None:
    """Every test runs without Docker, and outside of any experiment."""
    monkeypatch.setenv("LAB_RUNTIME", "local")
    monkeypatch.delenv("LAB_RUN", raising=False)


@pytest.fixture
def expecting(monkeypatch, tmp_path_factory) -> Callable[..., Path]:
    """A function that makes these lines the predictions of the runs made by hand, and returns their file."""

    def write(*lines: str) -> Path:
        folder = tmp_path_factory.mktemp("predictions")
        body = "".join(f"    {line}\n" for line in lines)
        text = "from lab.checker.predictions import Run, at_least, at_most, equals, largest, smallest\n\n\n"
        (folder / "a0_made.py").write_text(f"{text}def predictions(run: Run):\n{body}")
        monkeypatch.setattr(predictions, "EXPERIMENTS", folder)
        return folder / "a0_made.py"

    return write


def free_ports(count: int) -> list[int]:
    """Return ports on which nobody listens now."""
    return [testing.free_port() for _ in range(count)]


@pytest.fixture
def free_port() -> int:
    """A port on which nobody listens."""
    return free_ports(1)[0]


def _own_group_and_ctrl_c() -> None:
    """Make a child that can be interrupted, even if we were started in the background, where Ctrl-C is ignored."""
    os.setsid()
    signal.signal(signal.SIGINT, signal.SIG_DFL)


@dataclass
class Copy:
    """A copy of the repository with an empty `.lab/` and ports of its own: what runs in it disturbs nobody."""

    root: Path
    ports: dict[str, int]

    def env(self, **more: str) -> dict[str, str]:
        """Return the environment of its commands."""
        usual = {name: value for name, value in os.environ.items() if name not in FOREIGN}
        ports = {f"A_{name.upper()}_PORT": str(port) for name, port in self.ports.items()}
        return usual | {"LAB_RUNTIME": "local", "COLUMNS": "250"} | ports | more

    def popen(self, *words: str, **env: str) -> subprocess.Popen:
        """Start a command of the copy in a process group of its own."""
        return subprocess.Popen(
            [str(self.root / words[0]), *words[1:]],
            cwd=self.root,
            env=self.env(**env),
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            preexec_fn=_own_group_and_ctrl_c,
        )

    def run(self, *words: str, seconds: float = 60.0, **env: str) -> tuple[int, str]:
        """Run a command of the copy and return (its status, what it said)."""
        child = self.popen(*words, **env)
        try:
            said, _ = child.communicate(timeout=seconds)
        finally:
            child.kill()
        return child.returncode, said

    def lab(self, *words: str, **env: str) -> str:
        """Run `./lab` with these words, which must succeed, and return what it said."""
        status, said = self.run("lab", *words, **env)
        assert status == 0, said
        return said

    def services(self) -> list[psutil.Process]:
        """Return the processes that work in the copy's part."""
        return [process for process in psutil.process_iter() if _works_in(process, self.root / "sync-rest")]

    def records(self) -> list[Path]:
        """Return the files that say which services were started."""
        return sorted((self.root / ".lab/run/sync-rest").glob("*.json"))

    def clean(self) -> None:
        """Stop what is left, whatever it is."""
        for process in psutil.process_iter():
            if _works_in(process, self.root):
                process.kill()


def _works_in(process: psutil.Process, folder: Path) -> bool:
    try:
        return Path(process.cwd()).is_relative_to(folder)
    except psutil.Error:
        return False


def _make_copy(root: Path) -> Copy:
    skip = shutil.ignore_patterns("tests", ".pytest_cache", ".hypothesis")
    for name in NEEDED:
        if (ROOT / name).is_dir():
            shutil.copytree(ROOT / name, root / name, ignore=skip)
        else:
            root.mkdir(exist_ok=True)
            shutil.copy2(ROOT / name, root / name)
    (root / ".lab").mkdir()
    (root / ".lab/venv").symlink_to(ROOT / ".lab/venv")
    return Copy(root, dict(zip(("order", "inventory", "notification"), free_ports(3), strict=True)))


@pytest.fixture
def copy(tmp_path) -> Iterator[Copy]:
    """A copy of the repository for one test."""
    made = _make_copy(tmp_path / "repository")
    yield made
    made.clean()


@pytest.fixture(scope="module")
def running(tmp_path_factory) -> Iterator[Copy]:
    """A copy of the repository in which Part A is up, for all tests of a module."""
    made = _make_copy(tmp_path_factory.mktemp("running") / "repository")
    made.lab("up", "sync-rest", TRACE_ORDERS="20")
    yield made
    made.clean()


class KafkaNode(testing.Process):
    """A private Kafka node; its data outlives `kill` and `start`."""

    def __init__(self, folder: Path) -> None:
        port, controller, inside = free_ports(3)
        super().__init__("Kafka", port, folder / "said")
        self._folder = folder
        ports = {"KAFKA": port, "KAFKA_CONTROLLER": controller, "KAFKA_INSIDE": inside}
        self._ports = {f"{name}_PORT": str(number) for name, number in ports.items()}
        self.service = Service("streaming-kafka", "kafka", [], {}, "streaming-kafka", port, {}, is_broker=True)

    def start(self) -> None:
        """Start it, and wait until it answers."""
        install.ensure("kafka")
        self.run([ROOT / "streaming-kafka/broker/private_node", self._folder], folder=self._folder, env=self._ports)
        testing.wait_until(lambda: answers("kafka", [self.port], 1.0), 90, what="Kafka answers", alive=self)


@pytest.fixture(scope="session")
def kafka_node(tmp_path_factory) -> Iterator[KafkaNode]:
    """One node, for all tests that need one."""
    with started("Kafka", KafkaNode(tmp_path_factory.mktemp("kafka"))) as node:
        yield node


@pytest.fixture
def log(kafka_node: KafkaNode, monkeypatch) -> Service:
    """The node, as the Kafka of Part C, with its topics empty and no group."""
    node = kafka_node.service
    monkeypatch.setenv("C_KAFKA_PORT", str(node.port))
    kafka.empty(node)
    with kafka_client.asking(node) as client:
        shape = {"num_partitions": 2, "replication_factor": 1, "configs": {}}
        topics = dict.fromkeys(kafka.WORK, shape) | {kafka.DEAD_LETTERS: shape | {"num_partitions": 1}}
        client.create_topics(topics, wait_for_metadata=True)
    return node
