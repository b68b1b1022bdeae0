"""`./lab` as people use it: its help, its verbs on a real part, and how it ends when something is not as it must be."""

import errno
import json
import os
import re
import signal
import socket
import subprocess
import time
from types import SimpleNamespace

import pytest
from click.testing import CliRunner
from conftest import Copy
from lab import client
from lab.cli.main import COMMANDS, main
from lab.errors import LabError
from lab.paths import STATE_DIR
from lab.runtime import lifecycle, processes
from lab.services import services_of
from testing import wait_until


def commands() -> list[list[str]]:
    return [[], *([name] for name in sorted(COMMANDS))]


@pytest.mark.parametrize("words", commands(), ids=lambda words: " ".join(words) or "lab")
@pytest.mark.parametrize("flag", ["--help", "-h"])
def test_every_command_has_help(words, flag):
    done = CliRunner().invoke(main, [*words, flag])
    assert done.exit_code == 0
    assert done.output.startswith("Usage:")
    body = done.output.split("\n\n", 1)[1].strip()
    assert body
    assert not body.startswith("Options:")  # it says what it does


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (["up", "nowhere"], "there is no part nowhere"),
        (["down", "nowhere"], "there is no part nowhere"),
        (["env", "nowhere"], "there is no part nowhere"),
        (["logs", "nowhere/order"], "there is no part nowhere"),
        (["logs", "sync-rest/cashier"], "sync-rest has no service cashier"),
        (["kill", "sync-rest/cashier"], "it has: notification, inventory, order"),
        (["configure", "sync-rest/inventory", "delay"], "delay is not KEY=VALUE"),
        (["load", "a"], "an open loop needs --rate and --seconds"),
        (["load", "a", "--clients", "2"], "a closed loop needs --count or --seconds"),
        (["load", "a", "--clients", "2", "--rate", "2", "--count", "2"], "takes no --rate"),
        (["settle"], "this is a command for experiment scripts"),
    ],
)
def test_what_cannot_be_done_is_said(words, said):
    done = CliRunner().invoke(main, words)
    assert done.exit_code == 2
    assert said in done.output
    assert "Traceback" not in done.output


@pytest.mark.parametrize(
    ("number", "said", "hint"),
    [
        (
            errno.EACCES,
            ".lab/run/sync-rest/runtime belongs to another user, perhaps after one `sudo ./lab`",
            "chown -R",
        ),
        (errno.ENOSPC, ".lab/run/sync-rest/runtime cannot be written: No space left on device", "df -h ."),
        (errno.EROFS, ".lab/run/sync-rest/runtime cannot be written: Read-only file system", "df -h ."),
    ],
)
def test_what_the_system_refuses_is_one_sentence(monkeypatch, number, said, hint):
    def refuse(*_, **__):
        raise OSError(number, os.strerror(number), str(STATE_DIR / "run/sync-rest/runtime"))

    monkeypatch.setattr(lifecycle, "up", refuse)
    done = CliRunner().invoke(main, ["up", "sync-rest"])
    assert done.exit_code == 2
    assert f"lab: {said}" in done.output
    assert hint in done.output.splitlines()[-1]
    assert "Traceback" not in done.output


def test_a_mistake_of_the_laboratory_is_no_sentence(monkeypatch):
    monkeypatch.setattr(lifecycle, "up", lambda *_, **__: os.stat("/nowhere/at/all"))
    assert isinstance(CliRunner().invoke(main, ["up", "sync-rest"]).exception, FileNotFoundError)


def test_a_runtime_that_does_not_exist(monkeypatch):
    monkeypatch.setenv("LAB_RUNTIME", "steam")
    done = CliRunner().invoke(main, ["status"])
    assert (done.exit_code, done.output.splitlines()[0]) == (2, "lab: LAB_RUNTIME is steam")


def test_every_command_is_in_its_module():
    assert [main.get_command(None, name).name for name in COMMANDS] == list(COMMANDS)
    assert main.get_command(None, "nosuch") is None


def test_a_report_of_no_run(tmp_path):
    done = CliRunner().invoke(main, ["report", str(tmp_path)])
    assert done.exit_code == 2
    assert "has no readable run" in done.output


def test_settings_are_read_as_json_where_they_are():
    from lab.cli.services import _settings

    words = ("delay=2", "failure_rate=0.3", "failure_mode=hang", "paused=true", "x=a=b")
    assert _settings(words) == {
        "delay": 2,
        "failure_rate": 0.3,
        "failure_mode": "hang",
        "paused": True,
        "x": "a=b",
    }


# --- a part that runs ---


def test_addresses_are_shell_exports(running: Copy):
    said = subprocess.run(
        ["bash", "-c", 'eval "$("$0" env sync-rest)"; echo "$ORDER_URL"', running.root / "lab"],
        env=running.env(),
        capture_output=True,
        text=True,
    ).stdout
    assert said.strip() == f"http://127.0.0.1:{running.ports['order']}"


def test_status_shows_every_service(running: Copy):
    said = running.lab("status")
    for name, port in running.ports.items():
        assert re.search(rf"{name} +│ running │ yes +│ {port} ", said), said


