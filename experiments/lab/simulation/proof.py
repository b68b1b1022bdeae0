"""Proving a counterexample: its schedule as a script for real services, the run of that script, and both diagrams."""

import os
import shutil
import subprocess
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from lab.analysis import latency
from lab.checker import invariants, run_view
from lab.errors import LabError
from lab.history import model
from lab.history.model import Run
from lab.paths import STATE_DIR
from lab.simulation import real_steps
from lab.simulation.core import STOCK
from lab.simulation.explore import Counterexample
from lab.simulation.part import SimulatedPart
from lab.simulation.selection import relevant
from lab.simulation.verdict import SENTINEL
from lab.simulation.words import numbered
from lab.trace import diagram
from lab.trace.entries import CLIENT, Entry
from lab.trace.one_order import entries
from lab.verdict import FAIL, PASS, UNKNOWN

MAX_ORDERS = 2  # of a real run, in its diagram
VERBS = {"kill": ("crash", "killed"), "start": ("note", "is started"), "pause": ("fault", "frozen"),
         "unpause": ("note", "goes on")}  # fmt: skip
WORDS = {PASS: "confirmed", FAIL: "not confirmed", UNKNOWN: "unknown"}


@dataclass(frozen=True)
class Proof:
    """What came of it: `pass` if real services broke the same promise, `fail` if not, `unknown` if it was not tried.

    `broken` are the promises that the real run broke, with a sentence each; `seconds` is how long it took.
    """

    verdict: str
    why: str
    script: Path
    seconds: float = 0.0
    broken: Sequence[tuple[str, str]] = ()
    trace: Sequence[Entry] = ()

    def sentence(self, found: Counterexample) -> str:
        """Return the result in one line."""
        said = f"simulated in {found.seconds:.1f} s, {WORDS[self.verdict]}"
        return f"{said} in {self.seconds:.0f} s: {self.why}" if self.seconds else f"{said}: {self.why}"


def prove(part: SimulatedPart, found: Counterexample, folder: Path) -> Proof:
    """Write the script of a counterexample into a folder, run it on the real services, and compare. Raises LabError."""
    story = real_steps.story(part, found.schedule)
    script = folder / f"{name_of(found)}.sh"
    script.write_text(_script(part, found, story.lines))
    script.chmod(0o755)
    if story.unmapped:
        return Proof(UNKNOWN, " ".join(story.unmapped), script)
    left = STATE_DIR / "quick/explore" / name_of(found)
    shutil.rmtree(left, ignore_errors=True)
    began = time.monotonic()
    ended = subprocess.run(["bash", str(script), "--quick"], env=os.environ | {"LAB_BROKEN": found.file or ""})
    seconds = time.monotonic() - began
    try:
        run = model.read(left)
    except LabError:
        return Proof(UNKNOWN, f"the script ended with status {ended.returncode} before its end", script, seconds)
    return judge(found, run, script, seconds)


def judge(found: Counterexample, run: Run, script: Path, seconds: float) -> Proof:
    """Return whether a real run broke a promise that the counterexample breaks."""
    findings = invariants.check(run)
    broken = [(finding.id, finding.sentence) for finding in findings if finding.verdict == FAIL] + [*_poison(run)]
    same = sorted({violation.id for violation in found.violations} & {id for id, _ in broken})
    subjects = [v["subject"] for finding in findings for v in finding.violations if finding.verdict == FAIL]
    if same:
        verdict, why = PASS, f"{', '.join(same)} is broken, as in the simulation"
    elif any(finding.verdict == UNKNOWN for finding in findings):
        verdict, why = UNKNOWN, next(finding.sentence for finding in findings if finding.verdict == UNKNOWN)
    else:
        verdict, why = FAIL, f"the real services broke {', '.join(id for id, _ in broken) or 'no promise'}"
    return Proof(verdict, why, script, seconds, broken, real_trace(run, subjects))


def name_of(found: Counterexample) -> str:
    """Return the name of the files of a counterexample."""
    return f"{found.part}-{found.file}" if found.file else found.part


