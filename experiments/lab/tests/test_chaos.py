"""Chaos: its schedule is a pure function of a seed, and what is done of it is noted, whatever gets in its way."""

import hashlib
import itertools
import json
import threading
from collections import Counter
from dataclasses import asdict

import psutil
import pytest
from campus.faults import ANSWERING, CONSUMING, Faults
from conftest import Copy, free_ports
from hand_made import Raw, accepted, good, items
from lab import compose
from lab.checker.invariants import RunIndex
from lab.checker.losses import duplicated, lost, unresolved
from lab.client import call
from lab.compose import Size
from lab.errors import LabError
from lab.faults import inject, messages
from lab.faults import run as chaos_run
from lab.faults import schedule as chaos
from lab.faults.schedule import Fault, schedule
from lab.history.model import HISTORY
from lab.history.recorder import RunRecorder
from lab.paths import PARTS
from lab.report import chaos as chaos_report
from lab.report import index
from lab.report import run as run_report
from lab.runtime import data, lifecycle, local, processes
from lab.services import Service, by_kind, services_of
from testing import wait_until

MANY = [(part, seed, minutes) for part in PARTS for seed in range(8) for minutes in (0.2, 0.8, 3.0)]


def test_a_seed_draws_these_faults_on_every_machine():
    assert [(f.at, f.kind, f.service, f.seconds, f.settings) for f in schedule("streaming-kafka", 1, 0.3)] == EXAMPLE
    texts = "".join(json.dumps([asdict(f) for f in schedule(part, 7, 2.0)]) for part in PARTS)
    assert hashlib.sha256(texts.encode()).hexdigest() == DIGEST


EXAMPLE = [
    (1.5, "kill", "notification", 3.0, {}),
    (5.8, "freeze", "analytics", 4.9, {}),
    (7.8, "configure", "inventory", 1.4, {"failure_rate": 0.29, "failure_mode": "drop", "expires_in": 4.4}),
    (11.2, "broker_frozen", "kafka", 3.3, {}),
    (13.3, "freeze", "inventory", 2.2, {}),
]
DIGEST = "aa3ef65d2f18c720c3c7ced15b1db8ebc5cc6f2fda6aae1f90e988469c5f0a7c"


def test_other_seeds_and_parts_draw_others():
    drawn = [json.dumps([asdict(f) for f in schedule(part, seed, 0.8)]) for part in PARTS for seed in range(1, 6)]
    assert len(set(drawn)) == len(drawn)


def test_a_schedule_has_a_kill_and_a_freeze_and_is_mended_before_the_load_ends():
    for part, seed, minutes in MANY:
        faults = schedule(part, seed, minutes)
        assert {"kill", "freeze"} <= {f.kind for f in faults}
        assert [f.at for f in faults] == sorted(f.at for f in faults)
        assert all(f.kind in chaos_run.RECOVERIES or f.seconds == 0 for f in faults)
        assert max(f.until for f in faults) <= 60 * minutes - chaos.END


def test_every_kind_comes_in_a_minute():
    for part in PARTS:
        kinds = Counter(f.kind for seed in range(20) for f in schedule(part, seed, 0.8))
        assert set(kinds) == set(chaos.kinds_of(part))
    assert set(chaos_run.DOING) == set(chaos.KINDS)
    assert set(chaos.KINDS) - set(chaos.kinds_of("async-rabbitmq")) == {"replica_added"}
    assert set(chaos.KINDS) - set(chaos.kinds_of("sync-rest")) == {"broker", "broker_frozen", "replica_added"}


def test_a_part_is_given_only_faults_that_it_has():
    for part, seed, minutes in MANY:
        services = services_of(part)
        broker = part in chaos.BROKERS
        points = ("before_commit", "after_commit", *(("after_publish",) if broker else ()))
        understood = Faults(CONSUMING if broker else ANSWERING, points=points)
        for fault in schedule(part, seed, minutes):
            assert services[fault.service].is_broker == (fault.kind in (*chaos.BROKER, *BY_BROKER) and broker)
            if fault.kind in ("configure", "flaps", "crash"):
                understood.configure(fault.settings)
            if fault.kind in ("configure", "flaps"):
                assert fault.settings["expires_in"] >= fault.seconds


