"""Faults: what may be configured, and what each does to the work. Sleeping, time and death are fakes."""

import contextlib

import pytest
from campus.faults import ANSWERING, CONSUMING, Drop, Faults, Hang
from campus.problems import Problem
from hypothesis import given
from hypothesis import strategies as st
from testing.fakes import FakeClock, ProcessKilled

NO_FAULT = {
    "delay": 0.0,
    "jitter": 0.0,
    "failure_rate": 0.0,
    "failure_mode": "error",
    "crash_point": None,
    "seed": None,
    "expires_in": None,
}


@pytest.fixture
def clock():
    return FakeClock()


@pytest.fixture
def faults(clock):
    return make(clock)


def make(clock: FakeClock, keys=ANSWERING, **more) -> Faults:
    return Faults(keys, sleep=clock.sleep, clock=lambda: clock.now, kill=clock.kill, **more)


def outcomes(faults: Faults, count: int) -> list[str]:
    """Return what became of so many requests."""
    seen = []
    for _ in range(count):
        try:
            seen.append(faults.inject() or "ok")
        except (Problem, Hang, Drop) as error:
            seen.append(type(error).__name__)
    return seen


def test_without_faults_nothing_happens(faults, clock):
    assert faults.show() == NO_FAULT
    assert faults.inject() is None
    faults.crash_at("before_commit")
    assert clock.slept == []


def test_configure_merges_and_reset_is_idempotent(faults):
    faults.configure({"delay": 2})
    assert faults.configure({"failure_rate": 1}) == NO_FAULT | {"delay": 2.0, "failure_rate": 1.0}
    assert faults.configure({}) == faults.show()
    assert faults.reset() == faults.reset() == NO_FAULT


def test_delay_waits_before_the_work(faults, clock):
    faults.configure({"delay": 1.5})
    assert faults.inject() is None
    assert clock.slept == [1.5]


def test_jitter_spreads_the_delay_evenly_around_it(faults, clock):
    faults.configure({"delay": 2, "jitter": 1, "seed": 1})
    outcomes(faults, 500)
    assert 1 <= min(clock.slept) < 1.1
    assert 2.9 < max(clock.slept) <= 3
    assert 1.9 < sum(clock.slept) / 500 < 2.1


def test_jitter_beyond_the_delay_does_not_wait_negatively(faults, clock):
    faults.configure({"jitter": 1, "seed": 1})
    outcomes(faults, 100)
    assert all(0 < seconds <= 1 for seconds in clock.slept)
    assert 0 < len(clock.slept) < 100


def test_a_failed_request_waits_first(faults, clock):
    faults.configure({"delay": 1, "failure_rate": 1})
    assert outcomes(faults, 1) == ["Problem"]
    assert clock.slept == [1.0]


@pytest.mark.parametrize(
    ("mode", "outcome"), [("error", "Problem"), ("reject", "injected"), ("hang", "Hang"), ("drop", "Drop")]
)
def test_failure_modes(faults, mode, outcome):
    faults.configure({"failure_rate": 1, "failure_mode": mode})
    assert outcomes(faults, 3) == [outcome] * 3


def test_an_injected_error_is_a_500(faults):
    faults.configure({"failure_rate": 1})
    with pytest.raises(Problem) as caught:
        faults.inject()
    assert (caught.value.status, caught.value.kind) == (500, "injected-failure")


def test_failure_rate_is_the_share_that_fails(faults):
    faults.configure({"failure_rate": 0.3, "seed": 5})
    failed = outcomes(faults, 2000).count("Problem")
    assert 520 < failed < 680


def test_a_failure_mode_alone_fails_nothing(faults):
    faults.configure({"failure_mode": "reject"})
    assert outcomes(faults, 20) == ["ok"] * 20


def test_a_seed_repeats_failures_and_jitter(clock):
    runs = []
    for seed in (7, 7, 8):
        faults, clock.slept = make(clock), []
        faults.configure({"failure_rate": 0.5, "jitter": 1, "delay": 1, "seed": seed})
        runs.append((outcomes(faults, 40), clock.slept))
    assert runs[0] == runs[1] != runs[2]


def test_a_seed_sent_again_starts_again(faults):
    faults.configure({"failure_rate": 0.5, "seed": 7})
    first = outcomes(faults, 40)
    faults.configure({"seed": 7})
    assert outcomes(faults, 40) == first


def test_crash_point_kills_there_and_only_there(faults):
    faults.configure({"crash_point": "after_commit"})
    faults.crash_at("before_commit")
    with pytest.raises(ProcessKilled):
        faults.crash_at("after_commit")


def test_everything_expires(faults, clock):
    faults.configure({"delay": 2, "failure_rate": 1, "expires_in": 10})
    clock.now += 4
    assert faults.show()["expires_in"] == 6.0
    clock.now += 5.9
    assert outcomes(faults, 1) == ["Problem"]  # and its delay of 2 s ends the 10
    assert faults.show() == NO_FAULT
    assert outcomes(faults, 1) == ["ok"]


def test_a_change_does_not_put_off_expiry_but_a_new_expiry_does(faults, clock):
    faults.configure({"delay": 2, "expires_in": 10})
    clock.now += 6
    faults.configure({"delay": 3})
    assert faults.show()["expires_in"] == 4.0
    faults.configure({"expires_in": 10})
    clock.now += 6
    assert faults.show()["delay"] == 3.0