def test_an_order_is_watched_until_it_is_done(running: Copy):
    said = running.lab("order", "--item", "burger=2", "--item", "soda")
    assert "POST /order → 201 CREATED" in said
    assert "(2 burger, 1 soda) notified" in said
    for step in ("placed", "reserved", "notified"):
        assert re.search(rf"│ \d\d:\d\d:\d\d\.\d+ │ {step} +│", said), said


def test_the_same_key_is_the_same_order(running: Copy):
    first, second = (running.lab("order", "--key", "k1") for _ in range(2))
    assert re.search("order ([0-9a-f-]{36})", first)[1] == re.search("order ([0-9a-f-]{36})", second)[1]


def test_an_order_that_fails_ends_with_1(running: Copy):
    status, said = running.run("lab", "order", "--item", "caviar")
    assert status == 1
    assert "→ 404" in said
    assert "failed: unknown_sku" in said


def test_an_order_that_breaks_a_rule_is_explained(running: Copy):
    status, said = running.run("lab", "order", "--item", "burger=1000")
    assert status == 2
    assert "qty" in said
    assert "Traceback" not in said


def test_logs_show_what_a_service_said(running: Copy):
    running.lab("order", "--user", "logged")
    assert '"POST' in (said := running.lab("logs", "inventory", "-n", "200")) or "/reserve" in said
    assert len(running.lab("logs", "sync-rest/inventory", "-n", "1").splitlines()) == 1


def test_a_killed_service_starts_again(running: Copy):
    assert "kill sync-rest/inventory: done" in running.lab("kill", "inventory")
    assert "inventory" in (said := running.lab("status"))
    assert "exited" in said
    status, said = running.run("lab", "order")
    assert (status, "→ 503" in said) == (1, True), said
    for verb in ("kill", "pause", "unpause"):
        status, said = running.run("lab", verb, "inventory")
        assert (status, "inventory does not run" in said) == (2, True), said
    running.lab("start", "inventory")
    running.lab("start", "inventory")  # once more is harmless
    assert "notified" in running.lab("order")


def test_a_service_records_what_up_was_told_also_when_another_shell_starts_it(running: Copy):
    running.lab("up", "sync-rest", TRACE_ORDERS="7")  # it is up
    running.lab("kill", "inventory")
    running.lab("start", "inventory")
    assert "7" in {process.environ()["TRACE_ORDERS"] for process in running.services()}


def test_a_stopped_service_starts_again(running: Copy):
    running.lab("stop", "notification")
    running.lab("stop", "notification")
    assert len(running.records()) == 2
    running.lab("start", "notification")
    assert "notified" in running.lab("order")


def test_a_paused_service_goes_on(running: Copy):
    running.lab("pause", "notification")
    assert re.search("notification +│ paused", running.lab("status"))
    running.lab("unpause", "notification")
    assert "notified" in running.lab("order")


def test_faults_are_configured_shown_and_reset(running: Copy):
    assert json.loads(running.lab("configure", "inventory", "delay=0.2", "seed=7"))["delay"] == 0.2
    assert json.loads(running.lab("configure", "inventory"))["seed"] == 7
    assert re.search(r"inventory .* delay=0.2 seed=7", running.lab("status"))
    took = re.search(r"after (\d+) ms", running.lab("order"))
    assert int(took[1]) >= 200
    assert json.loads(running.lab("configure", "inventory", "--reset"))["delay"] == 0


def test_a_fault_that_a_service_refuses_is_explained(running: Copy):
    status, said = running.run("lab", "configure", "inventory", "delay=61", "nonsense=1")
    assert status == 2
    assert "the service refused it (400)" in said
    assert "delay" in said
    assert "nonsense" in said


def test_a_load_says_what_came_of_it(running: Copy):
    said = running.lab("load", "some", "--clients", "2", "--count", "20")
    assert re.search(r"some: 20 sent, 20 done at [\d.]+/s, p50 .* max .*; no errors", said)


def test_a_second_up_is_harmless(running: Copy):
    before = [path.read_text() for path in running.records()]
    assert "order is ready" in running.lab("up", "sync-rest")
    assert [path.read_text() for path in running.records()] == before


def test_data_outlives_down_unless_it_is_fresh(running: Copy):
    order_id = re.search("order ([0-9a-f-]{36})", running.lab("order", "--key", "kept"))[1]
    running.lab("down")
    assert running.services() == []
    running.lab("up", "sync-rest")
    assert order_id in running.lab("order", "--key", "kept")
    running.lab("up", "sync-rest", "--fresh")
    assert order_id not in running.lab("order", "--key", "kept")


# --- what goes wrong ---


def nothing_left(copy: Copy) -> None:
    """Assert that no service runs and that no port is taken."""
    wait_until(lambda: copy.services() == [])
    for port in copy.ports.values():
        assert processes.listener(port) is None
    assert copy.records() == []


def test_down_twice(copy: Copy):
    copy.lab("up", "sync-rest")
    assert "sync-rest is down" in copy.lab("down")
    nothing_left(copy)
    assert "nothing is up" in copy.lab("down")
    assert "nothing is up" in copy.lab("status")
    status, said = copy.run("lab", "order")
    assert (status, "no part is up" in said) == (2, True)


