"""Whether raw files can have been written by a run: each order drawn by its seed, sent once, answered once, in time."""

import gzip
import json
import uuid
from collections import Counter, defaultdict
from collections.abc import Iterator
from itertools import islice
from typing import Any

from campus.orders import drawn

from lab.grading.evidence import LATE_SECONDS, CannotTell, Evidence, Notice, Wrong
from lab.history.model import HISTORY, SAMPLES, STATE, Run, seconds_at
from lab.load import generator
from lab.load.generator import Plan
from lab.report.format import prediction_row, verdict_sentence

TOLERANCE = 0.25  # s, between the clock of the run and those of the services, after a constant skew
MAX_SKEW = 300.0  # s
ROUNDING = 2e-6
Event = dict[str, Any]


def raw_as_written(e: Evidence) -> Wrong:
    """The raw files are byte for byte as the laboratory writes such lines."""
    encode = json.JSONEncoder(separators=(",", ":")).encode
    written = [e.run.head, *e.run.events]
    for name, lines in ((HISTORY, written), (SAMPLES, written), (STATE, e.run.state)):
        packed = e.committed.files.get(name)
        if packed is None:
            continue
        if packed[3] or packed[4:8] != bytes(4):  # a file's name, a time
            yield f"{name} was compressed by another program than the laboratory"
        text = gzip.decompress(packed).decode().splitlines()
        for n, (is_, line) in enumerate(zip(text, lines, strict=True), start=1):
            if is_ != encode(line):
                yield f"{name} line {n} was not written by the laboratory: {is_[:80]}"
                break


def in_order_of_time(e: Evidence) -> Wrong:
    """The lines of the history are in order of time, and none is outside the run."""
    before = 0.0
    for n, event in enumerate(e.run.events, start=2):
        if event["at"] < before:
            yield f"{HISTORY} line {n} ({event['type']}) is at {event['at']:.3f} s, after one at {before:.3f} s"
            return
        before = event["at"]


def loads_are_seeded(e: Evidence) -> Wrong:
    """The orders of each load are those that its seed draws, at its times, none missing and none added."""
    sent: dict[str, list[Event]] = defaultdict(list)
    for event in e.run.events:
        if event["type"] in ("invoke", "dropped"):
            sent[event["phase"]].append(event)
    for phase in e.run.phases:
        yield from _of_load(phase, sent.pop(phase["phase"], []))
    for name, events in sent.items():
        yield f"{len(events)} orders of a load {name}, which the history does not have"


def _of_load(phase: Event, sent: list[Event]) -> Wrong:
    """Yield what is wrong with the orders of one load."""
    wanted = {op: (due, items) for op, due, items in _drawn(phase, len(sent))}
    seconds = phase["params"].get("seconds")
    last = phase["at"] + seconds + 0.01 if seconds else phase["until"]  # until when a closed loop may send
    times = Counter(event["op"] for event in sent)
    for op in wanted:
        if times[op] != 1:
            yield f"order {op} was never sent" if not times[op] else f"order {op} was sent {times[op]} times"
    for event in sent:
        op = event["op"]
        if op not in wanted:
            yield f"order {op} is not one that the load {phase['phase']} draws"
            continue
        due, items = wanted[op]
        if event.get("items", items) != items:
            yield f"order {op} is of {event['items']}, and its seed draws {items}"
        if due is not None and abs(event["intended"] - due) > ROUNDING:
            yield f"order {op} was meant for {event['intended']:.6f} s, and its seed draws {due:.6f} s"
        if due is None and not phase["at"] - ROUNDING <= event["intended"] <= last:
            yield f"order {op} was sent at {event['intended']:.3f} s, outside its load"
        if event["at"] < event["intended"]:
            yield f"order {op} was sent before it was meant to be"


def _drawn(phase: Event, sent: int) -> Iterator[tuple[str, float | None, list[Event]]]:
    """Yield (operation, when, items) of each order of a load; `when` is None where it depends on the answers."""
    params = dict(phase["params"])
    loop = params.pop("loop")
    plan = Plan(phase["phase"], bulk=loop == "bulk", **params)
    if loop == "bulk":
        return ((op, phase["at"], items) for op, items in drawn(plan.count, plan.seed))
    if loop == "open":
        due = [phase["at"] + offset for offset in generator.arrivals(plan)]
        return ((op, at, items) for at, (op, items) in zip(due, generator.orders(plan), strict=False))
    return ((op, None, items) for op, items in islice(generator.orders(plan), plan.count or sent))


def one_end_each(e: Evidence) -> Wrong:
    """Every order that was sent has one result, which fits its kind of answer and comes in time."""
    sent = {event["op"]: event for event in e.run.events if event["type"] == "invoke"}
    timeout = {p["phase"]: p["params"].get("timeout", 0.0) for p in e.run.phases}
    ends: Counter[str] = Counter()
    for event in e.run.events:
        if event["type"] not in ("ok", "fail", "info"):
            continue
        op = event["op"]
        if op not in sent:
            yield f"order {op} was answered and never sent"
            continue
        ends[op] += 1
        took = event["at"] - sent[op]["at"]
        if not 0 <= took <= timeout.get(sent[op]["phase"], 0.0) + LATE_SECONDS:
            yield f"order {op} was answered {took:.3f} s after it was sent"
        if event["type"] != generator.result_of(event["kind"]):
            yield f"order {op} was answered {event['kind']}, which is not `{event['type']}`"
    for op in sent:
        if ends[op] != 1:
            yield f"order {op} was sent and has {ends[op] or 'no'} end{'s' if ends[op] else ''}"