def test_a_change_after_expiry_starts_from_no_fault(faults, clock):
    faults.configure({"delay": 2, "expires_in": 10})
    clock.now += 11
    assert faults.configure({"jitter": 1}) == NO_FAULT | {"jitter": 1.0}


def test_reset_forgets_the_expiry(faults, clock):
    faults.configure({"delay": 2, "expires_in": 10})
    faults.reset()
    faults.configure({"delay": 3})
    clock.now += 11
    assert faults.show()["delay"] == 3.0


def test_timeout_is_only_for_a_service_that_calls_others(clock):
    order = make(clock, ANSWERING | {"timeout"}, timeout=5.0)
    assert order.timeout == 5.0
    order.configure({"timeout": 0.25})
    assert order.timeout == 0.25
    order.reset()
    assert order.show()["timeout"] == 5.0
    with pytest.raises(Problem):
        make(clock).configure({"timeout": 1})


def test_a_consumer_can_be_paused_and_throttled(clock):
    consumer = make(clock, CONSUMING)
    assert (consumer.paused, consumer.throttle) == (False, 0.0)
    consumer.configure({"paused": True, "throttle": 0.5})
    assert (consumer.paused, consumer.throttle) == (True, 0.5)


def test_a_message_is_slow_where_it_waits_before_or_after_its_work(clock):
    consumer = make(clock, CONSUMING)
    assert not consumer.slow
    for fault in ("delay", "jitter", "throttle"):
        consumer.configure({fault: 0.1})
        assert consumer.slow
        consumer.reset()
    assert not consumer.slow


def test_messages_hang_only_while_some_of_them_fail_so(clock):
    consumer = make(clock, CONSUMING)
    for patch, hangs in (({"failure_mode": "hang"}, False), ({"failure_rate": 0.1}, True), ({"expires_in": 5}, True)):
        consumer.configure(patch)
        assert consumer.hangs is hangs
    clock.now += 6
    assert not consumer.hangs


def test_a_throttled_consumer_rests_after_each_message_and_another_does_not(clock):
    consumer = make(clock, CONSUMING)
    consumer.rest()
    consumer.configure({"throttle": 0.5})
    consumer.rest()
    assert clock.slept == [0.5]


def test_points_are_those_of_the_service(clock):
    publisher = make(clock, points=("after_publish",))
    publisher.configure({"crash_point": "after_publish"})
    with pytest.raises(Problem):
        publisher.configure({"crash_point": "after_commit"})


@pytest.mark.parametrize(
    ("key", "least", "most"),
    [("delay", 0, 60), ("jitter", 0, 60), ("failure_rate", 0, 1), ("expires_in", 0, 3600)],
)
def test_the_limits_of_a_range_are_allowed(clock, key, least, most):
    for value in (least, most, float(most)):
        assert make(clock).configure({key: value, "seed": 1})["seed"] in (1, None)
    for value in (least - 0.001, most + 0.001):
        with pytest.raises(Problem):
            make(clock).configure({key: value})


KEYS = st.sampled_from([*NO_FAULT, "timeout", "paused", "throttle", "nonsense"])
VALUES = st.none() | st.booleans() | st.integers(-5, 5) | st.floats() | st.sampled_from(["drop", "after_commit"])


def configured(faults: Faults, patch) -> dict | None:
    """Return all faults after this patch, or None when it was refused."""
    with contextlib.suppress(Problem):
        return faults.configure(patch)
    return None


@given(st.dictionaries(KEYS, VALUES | st.lists(VALUES, max_size=2)) | VALUES)
def test_any_patch_is_taken_whole_or_refused_whole(patch):
    faults = make(FakeClock())
    before = faults.configure({"delay": 1, "failure_mode": "reject"})
    after = configured(faults, patch)
    if after is None:
        assert faults.show() == before
    else:
        expired = patch.get("expires_in") == 0
        shown = patch | {"expires_in": round(patch["expires_in"], 3)} if patch.get("expires_in") else patch  # to the ms
        given = {key: NO_FAULT[key] if value is None else value for key, value in shown.items()}
        assert after == (NO_FAULT if expired else before | given)


def test_null_unsets_one_key_and_leaves_the_others(clock):
    faults = make(clock)
    faults.configure({"delay": 2, "crash_point": "after_commit", "seed": 3, "expires_in": 30})
    assert faults.configure({"crash_point": None, "expires_in": None}) == NO_FAULT | {"delay": 2, "seed": 3}
    clock.now += 60  # nothing expires any more
    assert faults.show()["delay"] == 2
    assert faults.configure({"delay": None, "failure_mode": "hang"})["delay"] == 0


def test_null_for_a_key_that_there_is_not_is_refused(clock):
    assert configured(make(clock), {"delay": 1, "nothing": None}) is None
    assert configured(Faults(frozenset({"delay"})), {"paused": None}) is None


def test_the_schema_has_the_keys_and_points_of_this_service():
    schema = Faults(frozenset({"delay", "crash_point"}), points=("after_publish",)).schema()
    assert list(schema["properties"]) == ["crash_point", "delay"]
    assert schema["properties"]["crash_point"]["anyOf"][0]["enum"] == ["after_publish"]