def test_a_port_that_is_taken(copy: Copy):
    with socket.create_server(("127.0.0.1", copy.ports["inventory"])):
        status, said = copy.run("lab", "up", "sync-rest")
    assert status == 2
    assert f"port {copy.ports['inventory']} of inventory is taken by process {os.getpid()} (" in said
    [proposed] = re.findall(r"A_INVENTORY_PORT=(\d+) ./lab up sync-rest", said)
    assert processes.listener(int(proposed)) is None
    nothing_left(copy)


@pytest.mark.parametrize(
    ("service", "variable", "value"),
    [("inventory", "INITIAL_STOCK", "nonsense"), ("order", "INVENTORY_TIMEOUT_MS", "x")],
)
def test_a_service_that_dies_at_its_start_names_the_variable(copy: Copy, service, variable, value):
    status, said = copy.run("lab", "up", "sync-rest", **{variable: value})
    assert status == 2
    assert f"lab: {service} exited during start-up; last log lines:\n  | " in said
    assert f"{variable} must be a number" in said
    assert f"it is {value}" in said
    assert "Traceback" not in said
    nothing_left(copy)


def test_a_service_that_does_not_become_ready_says_what_it_waits_for(monkeypatch):
    answer = SimpleNamespace(status_code=503, json=lambda: {"checks": {"database": "ok", "kafka": "no broker"}})
    monkeypatch.setattr(client, "try_get", lambda *_, **__: answer)
    log = 'it began\n{"message":"request","method":"GET","path":"/ready"}\n'
    local = SimpleNamespace(state=lambda _: "running", logs=lambda *_: log)
    monkeypatch.setenv("LAB_START_SECONDS", "0.01")
    with pytest.raises(LabError) as refused:
        lifecycle.wait_ready(local, services_of("sync-rest")["order"])
    assert str(refused.value) == "order is not ready after 0 s (kafka: no broker); last log lines:\n  | it began"
    monkeypatch.setattr(client, "try_get", lambda *_, **__: None)
    with pytest.raises(LabError) as refused:
        lifecycle.wait_ready(local, services_of("sync-rest")["order"])
    assert "more time: LAB_START_SECONDS=" in refused.value.hint
    monkeypatch.setenv("LAB_START_SECONDS", "long")
    with pytest.raises(LabError, match="LAB_START_SECONDS is long"):
        lifecycle.wait_ready(local, services_of("sync-rest")["order"])


def test_stock_is_handed_on_as_it_was_given(copy: Copy):
    copy.lab("up", "sync-rest", INITIAL_STOCK='{"caviar": 3}')
    assert "notified" in copy.lab("order", "--item", "caviar")
    copy.lab("down")


def test_a_record_of_a_crashed_run_is_stale(copy: Copy):
    dead = subprocess.Popen(["true"])
    dead.wait()
    run = copy.root / ".lab/run/sync-rest"
    with subprocess.Popen(["sleep", "60"]) as stranger:
        try:
            processes.save(processes.Record(dead.pid, time.time() - 1000), run / "order.json")
            processes.save(processes.Record(stranger.pid, time.time() - 1000), run / "inventory.json")
            (run / "notification.json").write_text("{")
            assert "nothing is up" in copy.lab("status")
            assert "nothing is up" in copy.lab("down")
            copy.lab("up", "sync-rest")
            assert len(copy.services()) >= 3
            copy.lab("down", "sync-rest")
            nothing_left(copy)
            assert stranger.poll() is None  # it had the number of a process of ours, and was left alone
        finally:
            stranger.kill()


@pytest.mark.parametrize("moment", ["starting sync-rest", "a record", "three records", "notification is ready"])
def test_ctrl_c_in_the_middle_of_up(copy: Copy, moment):
    """The order service waits for a database that is away, so that `up` cannot be at its end however late we are."""
    wanted = {"a record": 1, "three records": 3}.get(moment)
    child = copy.popen("lab", "up", "sync-rest", A_ORDER_DATABASE_URL="postgresql://127.0.0.1:1/away")
    said = ""
    if wanted:
        wait_until(lambda: len(copy.records()) >= wanted)
    else:
        while moment not in said:
            said += (line := child.stdout.readline())
            assert line, said
    os.killpg(child.pid, signal.SIGINT)
    rest, _ = child.communicate(timeout=30)
    assert child.returncode == 130, said + rest
    assert "lab: interrupted" in rest
    assert "Traceback" not in rest
    nothing_left(copy)


def test_ctrl_c_while_a_class_is_being_made(copy: Copy):
    """`dataclass` and `namedtuple` run text that they wrote; Python notes a Ctrl-C in it even when it is handled."""
    (copy.root / "experiments/lab/cli/trace.py").write_text('exec("raise KeyboardInterrupt")')
    assert copy.run("lab", "trace") == (130, "\nlab: interrupted\n")


def test_the_version(copy: Copy):
    assert re.fullmatch(r"lab \d+\.\d+\.\d+, no commit \(.+\)\n", copy.lab("--version"))
