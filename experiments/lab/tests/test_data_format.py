"""The format of what a part keeps: raised with each change of it; what another version left is set aside at `up`."""

import hashlib
import json
import os
import re
import subprocess
import sys

import pytest
from conftest import ROOT, Copy
from lab import paths
from lab.errors import LabError
from lab.runtime.docker import DockerRuntime
from lab.services import data_format, services_of
from lab.setup import engine

# When one of these differs, the part's tables, queues or topics have changed: raise `lab.data-format` in its
# docker-compose.yml, and write down here what `present` gives now.
SHAPES = {
    "sync-rest": ("3", "f51ae2be67bc2e30"),
    "async-rabbitmq": ("3", "7e6cc96c8cbd261d"),
    "streaming-kafka": ("4", "3b670841df494a94"),
}
# Prints what the services of a part keep: their tables and indexes, and the broker's queues or topics.
SHAPE = """
import glob, importlib, json, sqlite3, sys
folder, *modules = sys.argv[1:]
for module in modules:
    importlib.import_module(module).create_app({"DATABASE_URL": f"sqlite:///{folder}/{module}.db"})
kept = []
for file in sorted(glob.glob(f"{folder}/*.db")):
    with sqlite3.connect(file) as database:
        kept += database.execute("SELECT name, sql FROM sqlite_master WHERE sql IS NOT NULL ORDER BY name")
try:
    from broker import topology
    class Channel:
        def __getattr__(self, name):
            return lambda *args, **options: kept.append([name, args, options])
    topology.declare(Channel())
except ImportError:
    pass
try:
    from broker import topics
    kept.append([topics.PARTITIONS, topics.TOPIC_OF])
except ImportError:
    pass
print(json.dumps(kept))
"""


def present(part: str, folder) -> str:
    """Return a digest of all that the part keeps, as its code makes it now."""
    services = [service for service in services_of(part).values() if not service.is_broker]
    modules = [service.command[-1].partition(":")[0] for service in services]
    env = os.environ | {"PYTHONPATH": os.pathsep.join([str(ROOT / "common"), str(ROOT / part)])}
    words = [sys.executable, "-c", SHAPE, str(folder), *modules]
    done = subprocess.run(words, env=env, capture_output=True, text=True, timeout=60, check=True)
    kept = json.loads(re.sub(r"(\\[nt]|\s)+", " ", done.stdout.splitlines()[-1]))
    assert len(kept) > 5
    pom = ROOT / part / "broker" / "pom.xml"
    kept.append(re.findall(r"<kafka>(.*)</kafka>", pom.read_text()) if pom.exists() else [])
    return hashlib.sha256(json.dumps(kept).encode()).hexdigest()[:16]


@pytest.mark.parametrize("part", paths.PARTS)
def test_a_change_of_what_is_kept_raises_the_format(part, tmp_path):
    assert SHAPES[part] == (data_format(part), present(part, tmp_path))


def test_data_of_an_older_version_is_set_aside_at_up(copy: Copy):
    data, now = copy.root / ".lab/data/sync-rest", data_format("sync-rest")
    (data / "order-data").mkdir(parents=True)
    (data / "order-data/order.db").write_text("tables of another version")
    said = copy.lab("up", "sync-rest")
    assert (
        f"the data of sync-rest has format 1, and this version has format {now}: "
        "it is now in .lab/set-aside/sync-rest-1; delete it if you do not need it"
    ) in said
    assert (copy.root / ".lab/set-aside/sync-rest-1/order-data/order.db").read_text() == "tables of another version"
    assert (data / "format").read_text() == f"{now}\n"
    copy.lab("order")
    copy.lab("down")
    assert "set-aside" not in copy.lab("up", "sync-rest")  # the same version finds its data again
    assert copy.lab("order").count("notified")
    (data / "format").write_text("1\n")
    assert "set-aside" not in copy.lab("up", "sync-rest")  # not under services that run
    copy.lab("down")
    assert "in .lab/set-aside/sync-rest-2;" in copy.lab("up", "sync-rest")


def test_fresh_forgets_it_instead(copy: Copy):
    data, now = copy.root / ".lab/data/sync-rest", data_format("sync-rest")
    (data / "order-data").mkdir(parents=True)
    (data / "order-data/order.db").write_text("tables of another version")
    (data / "postgres-data").mkdir()  # of a part with another database
    assert "set-aside" not in copy.lab("up", "sync-rest", "--fresh")
    assert not (data / "postgres-data").exists()
    assert (data / "format").read_text() == f"{now}\n"
    assert not (copy.root / ".lab/set-aside").exists()


P = engine.project("sync-rest")


@pytest.mark.parametrize(
    ("labelled", "said"),
    [
        ([f"{P}_order-data", f"{P}_stock-data", "another_data"], ""),
        (["another_data"], f"Docker's volumes {P}_order-data, {P}_stock-data"),
        ([f"{P}_order-data"], f"Docker's volumes {P}_stock-data"),
    ],
)
def test_docker_s_volumes_of_another_version_are_named(monkeypatch, labelled, said):
    def asked(*words: str, **_: float) -> subprocess.CompletedProcess[str]:
        ours = words[-1] == f"label=com.docker.compose.project={P}"
        assert ours or words[-1] == f"label=lab.data-format={data_format('sync-rest')}"
        volumes = [f"{P}_order-data", f"{P}_stock-data"] if ours else labelled
        return subprocess.CompletedProcess(words, 0, stdout="\n".join(volumes))

    monkeypatch.setattr(engine, "docker", asked)
    if not said:
        assert DockerRuntime().set_aside("sync-rest") == ""
        return
    with pytest.raises(LabError, match=re.escape(said)) as error:
        DockerRuntime().set_aside("sync-rest")
    assert error.value.hint == "to forget it: ./lab up sync-rest --fresh"
