"""What an experiment script would do, told by the script itself.

Bash reads it with `recorder.sh` in place of `story.sh`: nothing is run, every `lab` command is written down.
"""

import copy
import json
import os
import signal
import subprocess
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from typing import Any

import click

from lab import load, script_commands
from lab.history import Run
from lab.places import ROOT

RECORDER = ROOT / "experiments/recorder.sh"
SECONDS = 5.0
OF_REPLAY = ("before replay", "after replay")  # reports that `lab replay` notes by itself
PREDICTION = ("text", "measure", "expect", "rule", "tolerance", "unit")
Words = list[str]


class Untold(Exception):
    """A script that cannot be told; says why."""


@dataclass(frozen=True)
class Step:
    """One thing that a script does and its history notes.

    `due` is what the script waits for before it: so many seconds of a load. `at` is when it was, in a history.
    """

    kind: str
    name: str
    detail: str = ""
    due: tuple[str, float] | None = None
    at: float = 0.0

    @property
    def what(self) -> tuple[str, str, str]:
        """What two steps must have in common to be the same one."""
        return self.kind, self.name, self.detail

    def __str__(self) -> str:
        return f"{self.kind} {self.name} {self.detail}".strip()


@dataclass(frozen=True)
class Told:
    """What a script says that it does."""

    part: str
    steps: list[Step]

    @property
    def predictions(self) -> dict[str, Step]:
        """The predictions by their text."""
        return {step.name: step for step in self.steps if step.kind == "predict"}


def tell(script: bytes, *, quick: bool = False) -> Told:
    """Return what a script says that it does, in full or with --quick. Raises Untold."""
    written = _run(script, ["--quick"] if quick else [])
    try:
        words = [*_recorded(written)]
        parts = [name for kind, *names in words if kind == "part" for name in names]
        steps = [*_steps(words)]
    except (click.ClickException, RuntimeError, IndexError, KeyError, TypeError, ValueError) as error:
        raise Untold(f"one of its commands cannot be understood: {error}") from None
    if len(parts) != 1:
        raise Untold("it does not begin with story.sh and a part")
    return Told(parts[0], steps)


def _run(script: bytes, arguments: Words) -> str:
    """Run the recorder and the script, and return what they wrote."""
    text = f"{RECORDER.read_text()}\n{script.decode(errors='replace')}".replace("\0", "")
    command = ["bash", "--noprofile", "--norc", "--restricted", "-c", text, "script.sh", *arguments]
    try:
        child = subprocess.Popen(
            command,
            env={"PATH": "/nowhere", "LC_ALL": "C.UTF-8"},
            cwd="/",
            executable=_bash(),
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            start_new_session=True,
        )
    except OSError as error:
        raise Untold(f"bash cannot be started with it: {error.strerror}") from None
    with child:
        try:
            out, said = child.communicate(timeout=SECONDS)
        except subprocess.TimeoutExpired:
            raise Untold(f"it is not told within {SECONDS:g} s") from None
        finally:
            _end_group(child.pid)
    if child.returncode:
        last = said.decode(errors="replace").strip().splitlines()[-1:] or ["no reason given"]
        raise Untold(f"it does not come to its end: {last[0]}")
    return out.decode(errors="replace")


def _bash() -> str:
    return next((place for place in ("/bin/bash", "/usr/bin/bash") if os.path.exists(place)), "bash")


def _end_group(group: int) -> None:
    """End whatever the script left in the background."""
    try:
        os.killpg(group, signal.SIGKILL)
    except (ProcessLookupError, PermissionError):
        return


def _recorded(text: str) -> Iterator[Words]:
    """Yield the words of each command that was written down."""
    fields = iter(text.split("\0"))
    for field in fields:
        if field == "recorded":
            yield [next(fields) for _ in range(int(next(fields)))]


def _steps(commands: Iterable[Words]) -> Iterator[Step]:
    due = None
    for verb, *words in commands:
        if verb == "at":
            due = (words[0], float(words[1]))
        for step in _steps_of(verb, words):
            yield Step(step.kind, step.name, step.detail, due)
            due = None


