"""Waiting in tests: what it says when it fails, and that it notices a death at once."""

import sys
import time

import pytest
import testing


def test_it_gives_what_came_true():
    answers = [None, [], "yes"]
    assert testing.wait_until(lambda: answers.pop(0)) == "yes"


def test_what_did_not_come_true_is_named():
    with pytest.raises(AssertionError, match=r"^not in 0\.01 s: the order is done \(last: ''\)$"):
        testing.wait_until(lambda: "", 0.01, what="the order is done")
    with pytest.raises(AssertionError, match=r"not in 0\.01 s: list \(last: \[\]\)"):
        testing.wait_until(list, 0.01)


@pytest.fixture
def process(tmp_path):
    made = testing.Process("broker", testing.free_port(), tmp_path / "log")
    yield made
    made.kill()


def test_a_death_is_noticed_at_once_and_its_last_lines_are_quoted(process, tmp_path):
    process.run([sys.executable, "-c", "print('the port is taken'); raise SystemExit(1)"], folder=tmp_path, env={})
    began = time.monotonic()
    with pytest.raises(AssertionError, match=r"(?s)waiting for an answer: broker ended.*\nthe port is taken$"):
        testing.wait_until(lambda: False, 100, what="an answer", alive=process)
    assert time.monotonic() - began < 50


def test_who_lives_and_does_not_answer_is_quoted_too(process, tmp_path):
    process.run([sys.executable, "-uc", "print('I wait'); import time; time.sleep(60)"], folder=tmp_path, env={})
    testing.wait_until(lambda: "I wait" in process.log(), alive=process)
    with pytest.raises(AssertionError, match=r"(?s)not in 0\.1 s: an answer .*\nI wait$"):
        testing.wait_until(lambda: False, 0.1, what="an answer", alive=process)


def test_no_port_is_given_twice():
    ports = [testing.free_port() for _ in range(200)]
    assert len(set(ports)) == 200
    assert all(12_000 <= port < 32_000 for port in ports)
