"""`docs/glossary.md`: every term of the course is in it, once, with code and an experiment that are there."""

import re
from collections import Counter

import pytest
from conftest import ROOT

PAGE = ROOT / "docs" / "glossary.md"
TERMS = """
    coupling in time, coupling in space, synchronous, asynchronous, orchestration, choreography, saga, compensation,
    eventual consistency, read-your-writes, at-most-once, at-least-once, exactly-once, idempotency, idempotency key,
    deduplication, outbox, inbox, publisher confirm, acknowledgement, redelivery, poison message, dead-letter queue,
    retry with back-off, retry queue, prefetch, competing consumers, consumer group, partition, offset, consumer lag,
    rebalance, zombie, fencing, transaction, replay, projection, backlog, backpressure, load shedding, open loop,
    closed loop, coordinated omission, percentile, Little's law, fault injection, fault window, invariant,
    chaos experiment, counterexample, shrinking, sequence diagram, correlation id, causation id
"""
LINK = re.compile(r"\[([^\]]+)\]\(([^)]+)\)")
ROWS = [line.split(" | ") for line in PAGE.read_text().splitlines() if line.startswith("| **")]


def test_every_term_is_there_once():
    wanted = [term.strip() for term in TERMS.replace("\n", " ").split(",")]
    there = [row[0].removeprefix("| **").removesuffix("**") for row in ROWS]
    assert Counter(there) == Counter(wanted)


@pytest.mark.parametrize("row", ROWS, ids=lambda row: row[0].strip("| *"))
def test_a_term_has_one_sentence_code_and_an_experiment(row):
    _, sentence, code, seen = row
    assert re.fullmatch(r"[A-Zp].*\.", sentence)
    assert not re.search(r"\.\s", sentence)  # one sentence
    places = LINK.findall(code)
    assert places
    assert LINK.findall(seen)
    for words, path in places + LINK.findall(seen):
        file = PAGE.parent / path
        assert file.is_file(), path
        if words.startswith("`") and file.name != words.strip("`"):
            text = file.read_text()
            assert all(name in text for name in words.strip("`").split(".")), f"{words} is not in {path}"
