"""Proving a schedule: its translation into a script, the verdict on the real run, and real runs of each part."""

import re
import shutil
import subprocess
from pathlib import Path

import pytest
import simulated
from conftest import Copy, free_ports
from hand_made import HEAD, good
from lab.history.model import Run
from lab.paths import ROOT
from lab.runtime import broken as broken_versions
from lab.services import services_of
from lab.simulation import pages, proof, real_actions, real_steps, words
from lab.simulation.core import EFFECTS
from lab.simulation.explore import Counterexample
from lab.simulation.kafka.part import KafkaPart
from lab.simulation.part import Action
from lab.simulation.rabbitmq.part import RabbitMQPart
from lab.simulation.rest.part import RestPart
from lab.simulation.verdict import Violation
from lab.trace.entries import Entry
from testing.needs import skip_without

A, B, C = RestPart(), RabbitMQPart(), KafkaPart()
ORDER = ["order", "pizza", 3]
COVERED = [name for name in broken_versions.names() if name != "shared_connection"]


def lines(part, *schedule: Action) -> list[str]:
    """Return what the script of a schedule does, without what it prints and its last order."""
    told = real_steps.story(part, schedule)
    assert told.unmapped == []
    assert told.lines[-1].startswith("lab load after ")
    return [line for line in told.lines[:-1] if not line.startswith("step ")]


def order(number: int = 1, shape: str = "--clients 1 --count 1") -> str:
    return f"lab load order{number} --item pizza=3 {shape} --timeout 10"


def test_an_order_and_a_kill_of_the_next_service():
    assert lines(A, ORDER, ["kill", "inventory"], ["run", 4.0]) == [
        order(), "lab kill inventory", "sleep 4", "lab start inventory",
    ]  # fmt: skip


def test_nothing_goes_on_between_an_order_and_a_kill_as_the_broker_is_frozen():
    assert lines(B, ORDER, ["kill", "order"]) == [
        "lab freeze rabbitmq", order(shape="--clients 1 --count 5"), "lab kill order", "lab unfreeze rabbitmq",
        "lab start order",
    ]  # fmt: skip


def test_a_service_that_starts_again_finds_its_broker():
    told = lines(B, ORDER, ["kill", "order"], ["start", "order"])
    assert told[-2:] == ["lab unfreeze rabbitmq", "lab start order"]


def test_a_crash_point_is_set_before_the_order_and_its_service_is_ready_at_the_end():
    assert lines(B, ORDER, ["crash", "inventory", "commit:before"], ["run", 1.0]) == [
        "lab configure inventory crash_point=before_commit", order(), "sleep 1", "lab start inventory",
        "lab configure inventory --reset",
    ]  # fmt: skip


@pytest.mark.parametrize(("part", "effect", "point"), [
    (B, "commit:after", "after_commit"), (B, "ack:before", "after_publish"), (B, "publish:written", "after_commit"),
    (C, "poll:after", "before_commit"), (C, "transaction:before", "after_commit"),
    (C, "offsets:after", "after_publish"),
])  # fmt: skip
def test_each_effect_has_the_crash_point_that_leaves_the_same(part, effect, point):
    assert f"lab configure notification crash_point={point}" in lines(part, ["crash", "notification", effect], ORDER)


def test_every_effect_at_which_something_is_in_hand_has_a_crash_point():
    nothing = {"poll:before", "join:after", "epoch:before", "epoch:after", "request:after", "wait"}
    effects = {effect for part in (A, B, C) for effect in (*part.effects, *EFFECTS)}
    assert effects - set(real_actions.CRASH_POINTS) == nothing


def test_where_nothing_is_in_hand_a_crash_is_a_kill_and_a_start():
    assert lines(C, ["crash", "inventory", "join:after"]) == ["lab kill inventory", "lab start inventory"]


LOSES = ["lab load order1 --item pizza=3 --rate 10 --seconds 8 &", "lab at order1 2"]


