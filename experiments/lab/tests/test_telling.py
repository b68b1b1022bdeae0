"""What a script would do is told by the script itself, in its order, and without doing any of it."""

from pathlib import Path

import pytest
from lab import history, telling
from lab.places import RESULTS, ROOT
from lab.telling import Untold

SCRIPTS = sorted((ROOT / "experiments").glob("[abc][0-9]_*.sh"))
RUNS = sorted(file.parent for file in RESULTS.glob(f"*/*/{history.HISTORY}"))
FRAME = 'source "$(dirname "$0")/story.sh" sync-rest "$@"\n'


def told(text: str, quick: bool = False) -> list[str]:
    return [str(step) for step in telling.tell((FRAME + text).encode(), quick=quick).steps]


@pytest.mark.parametrize("script", SCRIPTS, ids=[script.stem for script in SCRIPTS])
def test_every_script_can_be_told_and_its_quick_story_is_another(script):
    full, quick = (telling.tell(script.read_bytes(), quick=quick) for quick in (False, True))
    assert full.predictions
    assert full.steps[-1].kind == "settle"
    assert full.steps != quick.steps


@pytest.mark.parametrize("folder", RUNS, ids=[folder.name for folder in RUNS])
def test_what_was_told_is_what_happened(folder):
    said = telling.tell((ROOT / f"experiments/{folder.name}.sh").read_bytes())
    assert said.part == folder.parent.name
    assert [step.what for step in telling.happened(history.read(folder))] == [step.what for step in said.steps]


def test_commands_become_steps():
    assert told(
        """
        rate=$(full_or_quick 20 5)
        lab predict many --measure a.ok --within "$rate * 2" 5% --unit orders
        lab load a --rate "$rate" --seconds 2 --poisson
        lab configure sync-rest/inventory delay=2 failure_mode=hang
        lab configure inventory --reset
        lab configure inventory
        lab snapshot before
        lab lag inventory-consumer-group
        lab lag --note late
        lab replay analytics-consumer-group
        lab dlq list
        finish
        """
    ) == [
        'predict many {"measure": "a.ok", "expect": "20 * 2", "rule": "within", "tolerance": "5%", "unit": "orders"}',
        "load a loop=open rate=20 seconds=2 poisson=True seed=1 timeout=60",
        'configure inventory {"delay": 2, "failure_mode": "hang"}',
        "reset inventory {}",
        "settle",
        "snapshot before",
        "lag table late",
        "replay analytics-consumer-group earliest",
        "settle",
    ]
    assert told("lab load a --clients 2 --count $(full_or_quick 8 4)", quick=True)[0].split()[3:5] == [
        "clients=2",
        "count=4",
    ]


def test_a_load_in_the_background_comes_before_what_is_done_to_it():
    story = "lab load a --rate 5 --seconds 9 &\nlab at a 3\nlab kill order\nlab start order\nwait_for_loads"
    for _ in range(20):
        steps = telling.tell((FRAME + story).encode()).steps
        assert [(step.kind, step.due) for step in steps] == [("load", None), ("kill", ("a", 3.0)), ("start", None)]


@pytest.mark.parametrize(
    ("text", "why"),
    [
        ("false", "does not come to its end"),
        ("lab load a --rate none", "cannot be understood"),
        ("lab load --help", "cannot be understood"),
        ("lab at", "cannot be understood"),
        ("lab predict a --measure a.ok", "cannot be understood"),
        (r"printf '\0recorded\0many\0'", "cannot be understood"),
        (r"printf '\0recorded\0%d\0' 1000000", "cannot be understood"),
    ],
)
def test_what_cannot_be_told_says_why(text, why):
    with pytest.raises(Untold, match=why):
        told(text)


def test_a_script_without_end_is_given_up(monkeypatch):
    monkeypatch.setattr(telling, "SECONDS", 0.5)
    with pytest.raises(Untold, match=r"not told within 0\.5 s"):
        told("while :; do :; done")


def test_a_script_without_the_frame_cannot_be_told():
    with pytest.raises(Untold, match=r"does not begin with story\.sh"):
        telling.tell(b"lab settle")


@pytest.mark.parametrize(
    "text",
    ["/bin/date", "date", "echo x >FILE", "exec date", "command -p touch FILE", "PATH=/bin", "kill -0 $$", "set +r"],
)
def test_a_script_that_is_told_can_start_nothing_and_write_nothing(text, tmp_path):
    file = Path(tmp_path, "written")
    with pytest.raises(Untold):
        told(text.replace("FILE", str(file)))
    assert not file.exists()
