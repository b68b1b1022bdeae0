"""More than one of something: how the Compose files are put together, and two replicas that really share the work."""

import json
import shutil
import socket
from collections.abc import Callable, Iterable, Iterator

import pytest
from click.testing import CliRunner
from conftest import ROOT, Copy, free_ports
from lab import client, compose
from lab.brokers import rabbitmq
from lab.brokers.kafka import RESULTS
from lab.cli.main import main
from lab.compose import ONE, Size, check_size, described, size_told
from lab.errors import LabError
from lab.history import held
from lab.paths import PARTS
from lab.runtime import lifecycle, ports
from lab.runtime.processes import Seen
from lab.services import Service, addresses, by_kind, services_of
from testing import wait_until
from testing.needs import skip_without

TWO = Size(1, {"inventory": 2}, "postgres", {"inventory.1": 8150, "inventory.2": 8199})
WHOLE = Size(3, TWO.replicas, "postgres", TWO.ports)
BROKERS = {"async-rabbitmq": "rabbitmq", "streaming-kafka": "kafka"}


@pytest.fixture(autouse=True)
def state(tmp_path, monkeypatch) -> None:
    """Sizes are noted in a folder of the test's own."""
    monkeypatch.setattr(compose, "STATE_DIR", tmp_path)


@pytest.mark.parametrize("part", PARTS)
def test_one_of_everything_is_the_compose_file_alone(part):
    assert described(part, ONE) == compose._read(ROOT / part / "docker-compose.yml")


@pytest.mark.parametrize(("part", "broker"), BROKERS.items())
def test_nodes_take_the_place_of_the_broker_and_start_first(part, broker):
    services = services_of(part, {}, WHOLE)
    nodes = [f"{broker}.{n}" for n in (1, 2, 3)]
    assert list(services)[:4] == [*nodes, "postgres"]
    assert list(services)[-1] == "order"
    assert [services[name].is_broker for name in [*nodes, "postgres"]] == [True] * 4
    assert len({next(iter(services[name].volumes)) for name in nodes}) == 3
    listens = [port for name in nodes for port in services[name].ports.values()]
    assert len(listens) == len(set(listens))
    told = services["order"].environment["KAFKA_BOOTSTRAP" if broker == "kafka" else "RABBITMQ_URL"]
    assert [f"{name}:" in told for name in nodes] == [True] * 3
    needs = described(part, WHOLE)["services"]["order"]["depends_on"]
    assert {*nodes, "postgres"} <= needs.keys()


@pytest.mark.parametrize("part", BROKERS)
def test_each_replica_has_a_number_a_port_and_the_same_database(part):
    services = services_of(part, {}, TWO)
    one, two = services["inventory.1"], services["inventory.2"]
    assert (one.port, two.port) == (8150, 8199)
    assert (one.environment["INSTANCE"], two.environment["INSTANCE"]) == ("1", "2")
    assert one.environment["DATABASE_URL"] == two.environment["DATABASE_URL"]
    assert one.environment["DATABASE_URL"].endswith("/inventory")
    assert services["order"].environment["DATABASE_URL"].endswith("/order")
    assert described(part, TWO)["services"]["inventory.2"]["ports"] == ["${BIND_ADDRESS:-127.0.0.1}:8199:8199"]
    assert {service.kind for service in services.values()} >= {"inventory", "order", BROKERS[part]}
    assert by_kind(services)["inventory"].urls == ["http://127.0.0.1:8150", "http://127.0.0.1:8199"]
    assert by_kind(by_kind(services)) == by_kind(services)


@pytest.mark.parametrize("size", [ONE, Size(3)])
def test_what_a_broker_holds_at_the_end_is_kept_however_many_nodes_it_has(size, monkeypatch):
    """Dead letters, and which results are in the log: without them some invariants would hold for want of evidence."""
    monkeypatch.setattr(held, "services_of", lambda part: services_of(part, {}, size))
    monkeypatch.setattr(held.dead_letters, "as_state", lambda broker: [{"what": "dead", "of": broker.kind}])
    monkeypatch.setattr(held.kafka, "read_all", lambda *_: [])
    lines = held.state({"part": "streaming-kafka"})  # no service runs
    assert [line.get("of", line.get("topic")) for line in lines if line["what"] != "missing"] == ["kafka", *RESULTS]