BY_BROKER = ("duplicates", "poison")


def test_a_service_meets_one_fault_at_a_time_and_never_too_many_meet_one():
    for part, seed, minutes in MANY:
        faults = schedule(part, seed, minutes)
        for n, fault in enumerate(faults):
            assert sum(f.until > fault.at for f in faults[:n]) < chaos.AT_ONCE
            before = [f for f in faults[:n] if f.service == fault.service]
            assert all(f.until + chaos.rest_after(part, f) <= fault.at for f in before)


@pytest.mark.parametrize("part", chaos.BROKERS)
def test_a_cluster_meets_a_node_killed_a_replica_killed_and_a_replica_added(part):
    whole = Size(3, {"inventory": 3}, "postgres", {f"inventory.{n}": 8150 + n for n in (1, 2, 3)})
    services, nodes, drawn = services_of(part, {}, whole), {f"{chaos.BROKERS[part].NAME}.{n}" for n in (1, 2, 3)}, []
    for seed in range(20):
        faults = schedule(part, seed, 0.8, cluster=True)
        drawn += faults
        assert {"kill", "freeze", "broker", "replica_added"} <= {fault.kind for fault in faults}
        of_nodes = [fault for fault in faults if fault.kind in chaos.BROKER]
        for one, next_one in itertools.pairwise(of_nodes):  # never two of three are away
            assert one.until + chaos.LONG_REST <= next_one.at
    assert {fault.kind for fault in drawn} == set(chaos.kinds_of(part, cluster=True))
    assert {fault.service for fault in drawn if fault.kind in chaos.BROKER} == nodes
    assert {fault.service for fault in drawn if fault.kind == "replica_added"} == {"inventory.3"}
    assert {fault.service for fault in drawn if fault.kind == "kill"} >= {"inventory.1", "inventory.2", "order"}
    assert {fault.service for fault in drawn} <= {*services, *by_kind(services)}


def test_who_died_in_a_group_of_kafka_is_left_alone_for_a_session():
    assert chaos.rest_after("streaming-kafka", Fault(0.0, "crash", "order")) >= 10
    assert chaos.rest_after("async-rabbitmq", Fault(0.0, "kill", "order")) < 10


def test_no_message_can_meet_five_failures():
    for part, seed, minutes in MANY:
        failing = [f for f in schedule(part, seed, minutes) if f.fails]
        for n, fault in enumerate(failing):
            assert fault.seconds < 7  # the third failure is 3 s after the first, the fourth 7 s
            assert all(f.service != fault.service or f.until + 16 <= fault.at for f in failing[:n])


@pytest.mark.parametrize("minutes", [0.0, 0.1, 61.0, float("nan")])
def test_a_time_that_makes_no_sense_is_refused(minutes):
    with pytest.raises(LabError, match="chaos cannot last"):
        schedule("sync-rest", 1, minutes)


class Machine:
    """A runtime that only writes down what it is told."""

    name = "local"

    def __init__(self) -> None:
        self.done: list[str] = []
        self.states: dict[str, str] = {}

    def state(self, service: Service) -> str:
        return self.states.get(service.name, "running")

    def start(self, service: Service) -> None:
        self.done.append(f"start {service.name}")

    def stop(self, service: Service) -> None:
        self.done.append(f"stop {service.name}")

    def signal(self, service: Service, verb: str) -> None:
        if self.state(service) == "exited":
            raise LabError(f"{service.name} does not run")
        self.done.append(f"{verb} {service.name}")


@pytest.fixture
def machine(monkeypatch) -> Machine:
    """A machine on which nobody answers."""
    made = Machine()
    monkeypatch.setattr(lifecycle, "choose", lambda: made)
    monkeypatch.setattr(lifecycle, "wait_ready", lambda *_: None)
    for name, port in zip(("ORDER", "INVENTORY", "NOTIFICATION"), free_ports(3), strict=True):
        monkeypatch.setenv(f"A_{name}_PORT", str(port))
    return made


@pytest.fixture
def recorder(tmp_path, monkeypatch) -> RunRecorder:
    """A run of Part A whose load has begun."""
    made = RunRecorder.begin(tmp_path / "run", {"part": "sync-rest"})
    monkeypatch.setenv("LAB_RUN", str(made.folder))
    made.record(type="begins", phase="chaos")
    return made


