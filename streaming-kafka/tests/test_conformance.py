"""The simulated Kafka does what the real one does: each scenario ends equally in both."""

import time

import pytest
from broker import clients, kafka_workarounds
from lab.simulation.kafka import clients as simulated
from lab.simulation.kafka.broker import Broker
from scenarios import SCENARIOS, SESSION_MS, Setting
from testing import wait_until


class RealSetting(Setting):
    """The node of the tests."""

    def __init__(self, node, name: str) -> None:
        super().__init__(name)
        self._node, self.bootstrap = node, node.bootstrap

    def wait(self, seconds: float) -> None:
        time.sleep(seconds)

    def until(self, true):
        return wait_until(true, 60, alive=self._node)

    def stop_broker(self) -> None:
        self._node.kill()

    def start_broker(self) -> None:
        self._node.start()


class SimulatedSetting(Setting):
    """A broker in memory, and virtual time. It is also the process that its clients are in."""

    bootstrap = "127.0.0.1:1"

    def __init__(self, name: str) -> None:
        super().__init__(name)
        self.seconds = 0.0
        self.broker = Broker(self.now)

    def wait(self, seconds: float) -> None:
        for _ in range(20):
            self.seconds += seconds / 20
            self.broker.tick()
            for client in self._clients:
                getattr(client, "turn", lambda: None)()

    def until(self, true):
        for _ in range(400):
            if value := true():
                return value
            self.wait(0.1)
        raise AssertionError("not in 40 s")

    def stop_broker(self) -> None:
        self.broker.is_up = False

    def start_broker(self) -> None:
        self.broker.start()

    def now(self) -> float:
        return self.seconds

    def effect(self, name: str) -> None:
        """Nothing happens here."""

    def sleep(self, seconds: float) -> None:
        self.wait(seconds)

    def reaches(self) -> bool:
        return self.broker.is_up

    def back_in(self) -> float:
        return float("inf")

    def beats(self) -> bool:
        return self.broker.is_up

    def record(self, *_, **__) -> None:
        """Nothing is written down."""


@pytest.fixture
def in_memory(monkeypatch):
    """A function that makes a simulated setting; the clients are real again afterwards."""
    before = {module: dict(vars(module)) for module in (clients, kafka_workarounds)}
    monkeypatch.setattr(clients, "SESSION_MS", SESSION_MS)

    def make(name: str) -> SimulatedSetting:
        setting = SimulatedSetting(name)
        simulated.patch(lambda: (setting, setting.broker))
        return setting

    yield make
    for module, names in before.items():
        vars(module).update(names)


@pytest.mark.parametrize("name", SCENARIOS)
def test_in_the_simulation(in_memory, name):
    scenario, outcome, _ = SCENARIOS[name]
    assert scenario(in_memory(name)) == outcome


def real(name: str):
    return pytest.param(name, marks=[] if SCENARIOS[name][2] else pytest.mark.long)


@pytest.mark.parametrize("name", [real(name) for name in SCENARIOS])
def test_on_the_real_node(node, monkeypatch, name):
    node.start()
    monkeypatch.setattr(clients, "SESSION_MS", SESSION_MS)
    scenario, outcome, _ = SCENARIOS[name]
    setting = RealSetting(node, f"{name}-{time.monotonic_ns()}")
    try:
        assert scenario(setting) == outcome
    finally:
        setting.close()


def test_there_are_enough_scenarios():
    assert len(SCENARIOS) >= 25
    assert sum(plain for *_, plain in SCENARIOS.values()) == 5