@pytest.mark.parametrize("part", BROKERS)
def test_what_was_not_chosen_is_left_out_and_named_nowhere(part):
    for size, gone in ((TWO, (f"{BROKERS[part]}.1",)), (Size(3), ("postgres",))):
        services = services_of(part, {}, size)
        assert not set(gone) & services.keys()
        told = json.dumps([service.environment for service in services.values()])
        assert not any(f"{name}:" in told for name in gone)
        shapes = described(part, size)["services"].values()
        assert not any(set(gone) & shape.get("depends_on", {}).keys() for shape in shapes)


def test_a_broker_of_three_nodes_has_three_addresses(monkeypatch):
    compose.set_size("streaming-kafka", WHOLE)
    found = addresses("streaming-kafka")
    assert found["KAFKA_BOOTSTRAP"] == "127.0.0.1:8031,127.0.0.1:8032,127.0.0.1:8033"
    assert found["INVENTORY_2_URL"] == "http://127.0.0.1:8199"
    compose.set_size("streaming-kafka", ONE)
    assert addresses("streaming-kafka")["KAFKA_BOOTSTRAP"] == "127.0.0.1:8024"


@pytest.mark.parametrize(
    ("part", "size", "said"),
    [
        ("sync-rest", Size(replicas={"inventory": 2}, database="postgres"), "it scales by threads"),
        ("sync-rest", Size(3), "sync-rest has no broker"),
        ("streaming-kafka", Size(2), "2 nodes of kafka are not possible"),
        ("streaming-kafka", Size(replicas={"inventory": 2}), "SQLite is for one process"),
        ("async-rabbitmq", Size(replicas={"rabbitmq": 3}, database="postgres"), "no service rabbitmq that can have"),
        ("async-rabbitmq", Size(replicas={"inventory": 99}, database="postgres"), "99 replicas of inventory"),
    ],
)
def test_a_size_that_cannot_be_is_refused(part, size, said):
    with pytest.raises(LabError, match=said):
        check_size(part, size)


def test_what_the_options_mean():
    assert size_told(None, ("inventory=4", "notification=1"), None) == Size(1, {"inventory": 4}, "postgres")
    assert size_told(3, (), None) == Size(3)
    for word in ("inventory", "inventory=0", "inventory=-1", "inventory=two"):
        done = CliRunner().invoke(main, ["up", "async-rabbitmq", "--replicas", word])
        assert (done.exit_code, done.output.splitlines()[0]) == (2, f"lab: {word} is not SERVICE=N")


def test_ports_of_replicas_are_free_stay_the_same_and_can_be_chosen(monkeypatch):
    wanted = Size(1, {"inventory": 3}, "postgres")
    monkeypatch.setenv("B_INVENTORY_3_PORT", "9003")
    with socket.create_server(("127.0.0.1", 0)) as other:
        taken = other.getsockname()[1]
        monkeypatch.setattr(ports, "ADDED", [taken, *free_ports(4)])
        size = ports.with_ports("async-rabbitmq", wanted)
    assert size.ports == {"inventory.1": ports.ADDED[1], "inventory.2": ports.ADDED[2], "inventory.3": 9003}
    compose.set_size("async-rabbitmq", size)
    assert ports.with_ports("async-rabbitmq", wanted) == size  # the first port is free now, and was not taken
    kafka = ports.with_ports("streaming-kafka", Size(1, {"inventory": 2}, "postgres"))
    assert not set(kafka.ports.values()) & set(size.ports.values())