def noted(recorder: RunRecorder, kind: str) -> list[dict]:
    return [line for line in recorder.lines() if line["type"] == kind]


def test_what_is_done_is_noted_as_the_scripts_do_it(recorder, machine):
    faults = [Fault(0.1, "kill", "inventory", 0.3), Fault(0.2, "freeze", "order", 0.1)]
    chaos_run.carry_out(recorder, faults, lambda _: None)
    # each fault has a thread of its own: their order among themselves is the machine's affair
    assert [done for done in machine.done if "inventory" in done] == ["kill inventory", "start inventory"]
    assert [done for done in machine.done if "order" in done] == ["pause order", "unpause order"]
    assert sorted(f"{e['verb']} {e['service']}" for e in noted(recorder, "fault")) == sorted(machine.done)
    began = noted(recorder, "begins")[0]["at"]
    inventory, order = sorted(noted(recorder, "carried out"), key=lambda note: note["fault"])
    assert (inventory["fault"], order["fault"]) == (0, 1)
    assert order["done"]
    assert inventory["done"]
    assert order["began"] >= began + 0.2
    assert inventory["ended"] >= began + 0.4


def test_a_replica_is_added_and_taken_away_and_a_node_is_killed_and_comes_back(tmp_path, machine, monkeypatch):
    monkeypatch.setattr(compose, "STATE_DIR", tmp_path)
    size = Size(3, {"inventory": 3}, "postgres", {f"inventory.{n}": 8150 + n for n in (1, 2, 3)})
    compose.set_size("streaming-kafka", size)
    recorder = RunRecorder.begin(tmp_path / "chaos", {"part": "streaming-kafka"})
    monkeypatch.setenv("LAB_RUN", str(recorder.folder))
    recorder.record(type="begins", phase="chaos")
    faults = [Fault(0.0, "replica_added", "inventory.3", 0.3), Fault(0.1, "broker", "kafka.2", 0.1)]
    chaos_run.carry_out(recorder, faults, lambda _: None)
    assert [done for done in machine.done if "inventory" in done] == ["start inventory.3", "stop inventory.3"]
    assert [done for done in machine.done if "kafka" in done] == ["kill kafka.2", "start kafka.2"]
    assert [e["done"] for e in noted(recorder, "carried out")] == [True, True]


def test_what_cannot_be_done_is_noted_and_stops_nothing(recorder, machine):
    machine.states["order"] = "exited"
    faults = [
        Fault(0.0, "freeze", "order", 0.1),
        Fault(0.0, "configure", "inventory", 0.1, {"delay": 1}),
        Fault(0.0, "duplicates", "inventory"),
        Fault(0.2, "kill", "notification", 0.1),
    ]
    chaos_run.carry_out(recorder, faults, lambda _: None)
    came = {e["fault"]: e for e in noted(recorder, "carried out")}
    assert [came[n]["done"] for n in range(4)] == [False, False, False, True]
    assert came[0]["said"] == "order does not run"
    assert "does not answer" in came[1]["said"]
    assert machine.done == ["kill notification", "start notification"]


def test_an_interrupted_schedule_does_nothing_more(recorder, machine, monkeypatch):
    monkeypatch.setitem(chaos_run.DOING, "poison", lambda *_: 1 / 0)
    with pytest.raises(ZeroDivisionError):
        chaos_run.carry_out(recorder, [Fault(0.0, "poison", "order"), Fault(50.0, "kill", "order", 1.0)], print)
    assert machine.done == []


def test_all_is_healed(recorder, machine, monkeypatch):
    machine.states = {"order": "paused", "notification": "exited"}
    asked = []

    def reset(service: Service) -> None:
        asked.append(service.name)
        if service.name == "inventory":
            raise LabError("no answer")

    said = []
    monkeypatch.setattr(inject, "reset", reset)
    chaos_run.heal("sync-rest", said.append)
    assert machine.done == ["start notification", "start inventory", "unpause order", "start order"]
    assert asked == ["notification", "inventory", "order"]
    assert said == ["  inventory cannot be healed: no answer"]