def clocks_agree(e: Evidence) -> Wrong:
    """An order was placed, by its service's clock, between its sending and its answer, and its id is of that time."""
    began = -seconds_at(e.run, "1970-01-01T00:00:00Z")
    operations = {op.op: op for op in e.run.operations}
    if skew := _skew(e.run):
        yield Notice(f"the services' clock was {skew:+.2f} s from the client's, which is subtracted")
    for order in e.run.held("order"):
        steps = [step for step in order["timeline"] if step["status"] != "unknown"]  # learnt later, stamped as it was
        times = [seconds_at(e.run, step["at"]) for step in steps]
        name = f"order {order['order_id']}"
        if times != sorted(times):
            yield f"the times of {name} do not follow the order of its states"
        made = (uuid.UUID(order["order_id"]).int >> 80) / 1000 - began
        if abs(made - times[0]) > TOLERANCE:
            yield f"{name} was placed at {times[0]:.3f} s, and its id was made at {made:.3f} s"
        op = operations.get(order["user_id"])
        if op is None:
            continue
        answered = op.ended if op.result in ("ok", "fail") else None
        placed = times[0] - skew
        if placed < op.sent - TOLERANCE or (answered is not None and placed > answered + TOLERANCE):
            yield f"{name} was placed at {placed:.3f} s, and {op.op} was sent at {op.sent:.3f} s"
        if op.order_id and op.result == "ok" and op.order_id not in e.run.orders:
            yield f"the reply to {op.op} names the order {op.order_id}, which does not exist"


def _skew(run: Run) -> float:
    """Return how far the services' clock was ahead of the client's; 0 where they agree, or differ by more than that.

    Nearly all orders were placed after they were sent, and before they were answered.
    """
    placed = {order["user_id"]: seconds_at(run, order["timeline"][0]["at"]) for order in run.held("order")}
    known = [(placed[op.op], op) for op in run.operations if op.op in placed and op.result in ("ok", "fail")]
    if not known:
        return 0.0
    after_sent = sorted(at - op.sent for at, op in known)[len(known) // 20]
    after_answer = sorted(at - (op.ended or at) for at, op in known)[-1 - len(known) // 20]
    skew = min(after_sent, 0.0) or max(after_answer, 0.0)
    return skew if TOLERANCE / 2 < abs(skew) <= MAX_SKEW else 0.0


def services_agree(e: Evidence) -> Wrong:
    """Inventory and notification did their work, by their own clocks, before the order's state says so."""
    if "broken" in e.run.head:  # a mistake may be just that
        return
    for what, status in (("reservation", "reserved"), ("notification", "notified")):
        for row in e.run.held(what):
            order = e.run.orders.get(row["order_id"])
            if order is None or row.get("status", status) != status:
                continue
            at = seconds_at(e.run, row["at"])
            placed = seconds_at(e.run, order["timeline"][0]["at"])
            said = next((seconds_at(e.run, s["at"]) for s in order["timeline"] if s["status"] == status), None)
            if at < placed - TOLERANCE or (said is not None and said < at - TOLERANCE):
                yield f"order {order['order_id']} has a {what} of {at:.3f} s, placed {placed:.3f} s, {status} {said} s"


def log_agrees(e: Evidence) -> Wrong:
    """run.log is of this experiment, in full, and ends with what the raw files say."""
    if "run.log" not in e.committed.files:
        raise CannotTell("there is no run.log")
    lines = e.committed.files["run.log"].decode(errors="replace").splitlines()
    if lines[:1] != [f"— {e.run.head['experiment']}"]:
        yield f"run.log begins with `{''.join(lines[:1])}`"
    if e.summary is None:
        raise CannotTell("there is no summary to compare run.log with")
    if "doubt" in e.summary:
        raise CannotTell(e.summary["doubt"])
    say = Notice if e.by_other_code("run.log") or e.by_other_code() else str
    last = f"{e.summary['verdict']}: {verdict_sentence(e.summary)}"
    if last not in lines:
        yield say(f"run.log does not say `{last}`")
    for p in e.summary["predictions"]:
        _, predicted, measured, _ = prediction_row(p)
        begin = f"  {p['verdict']:7} {p['id']}"
        end = f": predicted {predicted}, measured {measured}"
        if not any(line.startswith(begin) and line.endswith(end) for line in lines):  # sentences may have been improved
            yield say(f"run.log does not say `{begin.strip()}{end}`")


OF_RAW_FILES = [raw_as_written, in_order_of_time, loads_are_seeded, one_end_each, clocks_agree, services_agree]
RULES = [*OF_RAW_FILES, log_agrees]