@pytest.mark.parametrize("loss", [["cut", "order", "publish:written"], ["drop", "order"]])
def test_what_was_sent_to_a_broker_is_lost_with_it(loss):
    assert lines(B, loss, ORDER) == [
        *LOSES, "lab freeze rabbitmq", "sleep 1", "lab kill rabbitmq", "wait_for_loads", "lab start rabbitmq",
    ]  # fmt: skip


def test_a_service_that_dies_in_a_wait_dies_under_a_load():
    assert lines(A, ["crash", "inventory", "wait", "POST /reserve"], ORDER) == [
        f"{order(shape='--clients 4 --seconds 4')} &",
        *("lab at order1 2", "lab kill inventory", "wait_for_loads", "lab start inventory"),
    ]


def test_a_broker_that_goes_away_is_back_at_the_end():
    assert lines(C, ["broker", False], ORDER, ["run", 4.0]) == [
        *LOSES, "lab freeze kafka", "sleep 1", "lab kill kafka", "wait_for_loads", "sleep 4", "lab start kafka",
    ]  # fmt: skip


@pytest.mark.parametrize(("cut", "settings"), [
    ("reply lost", ["lab configure inventory delay=0.75", "lab configure order timeout=0.5"]),
    ("lost", ["lab configure inventory failure_rate=1 failure_mode=hang"]),
    ("refused", ["lab kill inventory"]),
])  # fmt: skip
def test_what_the_network_does_to_a_call_is_set_in_the_service_that_is_called(cut, settings):
    assert lines(A, ["cut", "order", 0, cut], ORDER)[: len(settings) + 1] == [*settings, order()]


def test_an_inventory_that_stands_still_answers_too_late():
    settings = ["lab configure inventory delay=0.75", "lab configure order timeout=0.5"]
    assert lines(A, ["freeze", "inventory", "commit:after", 1, 0.5], ORDER)[:2] == settings


def test_two_orders_that_meet_in_a_request_are_many_at_once():
    assert lines(A, ["hold", "inventory", "wait", 1, 0.01], ORDER, ORDER)[0] == order(shape="--clients 8 --count 80")


def test_an_order_that_is_in_the_log_twice_is_published_again():
    assert lines(C, ORDER, ORDER, ["double", 1])[-1] == "lab redeliver again order2"


@pytest.mark.parametrize(("part", "action"), [
    (B, ["clock", 5.0]), (B, ["disk", "order", True]), (B, ["blocked", True]), (B, ["crash_at", 7]),
    (B, ["cut", "inventory", "ack:written"]), (B, ["double", "order-status"]), (B, ["start", "inventory-2"]),
    (B, ["order", "burger", 1, "k1"]), (C, ["evict", "inventory"]), (C, ["cut", "inventory", "produce:after", 6.0]),
    (A, ["crash", "inventory", "wait"]),
    (A, ["cut", "order", 2, "lost"]), (A, ["freeze", "order", "request:before", 1, 0.5]),
])  # fmt: skip
def test_what_no_line_can_do_is_said_and_proves_nothing(part, action, tmp_path, monkeypatch):
    monkeypatch.setattr(proof.subprocess, "run", lambda *_, **__: pytest.fail("nothing must be started"))
    schedule = [ORDER, action]
    found = Counterexample(part.name, None, 0, schedule, schedule, [Violation("INV-1", "…")], [], 0.1, 0)
    proved = proof.prove(part, found, tmp_path)
    assert proved.verdict == "unknown"
    assert proved.why.startswith("Action 2 (")
    assert "unknown" in proof.write(part, found, proved).read_text()


def test_a_script_that_cannot_begin_proves_nothing(tmp_path, monkeypatch):
    """As where RabbitMQ is missing: `./lab begin` says it, and how it comes."""
    monkeypatch.setattr(proof, "STATE_DIR", tmp_path)
    monkeypatch.setattr(proof.subprocess, "run", lambda command, **_: subprocess.CompletedProcess(command, 2))
    proved = proof.prove(A, counterexample("INV-1"), tmp_path)
    assert (proved.verdict, proved.why) == ("unknown", "the script ended with status 2 before its end")


def counterexample(*violations: str) -> Counterexample:
    broken = [Violation(id, "…") for id in violations]
    trace = [Entry(0.0, 0, "call", "client", "order", "POST /order")]
    return Counterexample("sync-rest", "made", 0, [ORDER], [ORDER], broken, trace, 0.1, 0)