def test_connections_flap_until_the_end_of_the_fault(recorder, machine, monkeypatch):
    told = []
    monkeypatch.setattr(inject, "configure", lambda service, settings: told.append(settings))
    monkeypatch.setattr(inject, "reset", lambda service: told.append("reset"))
    monkeypatch.setattr(chaos_run, "FLAP", 0.05)
    settings = {"failure_mode": "drop", "failure_rate": 1.0}
    chaos_run.carry_out(recorder, [Fault(0.0, "flaps", "order", 0.2, settings)], print)
    assert told[:2] == [settings, "reset"]
    assert told[-1] == "reset"
    assert noted(recorder, "carried out")[0]["done"]


@pytest.mark.parametrize("kind", ["database_away", "disk_full"])
def test_what_cannot_be_taken_is_not_given_back(recorder, machine, kind):
    chaos_run.carry_out(recorder, [Fault(0.0, kind, "order", 0.1)], print)
    [came] = noted(recorder, "carried out")
    assert (came["done"], came["said"]) == (False, "this fault needs local processes")
    assert noted(recorder, "fault") == []


@pytest.mark.parametrize(("point", "done"), [(None, True), ("after_commit", False)])
def test_a_crash_shows_in_what_the_service_forgot(recorder, machine, monkeypatch, point, done):
    def configure(service: Service, settings: dict) -> None:
        raise LabError("it died before it answered")

    monkeypatch.setattr(inject, "configure", configure)
    monkeypatch.setattr(inject, "configured", lambda service: {"crash_point": point})
    monkeypatch.setattr(inject, "reset", lambda service: None)
    machine.states["order"] = "exited"
    chaos_run.carry_out(recorder, [Fault(0.0, "crash", "order", 0.1, {"crash_point": "after_commit"})], print)
    [came] = noted(recorder, "carried out")
    assert (came["done"], came["said"]) == (done, "it crashed" if done else "it did not come to that point")
    assert machine.done == ["start order"]


def test_a_service_that_cannot_be_asked_is_not_told_to_crash(recorder, machine, monkeypatch):
    told = []
    monkeypatch.setattr(inject, "configure", lambda service, settings: told.append(service.name))
    chaos_run.carry_out(recorder, [Fault(0.0, "crash", "order", 0.1, {"crash_point": "after_commit"})], print)
    [came] = noted(recorder, "carried out")
    assert not came["done"]
    assert "does not answer" in came["said"]
    assert told == []


def test_a_process_may_be_started_in_any_thread(tmp_path):
    def start() -> None:
        with processes.uninterrupted():
            (tmp_path / "started").touch()

    thread = threading.Thread(target=start)
    thread.start()
    thread.join()
    assert (tmp_path / "started").exists()


@pytest.fixture
def part_a(running: Copy, monkeypatch) -> Copy:
    """Part A, up, for what speaks to it."""
    for name, port in running.ports.items():
        monkeypatch.setenv(f"A_{name.upper()}_PORT", str(port))
    return running


def ready(service: Service) -> bool:
    return lifecycle.is_ready(service, timeout=5.0)


@pytest.mark.skipif(not hasattr(psutil, "RLIMIT_FSIZE"), reason="a disk can be made full on Linux only")
@pytest.mark.parametrize("kind", ["database_away", "disk_full"])
def test_a_service_without_its_database_is_not_ready_and_works_again_afterwards(part_a, recorder, monkeypatch, kind):
    for module in (local, data):
        monkeypatch.setattr(module, "STATE_DIR", part_a.root / ".lab")
    services = services_of("sync-rest")
    fault = Fault(0.0, kind, "inventory", 1.0)
    deed = chaos_run.Deed(recorder, 0, fault)
    chaos_run.DOING[kind](deed)
    try:
        wait_until(lambda: not ready(services["inventory"]))
        assert ready(services["notification"])
    finally:
        chaos_run.RECOVERIES[kind](deed)
    wait_until(lambda: ready(services["inventory"]))
    place(services["order"], 1)
    assert [e["verb"] for e in noted(recorder, "fault")] == ["take", "give back"]


def place(order: Service, count: int) -> None:
    for n in range(count):
        body = {"user_id": f"chaos-{n}", "items": items()}
        assert call("POST", f"{order.url}/order", json=body).status_code == 201


