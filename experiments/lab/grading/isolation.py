"""Runs work in processes of their own, with limits on time, memory, files and answers: a fault is one line, no more.

A process is divided from this one, so it has what is already known, and imports nothing anew. It leads a session of
its own: when its work is over, or takes too long, or this process is gone, everything that it started is ended with it.
"""

import contextlib
import multiprocessing
import os
import pickle
import resource
import shutil
import signal
import tempfile
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from multiprocessing.connection import Connection, wait
from typing import Any

from lab.errors import LabError
from lab.grading.text import plain

CPU_SECONDS, SECONDS = 240, 480.0
MEMORY = 3 * 2**30  # beside what this process has
MAX_FILE, MAX_ANSWER, MAX_OPEN = 64 * 2**20, 128 * 2**20, 256
PROCESSES = multiprocessing.get_context("fork")


@dataclass(frozen=True)
class Fault:
    """Why there is no answer, in a sentence."""

    why: str


@dataclass
class _Working:
    number: int
    process: Any
    answer: Connection
    until: float
    place: str


def answers(tasks: Sequence[Callable[[], Any]], at_once: int) -> Iterator[tuple[int, Any]]:
    """Yield the number of each task and its answer or Fault, in the order in which they end."""
    waiting, working = list(enumerate(tasks)), list[_Working]()
    lifeline = os.pipe()
    try:
        while waiting or working:
            while waiting and len(working) < at_once:
                working.append(_begin(*waiting.pop(0), lifeline))
            ready = wait([each.answer for each in working], timeout=0.5)
            for each in [w for w in working if w.answer in ready or time.monotonic() > w.until]:
                working.remove(each)
                yield each.number, _end(each, late=each.answer not in ready)
    finally:
        for each in working:
            _end(each, late=True)
        for end in lifeline:
            os.close(end)


def _begin(number: int, task: Callable[[], Any], lifeline: tuple[int, int]) -> _Working:
    place = tempfile.mkdtemp(prefix="grade-")
    here, there = PROCESSES.Pipe(duplex=False)
    process = PROCESSES.Process(target=_work, args=(task, there, place, lifeline))
    process.start()
    there.close()
    return _Working(number, process, here, time.monotonic() + SECONDS, place)


def _end(working: _Working, *, late: bool) -> Any:
    """Return the answer of a process, and end it with all that it started."""
    answer: Any = Fault(f"it took more than {SECONDS:.0f} s")
    if not late:
        try:
            said = working.answer.recv_bytes(MAX_ANSWER)
            answer = pickle.loads(said)
        except (EOFError, OSError):
            answer = None
    with contextlib.suppress(ProcessLookupError, PermissionError):
        os.killpg(working.process.pid, signal.SIGKILL)
    working.process.join()
    working.answer.close()
    shutil.rmtree(working.place, ignore_errors=True)
    if answer is not None:
        return answer
    said_by = {-signal.SIGXCPU: "it took too much time", -signal.SIGKILL: "it took too much memory, or was ended"}
    return Fault(said_by.get(working.process.exitcode, "its process ended without an answer"))


def _work(task: Callable[[], Any], answer: Connection, place: str, lifeline: tuple[int, int]) -> None:
    os.setsid()
    ours, grader = lifeline
    os.close(grader)  # so only the grader holds this end: when it is gone, there is an end of file

    def end_with_the_grader() -> None:
        os.read(ours, 1)
        os.killpg(0, signal.SIGKILL)

    threading.Thread(target=end_with_the_grader, daemon=True).start()
    _limit()
    tempfile.tempdir = place
    nothing = os.open(os.devnull, os.O_RDWR)
    for stream in (0, 1, 2):
        os.dup2(nothing, stream)
    try:
        done = task()
    except LabError as error:
        done = Fault(plain(str(error)))
    except MemoryError:
        done = Fault("it took too much memory")
    except Exception as error:  # one clone's fault is its own
        done = Fault(plain(f"{type(error).__name__}: {error}"))
    answer.send_bytes(pickle.dumps(done))
    os._exit(0)


def _limit() -> None:
    size = 0  # of this process in bytes, where the system says it
    with contextlib.suppress(OSError, ValueError), open("/proc/self/statm") as file:
        size = int(file.read().split()[0]) * resource.getpagesize()
    limits = {
        resource.RLIMIT_AS: MEMORY + size,
        resource.RLIMIT_CPU: CPU_SECONDS,
        resource.RLIMIT_FSIZE: MAX_FILE,
        resource.RLIMIT_NOFILE: MAX_OPEN,
        resource.RLIMIT_CORE: 0,
    }
    for which, most in limits.items():
        with contextlib.suppress(ValueError, OSError):  # macOS does not know all of them
            then = most + 5 if which == resource.RLIMIT_CPU else most  # SIGXCPU, then SIGKILL
            resource.setrlimit(which, (most, then))
