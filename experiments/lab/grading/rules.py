"""Whether a committed run is a full one of the script and the predictions that we have, by a commit that is known.

Each rule is a function whose docstring is the rule in one sentence; it yields what is wrong, in a sentence each: a
plain string fails, `Unsure` needs a person, `Notice` changes nothing. A rule that cannot be decided raises CannotTell.
Nothing that a student wrote is run: a text is held against ours.
"""

import difflib
from datetime import datetime

from lab.checker import predictions
from lab.errors import LabError
from lab.grading.evidence import MAX_TOLD, CannotTell, CommittedRun, Evidence, Notice, Unsure, Wrong, own, short
from lab.grading.ours import id_of, ours
from lab.grading.text import listed
from lab.history.header import read_header
from lab.history.model import HISTORY

CLOCK_SECONDS = 120.0  # that the clock of git may differ from the run's


def full_run(e: Evidence) -> Wrong:
    """It is a full run, not a quick one."""
    if e.run.head["quick"]:
        yield "it is a quick run, which is not full evidence"


def right_version(e: Evidence) -> Wrong:
    """It is a run of the right services, and not of a broken version."""
    if "broken" in e.run.head:
        yield f"one of its services was the broken version {short(str(e.run.head['broken']))}"


def same_name(e: Evidence) -> Wrong:
    """Experiment, part, title and explanation are those of the folder and of the script."""
    head, committed = e.run.head, e.committed
    for name, should in (("experiment", committed.experiment), ("part", committed.part)):
        if head[name] != should:
            yield f"the run says that its {name} is {short(str(head[name]))}, and it is in {committed.folder}"
    said = {"title": head["title"]} | head["about"]
    scripts = (own(e.script), committed.script_then, committed.script)
    written = [_header(script, committed) for script in scripts if script is not None]
    for name in ("title", "Shows", "Why", "Not shown"):
        if written and said.get(name) not in [header.get(name) for header in written]:
            yield Notice(
                f"the run says in its {name} `{short(said.get(name))}`, and the script `{short(written[0].get(name))}`"
            )


def _header(script: bytes, committed: CommittedRun) -> dict[str, str]:
    """Return the title and the sections of a script's first comment."""
    try:
        title, about = read_header(script.decode(), committed.experiment)
    except (LabError, UnicodeDecodeError):
        return {"title": ""}
    return {"title": title} | about


def commit_is_known(e: Evidence) -> Wrong:
    """The commit that it names is in the repository's history, without uncommitted changes."""
    if e.commit.endswith("+changes"):
        raise CannotTell(f"it was made with uncommitted changes ({short(e.commit)}), so its code is unknown")
    if e.commit == "none":
        raise CannotTell("it was made outside of git, so its code is unknown")
    if e.committed.in_history:
        return
    if e.committed.other_code.get(HISTORY) == ():
        yield Notice(
            f"commit {short(e.commit)} is not in this history (squashed, or from a template?); the code is ours"
        )
    else:
        where = "may be beyond the end of this shallow clone" if e.committed.shallow else "is not in this history"
        raise CannotTell(f"commit {short(e.commit)}, which it names, {where}: was it squashed, or rebased?")


def made_by_our_code(e: Evidence) -> Wrong:
    """The laboratory and the services that made it are ours."""
    differing = [*e.committed.other_code.get("", ())]
    if differing and e.committed.in_history and not e.committed.own:
        yield Notice(f"made by other code: at commit {e.commit} these files are not ours: {listed(differing)}")


def times_fit(e: Evidence) -> Wrong:
    """It began after the commit that it names was made, and ended before it was committed."""
    began = datetime.fromisoformat(e.run.head["began_at"]).timestamp() if "began_at" in e.run.head else None
    if began is None:
        return
    ended = began + (e.run.events[-1]["at"] if e.run.events else 0.0)
    if e.committed.named_at is not None and began < e.committed.named_at - CLOCK_SECONDS:
        yield Unsure(f"it began {e.committed.named_at - began:,.0f} s before the commit {e.commit}, which it names")
    if e.committed.added_at is not None and ended > e.committed.added_at + CLOCK_SECONDS:
        yield Unsure(f"it was committed {ended - e.committed.added_at:,.0f} s before it ended")


def script_is_ours(e: Evidence) -> Wrong:
    """Its script was ours when it ran."""
    now, mine = e.committed.script, own(e.script)
    then = e.committed.script_then if e.committed.in_history else now
    if then is None and mine is not None:
        raise CannotTell(f"there was no {e.script} at commit {short(e.commit)}, which it names")
    yield from _same_text(e.script, mine, now, then)


def predictions_are_ours(e: Evidence) -> Wrong:
    """Its predictions were ours when it ran."""
    path = f"experiments/{e.committed.experiment}.py"
    then, mine = predictions.text_of(e.run), own(path)
    yield from _same_text(path, mine, e.committed.predictions, mine if then is None else then.encode())


def _same_text(path: str, mine: bytes | None, now: bytes | None, then: bytes | None) -> Wrong:
    """Yield how a text differs from ours. Raises CannotTell for one with which the run was made."""
    if mine is None:
        raise CannotTell(f"we have no {path} to compare it with")
    if then is not None and then != mine:
        if not ours().had(id_of(then)):
            raise CannotTell(f"{path} was not ours when it ran, judge yourself: {_diff(mine, then)}")
        yield Notice(f"{path} was an older version of ours; judged by the newest")
    if now is not None and now not in (then, mine) and not ours().had(id_of(now)):
        yield Notice(f"{path} was changed after the run: {_diff(then or mine, now)}")


def _diff(old: bytes, new: bytes) -> str:
    before, after = (text.decode(errors="replace").splitlines() for text in (old, new))
    diff = difflib.unified_diff(before, after, n=0, lineterm="")
    lines = [line for line in diff if line[:2] not in ("--", "++", "@@")]
    return listed([f"`{short(line)}`" for line in lines], 2 * MAX_TOLD)


OF_A_COMMIT = [commit_is_known, made_by_our_code, times_fit]
RULES = [full_run, right_version, same_name, *OF_A_COMMIT, script_is_ours, predictions_are_ours]