def test_one_of_several_is_named_by_its_number():
    compose.set_size("async-rabbitmq", TWO)
    runtime = lifecycle.choose()
    assert lifecycle.find(runtime, "async-rabbitmq/inventory.2").port == 8199
    assert [s.name for s in lifecycle.find_all(runtime, "async-rabbitmq/inventory")] == ["inventory.1", "inventory.2"]
    with pytest.raises(LabError, match="there are 2 of async-rabbitmq/inventory") as refused:
        lifecycle.find(runtime, "async-rabbitmq/inventory")
    assert "inventory.1, inventory.2" in refused.value.hint


class Starting:
    """A runtime that only notes what is started, and what is waited for, in their order."""

    name = "local"

    def __init__(self) -> None:
        self.done: list[str] = []

    def start(self, *services: Service) -> None:
        new = [service.name for service in services if f"start {service.name}" not in self.done]
        self.done += [f"start {name}" for name in new]

    def look(self, services: Iterable[Service]) -> list[Seen]:
        return [Seen("exited", "") for _ in services]

    def __getattr__(self, _name: str) -> Callable[..., str]:
        return lambda *_, **__: ""


@pytest.mark.parametrize(("part", "broker"), BROKERS.items())
def test_all_nodes_are_there_before_any_service_starts(part, broker, monkeypatch, tmp_path):
    """A service declares queues and topics: those that are made before all nodes joined have too few members."""
    starting = Starting()
    monkeypatch.setattr(lifecycle, "STATE_DIR", tmp_path)
    monkeypatch.setattr(lifecycle, "_check_other", lambda *_: None)
    monkeypatch.setattr(lifecycle, "wait_ready", lambda _, service: starting.done.append(f"wait {service.name}"))
    monkeypatch.setattr(rabbitmq, "version", lambda _: "4.3.0")
    lifecycle.up(starting, part, size=Size(3), say=lambda _: None)  # type: ignore[arg-type]
    nodes = [f"{broker}.{n}" for n in (1, 2, 3)]
    assert starting.done[:3] == [f"start {name}" for name in nodes]
    assert starting.done[3:6] == [f"wait {name}" for name in nodes]
    assert starting.done[-1] == "wait order"


@pytest.fixture
def two_inventories(copy: Copy) -> Iterator[Copy]:
    """Part B with two inventories on one broker, in a copy."""
    skip_without("RabbitMQ", "Postgres")
    shutil.copytree(ROOT / "async-rabbitmq", copy.root / "async-rabbitmq", ignore=shutil.ignore_patterns("tests"))
    names = ("ORDER", "INVENTORY", "NOTIFICATION", "RABBITMQ", "POSTGRES", "INVENTORY_1", "INVENTORY_2")
    more = {f"B_{name}_PORT": str(port) for name, port in zip(names, free_ports(len(names)), strict=True)}
    usual = copy.env
    copy.env = lambda **told: usual(**more, **told)  # type: ignore[method-assign]
    try:
        yield copy
    finally:
        copy.run("lab", "down")


def test_two_inventories_share_the_orders_and_one_goes_on_alone(two_inventories: Copy):
    lab, env = two_inventories.lab, two_inventories.env()
    status, said = two_inventories.run("lab", "up", "async-rabbitmq", "--replicas", "inventory=2", seconds=200.0)
    assert (status, "inventory.2 is ready" in said) == (0, True), said
    assert lab("status").count("│ running │ yes") == 6
    lab("load", "both", "--clients", "4", "--count", "60")
    urls = [f"http://127.0.0.1:{env[f'B_INVENTORY_{n}_PORT']}" for n in (1, 2)]

    def done(url: str) -> int:
        return int(client.metric(url, "messages_total", queue="order-placed", outcome="done") or 0)

    wait_until(lambda: sum(map(done, urls)) == 60, what="both have done all orders between them")
    assert min(map(done, urls)) > 0
    lab("kill", "inventory.1")
    assert "notified" in lab("order")
    assert lab("configure", "inventory.2", "delay=0.5").startswith('{"delay": 0.5')
