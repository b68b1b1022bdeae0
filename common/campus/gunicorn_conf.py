"""How every service is served: `gunicorn -c python:campus.gunicorn_conf "order_service.app:create_app()"`.

One worker, because faults, metrics and background loops live in its memory; threads, because the work waits. THREADS
is how many requests work at a time; `campus.server` says what becomes of the others.
"""

import gc
import os
import sys
from collections.abc import Callable
from typing import Any

from campus import logs

bind = f"{os.environ.get('HOST', '127.0.0.1')}:{os.environ.get('PORT', '8000')}"
worker_class = "campus.server.Worker"
logger_class = "campus.server.Log"
workers = 1
threads = int(os.environ.get("THREADS", "16"))
keepalive = 75  # longer than a caller keeps an idle connection, else it meets one that is just being closed
graceful_timeout = 11  # the worker needs DRAIN_SECONDS and STOP_SECONDS; the runtimes kill after 12 s and 15 s
timeout = 300  # a service that was paused must not be taken for dead by its own master when it goes on
control_socket_disable = True
worker_tmp_dir = "/dev/shm" if os.access("/dev/shm", os.W_OK | os.X_OK) else None
accesslog = None  # the services write their own line for each request
loglevel = "warning"


def on_starting(server) -> None:
    """End the start where GUNICORN_CMD_ARGS, which comes after this file, asks for what the service cannot have."""
    cfg = server.cfg
    if (cfg.workers, cfg.worker_class_str, cfg.preload_app) != (workers, worker_class, False):
        server.log.error(
            "GUNICORN_CMD_ARGS asks for %d workers of the class %s%s: this service is one process of %s, as its faults,"
            " its metrics and its loops are in the memory of that process; unset GUNICORN_CMD_ARGS",
            cfg.workers, cfg.worker_class_str, ", preloaded" if cfg.preload_app else "", worker_class,
        )  # fmt: skip
        sys.exit(2)
    if sys.platform == "linux" and worker_tmp_dir is None:
        server.log.warning("/dev/shm cannot be written, so the heartbeat of the worker is in a file on the disk")


def post_fork(server, worker) -> None:
    """Set up the log before the service says its name, as it may have to wait for its database; take its core."""
    logs.set_up(server.app.app_uri.partition(".")[0])
    take_core()


def take_core() -> None:
    """Keep this process on one core, and let it finish what it has begun.

    The interpreter lock runs one thread at a time anyway, and moving costs. As SCHED_BATCH, a thread that wakes up does
    not push aside the one that runs: services share a core, and each change finds the caches full of another's code.
    """
    if hasattr(os, "SCHED_BATCH"):
        _try_to("be scheduled as SCHED_BATCH", os.sched_setscheduler, 0, os.SCHED_BATCH, os.sched_param(0))
    core = os.environ.get("PIN_CPU", "")
    if core and hasattr(os, "sched_setaffinity"):
        allowed = sorted(os.sched_getaffinity(0))
        _try_to("stay on one core", os.sched_setaffinity, 0, {allowed[int(core) % len(allowed)]})


def _try_to(what: str, call: Callable[..., Any], *args: Any) -> None:
    """Do what makes the service quicker and no more: some systems refuse it (gVisor, a strict seccomp)."""
    try:
        call(*args)
    except OSError as error:
        logs.log.warning("the system does not let this process %s (%s): it is slower without", what, error.strerror)


def post_worker_init(worker) -> None:
    """Start the service's background loops: after the fork, since threads do not survive one.

    What was loaded until now stays for good. Frozen, it is left out of each garbage collection, which would look at
    some 86,000 objects, and hold up all threads for tens of milliseconds.
    """
    gc.collect()
    gc.freeze()
    worker.wsgi.extensions["campus"].start()


def worker_exit(server, worker) -> None:
    """Stop the loops once the requests in flight are answered."""
    if getattr(worker, "wsgi", None):
        worker.wsgi.extensions["campus"].stop()