def test_what_was_reserved_is_asked_for_again_and_changes_nothing(part_a, recorder):
    services = services_of("sync-rest")
    deed = chaos_run.Deed(recorder, 3, Fault(0.0, "duplicates", "inventory"))
    with pytest.raises(LabError, match="too few orders are finished"):
        chaos_run.DOING["duplicates"](deed)
    place(services["order"], chaos_run.COPIES)
    stock = call("GET", f"{services['inventory'].url}/stock").json()
    assert chaos_run.DOING["duplicates"](deed) == "20 reservations asked for again"
    assert call("GET", f"{services['inventory'].url}/stock").json() == stock


def test_malformed_requests_are_refused(part_a, recorder, monkeypatch):
    url = services_of("sync-rest")["order"].url
    orders = len(call("GET", f"{url}/orders").json()["orders"])
    deed = chaos_run.Deed(recorder, 0, Fault(0.0, "poison", "order"))
    assert chaos_run.DOING["poison"](deed) == "21 malformed requests, all refused"
    assert len(call("GET", f"{url}/orders").json()["orders"]) == orders
    fine = json.dumps({"user_id": "chaos-x", "items": items()}).encode()
    monkeypatch.setattr(messages, "poisons", lambda *_: {"no poison at all": fine})
    with pytest.raises(LabError, match=r"malformed requests were answered .201: 1."):
        chaos_run.DOING["poison"](deed)


def breaks(name: str) -> Raw:
    raw = good()
    if name == "gone":
        raw.remove("order", "o0")
    if name == "failed after 201":
        raw.find("order", "o0")["status"] = "failed"
    if name == "notified without notification":
        raw.remove("notification", "o0")
    if name == "notified without reservation":
        raw.remove("reservation", "o0")
    if name == "open":
        raw.find("order", "o2")["status"] = "unknown"
    if name == "two notifications":
        raw.notification("o0", "a-0", 1.3)
    if name == "two reservations":
        raw.reservation("o0", "reserved", 1.3, items(2))
    if name == "two orders":
        raw.order("o9", "a-3", items(1), (4.1, "placed"), (4.2, "reserved"), (4.6, "notified"))
        raw.reservation("o9", "reserved", 4.15, items(1))
    return raw


@pytest.mark.parametrize(
    ("name", "losses"),
    [
        ("nothing", ([], [], [])),
        ("gone", (["a-0"], [], [])),
        ("failed after 201", (["a-0"], [], [])),
        ("notified without notification", (["a-0"], [], [])),
        ("notified without reservation", (["a-0"], [], [])),
        ("open", ([], [], ["o2"])),
        ("two notifications", ([], ["o0"], [])),
        ("two reservations", ([], ["o0"], [])),
        ("two orders", ([], ["a-3"], [])),
    ],
)
def test_the_losses_name_each_order(name, losses):
    evidence = RunIndex(breaks(name).run())
    assert (lost(evidence), duplicated(evidence), unresolved(evidence)) == losses


def test_an_accepted_order_may_fail():
    assert lost(RunIndex(accepted().run())) == []


def chaotic(raw: Raw) -> Raw:
    """Add a schedule of two faults, of which one was done."""
    faults = [Fault(0.5, "kill", "inventory", 4.0), Fault(2.0, "configure", "order", 1.0, {"delay": 0.2})]
    raw.add("begins", 1.0, phase="a")
    kinds = list(chaos.kinds_of("sync-rest"))
    raw.add("schedule", 0.9, seed=7, minutes=0.8, faults=[asdict(fault) for fault in faults], kinds=kinds)
    raw.add("carried out", 5.5, fault=0, began=1.5, ended=5.5, done=True, said="")
    raw.add("carried out", 4.1, fault=1, began=3.0, ended=4.1, done=False, said="no answer")
    return raw


EXPECTED = (
    'yield equals("a0-losses", "lost", run.lost + run.duplicated + run.unresolved, 0, unit="orders")',
    'yield equals("a0-done", "done", run.faults_done(), 1)',
    'yield equals("a0-drawn", "drawn", run.faults_drawn + run.faults_done("kill") - run.faults_done("configure"), 3)',
)


