"""Whether a committed run is a full one of the script and the predictions that we have, by a commit that is known.

Each rule is a function whose docstring is the rule in one sentence; it yields what is wrong, in a sentence each. A rule
that cannot be decided raises CannotTell. What the run did is in `as_ours`, and what its raw files must be like in
`authentic`. Nothing that a student wrote is run: a text is held against ours.
"""

import difflib

from lab.checker import predictions
from lab.errors import LabError
from lab.grading.evidence import MAX_TOLD, CannotTell, CommittedRun, Evidence, Wrong, own, short
from lab.history.header import read_header


def full_run(e: Evidence) -> Wrong:
    """It is a full run, not a quick one."""
    if e.run.head["quick"]:
        yield "it is a quick run, which is not full evidence"


def right_version(e: Evidence) -> Wrong:
    """It is a run of the right services, and not of a broken version."""
    if "broken" in e.run.head:
        yield f"one of its services was the broken version {e.run.head['broken']}"


def same_name(e: Evidence) -> Wrong:
    """Experiment, part, title and explanation are those of the folder and of the committed script."""
    head, committed = e.run.head, e.committed
    for name, should in (("experiment", committed.experiment), ("part", committed.part)):
        if head[name] != should:
            yield f"the run says that its {name} is {head[name]}, and it is in {committed.folder}"
    said, written = {"title": head["title"]} | head["about"], _header(committed)
    for name in ("title", "Shows", "Why", "Not shown"):
        is_, should = said.get(name), written.get(name)
        if is_ != should:
            yield f"the run says in its {name} `{short(is_)}`, and the script says `{short(should)}`"


def _header(committed: CommittedRun) -> dict[str, str]:
    """Return the title and the sections of a script's first comment."""
    try:
        title, about = read_header((committed.script or b"").decode(), committed.experiment)
    except (LabError, UnicodeDecodeError):
        return {"title": ""}
    return {"title": title} | about


def commit_is_known(e: Evidence) -> Wrong:
    """The commit that it names is in the repository's history, without uncommitted changes."""
    if e.commit.endswith("+changes"):
        raise CannotTell(f"it was made with uncommitted changes ({e.commit}), so its code is unknown")
    if e.commit == "none":
        raise CannotTell("it was made outside of git, so its code is unknown")
    if not e.committed.in_history:
        if e.committed.shallow:
            raise CannotTell(f"commit {e.commit} may be beyond the end of this shallow clone")
        yield f"commit {e.commit}, which it names, is not in the history of this repository"


def script_is_ours(e: Evidence) -> Wrong:
    """Its script is ours, and was ours when it ran."""
    if e.committed.in_history and e.script_then is None:
        yield f"there was no {e.script} at commit {e.commit}, which it names"
        return
    yield from _same_text(e.script, own(e.script), e.committed.script, e.script_then)


def predictions_are_ours(e: Evidence) -> Wrong:
    """Its predictions are ours, and were ours when it ran."""
    path = f"experiments/{e.committed.experiment}.py"
    then, ours = predictions.text_of(e.run), own(path)
    yield from _same_text(path, ours, e.committed.predictions, ours if then is None else then.encode())


def _same_text(path: str, ours: bytes | None, now: bytes | None, then: bytes | None) -> Wrong:
    """Yield how a text was changed after the run. Raises CannotTell for one that was changed before it."""
    if now is None:
        raise CannotTell(f"there is no {path}")
    if now != then:
        yield f"{path} was changed after the run: {_diff(then or b'', now)}"
    elif ours is None:
        raise CannotTell(f"we have no {path} to compare it with")
    elif now != ours:
        raise CannotTell(f"{path} is not ours, judge yourself: {_diff(ours, now)}")


def _diff(old: bytes, new: bytes) -> str:
    """Return the first lines that differ between two texts."""
    before, after = (text.decode(errors="replace").splitlines() for text in (old, new))
    diff = difflib.unified_diff(before, after, n=0, lineterm="")
    lines = [line for line in diff if line[:2] not in ("--", "++", "@@")]
    shown = [f"`{short(line)}`" for line in lines[: 2 * MAX_TOLD]]
    return ", ".join(shown) + (f" and {len(lines) - len(shown)} more" if lines[len(shown) :] else "")


RULES = [full_run, right_version, same_name, commit_is_known, script_is_ours, predictions_are_ours]