def judged(raw, *violations: str) -> tuple[str, str]:
    run = Run(HEAD | {"quick": True}, raw.events, raw.state)
    found = proof.judge(counterexample(*violations), run, Path("x.sh"), 14.2)
    return found.verdict, found.sentence(counterexample(*violations))


def test_the_same_promise_must_break():
    raw = good()
    raw.remove("notification", "o0")
    same = "simulated in 0.1 s, confirmed in 14 s: INV-6 is broken, as in the simulation"
    assert judged(raw, "INV-1", "INV-6") == ("pass", same)
    assert judged(raw, "INV-1") == ("fail", "simulated in 0.1 s, not confirmed in 14 s: the real services broke INV-6")
    assert judged(good(), "INV-1")[1].endswith("the real services broke no promise")


def test_a_run_that_cannot_be_judged_proves_nothing():
    raw = good()
    raw.state.append({"what": "missing", "service": "order", "why": "no answer"})
    assert judged(raw, "INV-1")[0] == "unknown"


@pytest.mark.parametrize("name", [
    pytest.param(name, marks=[] if name in ("no_release", "no_outbox", "counts_twice") else pytest.mark.long)
    for name in COVERED
])  # fmt: skip
def test_the_page_of_a_broken_version_has_its_schedule_and_diagram(name):
    version = broken_versions.named(name)
    page = (broken_versions.FOLDER / f"{name}.md").read_text()
    again = f"./lab explore {version.part} --broken {name} --page"
    assert simulated.page_again(version.part, name, page) == page, f"run: {again}"


def test_the_guide_shows_the_schedule_and_its_script_as_they_are_made():
    guide = (ROOT / "docs/guide-explore.md").read_text()
    schedule = pages.schedule_in((broken_versions.FOLDER / "no_outbox.md").read_text())
    assert "\n".join(words.numbered(B, schedule)) in guide
    shown = guide.partition("```bash\n")[2].partition("\n```")[0].splitlines()
    assert shown == real_steps.story(B, schedule).lines[: len(shown)] != []


def proved(copy: Copy, name: str, **env: str) -> tuple[int, str]:
    """Run `./lab explore PART --broken NAME --prove` in a copy of the repository, on ports of its own."""
    file = simulated.file_of(name)
    part = broken_versions.read(file).part
    shutil.copy(file, copy.root / "experiments/broken")
    if part != "sync-rest":
        shutil.copytree(ROOT / part, copy.root / part, ignore=shutil.ignore_patterns("tests"))
        if (kafka := ROOT / ".lab/kafka").exists():
            (copy.root / ".lab/kafka").symlink_to(kafka)
        ports = [variable for service in services_of(part).values() for variable in service.ports]
        env |= {variable: str(port) for variable, port in zip(ports, free_ports(len(ports)), strict=True)}
    words = ("lab", "explore", part, "--broken", name, "--prove")
    try:
        return copy.run(*words, seconds=280, **env)
    finally:
        copy.run("lab", "down", seconds=60, **env)


REAL = {"no_release": "INV-6", "check_then_reserve": "INV-3", "no_outbox": "INV-1", "offsets_first": "INV-1",
        "without_memory": "LOG-1"}  # fmt: skip


@pytest.mark.long
@pytest.mark.timeout(400)
@pytest.mark.parametrize("name", REAL)
def test_a_mistake_is_proved_on_the_real_services(copy, name):
    needed = {"no_outbox": ["RabbitMQ"], "offsets_first": ["Kafka"], "without_memory": ["Kafka"]}
    skip_without(*needed.get(name, []))
    status, said = proved(copy, name)
    assert status == 1, said
    assert re.search(rf"simulated in [\d.]+ s, confirmed in \d+ s: {REAL[name]}", said), said
    (page,) = (copy.root / ".lab/explore").glob("*.proof.md")
    real = page.read_text().partition("<th>real</th>")[2].split("```mermaid")[2]
    assert "client->>order: POST /order" in real