def test_a_report_sets_what_was_planned_beside_what_was_done(tmp_path, expecting):
    expecting(*EXPECTED)
    folder = chaotic(accepted()).write(tmp_path)
    summary = run_report.make(folder)
    assert [p["verdict"] for p in summary["predictions"]] == ["pass"] * 3
    assert summary["chaos"]["seed"] == 7
    assert summary["chaos"]["planned"]["configure"] == 1
    assert summary["chaos"]["counts"]["sent"] == 5
    assert summary["chaos"]["counts"]["configure"] == 0
    text = (folder / "report.md").read_text()
    assert "| 0.5 s | 4.5 s | kill | inventory | 0.5 s | 4.5 s | done |" in text
    assert "| 2.0 s | 3.0 s | configure delay=0.2 | order | 2.0 s | 3.1 s | not done: no answer |" in text


def test_a_report_counts_the_kinds_that_could_be_drawn(tmp_path):
    raw = chaotic(accepted())
    [schedule] = [line for line in raw.events if line["type"] == "schedule"]
    schedule["faults"].append(asdict(Fault(3.0, "database_away", "order", 1.0)))
    raw.add("fault", 3.0, verb="take", service="order", value="its database")
    raw.add("fault", 4.0, verb="give back", service="order", value="its database")
    raw.add("carried out", 4.0, fault=2, began=3.0, ended=4.0, done=True, said="")
    folder = raw.write(tmp_path)
    assert run_report.make(folder)["chaos"]["planned"] == dict.fromkeys(chaos.kinds_of("sync-rest"), 0) | {
        "kill": 1, "configure": 1, "database_away": 1,
    }  # fmt: skip
    text = (folder / "report.md").read_text()
    assert "| 3.0 s | 4.0 s | lock its database for writing | order | 2.0 s | 3.0 s | done |" in text
    assert "| order | without its database | 3.0 s | 4.0 s | 1.0 s |" in text


def test_the_losses_of_a_run_whose_state_is_not_known_are_not_known(expecting):
    expecting(*EXPECTED)
    raw = chaotic(accepted())
    raw.state.append({"what": "missing", "service": "notification", "why": "no answer"})
    assert run_report.summarise(raw.run())["predictions"][0]["verdict"] == "unknown"


def test_one_page_shows_all_runs_and_their_sums(tmp_path):
    for n in (1, 2):
        file = tmp_path / f"async-rabbitmq/seed-{n}/summary.json"
        file.parent.mkdir(parents=True)
        file.write_text(json.dumps(run_report.summarise(chaotic(accepted()).run())))
        (file.parent / HISTORY).touch()
    lines = chaos_report.page_of(index.read(tmp_path)).splitlines()
    counts = " | ".join("1" + 11 * "0")
    assert sum(f"](async-rabbitmq/seed-{n}/report.md) | 5 | 5 | 0 | 0 | 4 | {counts} | pass |" in line
               for n in (1, 2) for line in lines) == 2  # fmt: skip
    assert f"| all | 10 | 10 | 0 | 0 | 8 | {counts.replace('1', '2')} |  |" in lines
    (tmp_path / "async-rabbitmq/seed-2").rename(tmp_path / "async-rabbitmq/cluster-seed-2")
    page = chaos_report.page_of(index.read(tmp_path))
    assert page.index("(async-rabbitmq/seed-1/report.md)") < page.index("## async-rabbitmq, three nodes and several")
    assert page.index("and several") < page.index("(async-rabbitmq/cluster-seed-2/report.md)")
    with pytest.raises(LabError, match="there are no runs under chaos"):
        chaos_report.page_of({})


@pytest.mark.parametrize("words", [["--seed", "x"], ["--seed"], ["--minutes", "long"], ["--minutes"]])
def test_a_number_that_is_none_is_refused(copy: Copy, words):
    status, said = copy.run("experiments/chaos.sh", "sync-rest", *words)
    assert (status, said) == (2, "chaos.sh: --seed and --minutes need a number; see --help\n")
    assert not (copy.root / ".lab/run").exists()


@pytest.mark.parametrize("script", ["chaos.sh", "chaos_all.sh"])
def test_help_starts_nothing(copy: Copy, script):
    status, said = copy.run(f"experiments/{script}", "--help")
    assert status == 0
    assert "Takes: " in said
    assert f"Usage: experiments/{script} " in said
    assert not (copy.root / ".lab/run").exists()