def _steps_of(verb: str, words: Words) -> Iterator[Step]:
    """Yield what a command leaves in the history: nothing, one step or two."""
    if verb in ("kill", "stop", "pause", "start", "unpause"):
        yield Step(verb, _service(words[0]))
    elif verb in OTHERS:
        yield from OTHERS[verb](words)


def _predict(words: Words) -> Iterator[Step]:
    given = _understood(script_commands.predict, words)
    rule = next(name for name in ("within", "at_most", "at_least") if given[name] is not None)
    expect, tolerance = given["within"] if rule == "within" else (given[rule], "")
    yield prediction(given | {"rule": rule.replace("_", " "), "expect": expect, "tolerance": tolerance})


def prediction(shape: dict[str, Any]) -> Step:
    """Return the step of a prediction, from its shape in a history or a summary."""
    bounds = {name: shape[name] for name in PREDICTION if name != "text"}
    return Step("predict", shape["text"], json.dumps(bounds, ensure_ascii=False))


def _load(words: Words) -> Iterator[Step]:
    given = _understood(script_commands.load, words)
    name = given.pop("name")
    given.pop("part")
    plan = load.Plan(name, **{key: value for key, value in given.items() if value is not None})
    yield Step("load", name, _params(plan.params()))


def _params(params: dict[str, Any]) -> str:
    return " ".join(
        f"{key}={value:g}" if isinstance(value, float) else f"{key}={value}" for key, value in params.items()
    )


def _configure(words: Words) -> Iterator[Step]:
    if "--reset" in words:
        yield Step("reset", _service(words[0]), "{}")
    elif words[1:]:
        yield Step("configure", _service(words[0]), json.dumps(dict(_setting(word) for word in words[1:])))


def _setting(word: str) -> tuple[str, Any]:
    """Return a setting as `./lab configure` reads it."""
    key, _, value = word.partition("=")
    try:
        return key, json.loads(value)
    except ValueError:
        return key, value


def _service(word: str) -> str:
    return word.rpartition("/")[2]


def _understood(command: click.Command, words: Words) -> dict[str, Any]:
    """Return the parameters as the command itself understands them."""
    reader = copy.copy(command)  # click remembers the help option of a command's first context
    reader.add_help_option = False
    return dict(reader.make_context(command.name or "", [*words]).params)


def _option(words: Words, name: str, usual: str = "") -> str:
    return words[words.index(name) + 1] if name in words else usual


OTHERS: dict[str, Callable[[Words], Iterable[Step]]] = {
    "predict": _predict,
    "load": _load,
    "configure": _configure,
    "settle": lambda _: [Step("settle", "")],
    "snapshot": lambda words: [Step("settle", ""), Step("snapshot", words[0])],
    "redeliver": lambda words: [Step("publish", words[0])],
    "poison": lambda words: [Step("publish", words[0])],
    "lag": lambda words: [Step("lag table", _option(words, "--note"))] if "--note" in words else [],
    "note-report": lambda words: [Step("report", words[0])],
    "tally": lambda words: [Step("report", words[0])],
    "replay": lambda words: [Step("replay", words[0], _option(words, "--to", "earliest"))],
}


def happened(run: Run) -> list[Step]:
    """Return the steps that a history holds, in order of time."""
    params = {e["phase"]: e["params"] for e in run.phases}
    found: list[Step] = []
    for e in sorted(run.events, key=lambda e: e["at"]):
        step = _noted(e, params)
        if step and not (step.kind == "publish" and found and found[-1].what == step.what):
            found.append(step)
    return found


def _noted(e: dict[str, Any], params: dict[str, dict[str, Any]]) -> Step | None:
    kind, at = e["type"], e["at"]
    if kind == "predict":
        return prediction(e)
    if kind == "begins":
        return Step("load", e["phase"], _params(params.get(e["phase"], {})), at=at)
    if kind == "fault":
        return Step(e["verb"], e["service"], json.dumps(e["value"]) if "value" in e else "", at=at)
    if kind == "replay":
        return Step("replay", e["group"], e["to"], at=at)
    if kind == "report":
        return None if e["name"] in OF_REPLAY else Step("report", e["name"], at=at)
    if kind in ("snapshot", "lag table", "published"):
        return Step("publish" if kind == "published" else kind, e["name"], at=at)
    return Step("settle", "", at=at) if kind == "settled" else None