def real_trace(run: Run, subjects: Sequence[str]) -> list[Entry]:
    """Return the messages of the orders that broke a promise, or of the first ones, and what was done to services."""
    later = {op.order_id for op in run.operations if op.phase == SENTINEL}
    recorded = list(dict.fromkeys(line["order_id"] for line in run.trace if line["order_id"] not in later))
    ids = [order for order in recorded if order in subjects] or recorded
    if not any(line["service"] == "order" for line in run.trace if line["order_id"] in ids[:MAX_ORDERS]):
        ids = [*recorded[:1], *ids]  # one that no client ordered is shown beside the one that a client did
    shown = [line for order in ids[:MAX_ORDERS] for line in run.trace if line["order_id"] == order]
    by_order = [entries(line for line in shown if line["order_id"] == order) for order in ids[:MAX_ORDERS]]
    found = [entry for its in by_order for entry in its] + [*_done(run)]
    return sorted(found, key=lambda entry: entry.at)


def _done(run: Run) -> Iterator[Entry]:
    """Yield what the script did to services and brokers."""
    for e in run.of_type("fault"):
        if e["verb"] in VERBS:
            kind, text = VERBS[e["verb"]]
            yield Entry(e["at"], 0, kind, e["service"], None, text)
        elif e["verb"] == "configure":
            yield Entry(e["at"], 0, "fault", e["service"], None, f"POST /configure {e['value']}")
    published = run.of_type("published")
    for e in published[:1]:
        text = f"{len(published)} messages: {e['kind']} …" if len(published) > 1 else "OrderPlaced, once more"
        broker = "kafka" if run.head["part"] == "streaming-kafka" else "rabbitmq"
        yield Entry(e["at"], 0, "message", CLIENT, broker, text, again=len(published) == 1)


def _poison(run: Run) -> Iterator[tuple[str, str]]:
    """Yield the promise about messages that cannot be read, if it is broken: each is dead-lettered once."""
    view = run_view.Run(run, latency.of_phases(run))
    if sent := [e for e in run.of_type("published") if e["name"] == "unreadable"]:
        dead = int(view.dead_lettered_once("unreadable"))
        if dead < len(sent):
            yield "poison", f"{dead} of {len(sent)} messages that cannot be read are in a dead-letter queue"


def _script(part: SimulatedPart, found: Counterexample, lines: Sequence[str]) -> str:
    version = f" --broken {found.file}" if found.file else ""
    again = f"./lab explore {found.part}{version} --prove"
    breaks = ", ".join(violation.id for violation in found.violations)
    return f"""#!/usr/bin/env bash
# A schedule that was found by simulation, on the real services
#
# Shows: {" ".join(numbered(part, found.schedule))}
# Why: In the simulation this breaks {breaks}. If the real services break it, too, the schedule is proved.
# Not shown: The moment of each effect: real services work all the time, and a crash point is set in advance.
# Takes: 15 to 60 s
# Usage: {again}
# Written by that command, which sets LAB_BROKEN.
place=explore/{name_of(found)} again={again!r}
export INITIAL_STOCK={STOCK!r}
patience=8
. "$(dirname "$(realpath "$0")")/../../experiments/experiment.sh" {found.part} "$@"

""" + "\n".join([*lines, "finish", ""])


def page(part: SimulatedPart, found: Counterexample, proof: Proof) -> str:
    """Return both runs side by side as Markdown."""
    simulated = diagram.mermaid(relevant(found.trace, found.violations)).rstrip()
    real = diagram.mermaid(proof.trace).rstrip() if proof.trace else ""
    title = f"{found.part}, broken version {found.file}" if found.file else f"{found.part}, the services as they are"
    rows = [f"| simulated | {v.id} | {v.sentence} |" for v in found.violations]
    rows += [f"| real | {id} | {sentence} |" for id, sentence in proof.broken]
    run = ["```mermaid", real, "```"] if real else ["Nothing was recorded."]
    return "\n".join([
        f"# Proved: {title}", "", f"**{proof.sentence(found)}**", "", *numbered(part, found.schedule), "",
        "| run | promise | found |", "|---|---|---|", *rows, "",
        "<table><tr><th>simulated</th><th>real</th></tr><tr><td>", "", "```mermaid", simulated, "```", "",
        "</td><td>", "", *run, "", "</td></tr></table>", "",
        f"The script: [`{proof.script.name}`]({proof.script.name}). The command that wrote it must start it.", "",
        "```bash", proof.script.read_text().partition('"$@"\n\n')[2].rstrip(), "```", "",
    ])  # fmt: skip


def write(part: SimulatedPart, found: Counterexample, proof: Proof) -> Path:
    """Write the page beside the script, and return it."""
    path = proof.script.with_suffix(".proof.md")
    path.write_text(page(part, found, proof))
    return path
