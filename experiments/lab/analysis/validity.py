"""Whether the times of a run can be trusted: whether its load generator was on time, and what else the machine did.

A load generator that sends late measures another load than the one that was asked for. Then a prediction about times
says nothing, whichever way it came out; what became of each order is as true as before.
"""

from typing import Any

from lab.history.model import Run

MAX_LATE = 0.05  # share of the orders of one load
COUNTED_ONLY = ("chaos/", "broken/", "explore/")  # nothing is predicted of times there


def of_run(run: Run, phases: dict[str, dict[str, Any]]) -> dict[str, Any]:
    """Return how late each load was, and how busy the machine; `doubt` says in a sentence why the run says nothing."""
    late = {name: round(phase["late"] / phase["sent"], 4) for name, phase in phases.items() if phase["sent"]}
    seen = {e["phase"]: {key: e[key] for key in ("busy", "others", "busiest")} for e in run.of_type("machine")}
    doubt, too_late = "", {name: share for name, share in late.items() if share > MAX_LATE}
    if too_late and not run.head.get("place", "").startswith(COUNTED_ONLY):
        shares = ", ".join(f"{100 * share:.1f} % of the load {name}" for name, share in too_late.items())
        most = f"at most {100 * MAX_LATE:g} % may be"
        doubt = f"The machine was busy: {shares} was sent more than 10 ms late, and {most}."
    return {"late": late, "machine": seen, "doubt": doubt}
