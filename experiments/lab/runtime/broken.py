"""The broken versions: what each file of `experiments/broken/` says of itself, without running it.

LAB_BROKEN names the one that is to run in place of the right service. It is a variable, and not a record under `.lab/`,
so that every command of one script sees it, `lab start` after `lab kill` too, and no command of another script.
"""

import ast
import difflib
import os
import textwrap
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from lab.errors import LabError
from lab.paths import PARTS, ROOT, relative
from lab.services import Service

FOLDER = ROOT / "experiments/broken"
VARIABLE = "LAB_BROKEN"
SAID = ("PART", "SERVICE", "STORY", "CAUGHT_BY", "REPLACES")
BEGIN, END = "<!-- diff -->", "<!-- end -->"


@dataclass(frozen=True)
class BrokenVersion:
    """One mistake: a service in which some functions are replaced, the story that shows it, and what catches it.

    `caught_by` are the ids of the invariants and predictions that turn red, of all and of no other.
    `replaces` are the right functions as `module.Class.function`; the wrong ones bear the same names in the file.
    """

    name: str
    title: str
    part: str
    service: str
    story: str
    caught_by: tuple[str, ...]
    replaces: tuple[str, ...]

    def command(self, right: list[str]) -> list[str]:
        """Return the command that starts the wrong service, from the right one's."""
        program, *options, _ = right
        return [program, "--pythonpath", "../experiments/broken", *options, f"{self.name}:create_app()"]

    def diff(self) -> str:
        """Return how the wrong functions differ from those in the service's source. Raises LabError."""
        wrong, lines = FOLDER / f"{self.name}.py", list[str]()
        for right in self.replaces:
            path, inside = _source(self.part, right)
            diff = difflib.unified_diff(_text(path, inside), _text(wrong, inside[-1:]), n=3, lineterm="")
            lines += [f"--- {path.relative_to(ROOT)}", f"+++ {wrong.relative_to(ROOT)}", *list(diff)[2:]]
        return "\n".join(lines)


def names() -> list[str]:
    """Return the names of all variants, part by part."""
    found = map(named, _there())
    return [version.name for version in sorted(found, key=lambda v: (PARTS.index(v.part), v.name))]


def _there() -> list[str]:
    """Return the names of the files that are versions: beside a story's script lies a file of predictions."""
    return [path.stem for path in sorted(FOLDER.glob("*.py")) if not path.with_suffix(".sh").exists()]


def named(name: str) -> BrokenVersion:
    """Return the version of this name. Raises LabError."""
    if name not in _there():
        raise LabError(f"there is no broken version {name}", f"there are: {', '.join(_there())}")
    return read(FOLDER / f"{name}.py")


def read(path: Path) -> BrokenVersion:
    """Return what a file of this form says of itself. Raises LabError."""
    try:
        module = ast.parse(path.read_text())
    except (OSError, SyntaxError) as error:
        raise LabError(f"{path} cannot be read: {error}") from None
    said = {
        target.id.lower(): ast.literal_eval(node.value)
        for node in module.body
        if isinstance(node, ast.Assign)
        for target in node.targets
        if isinstance(target, ast.Name) and target.id in SAID
    }
    if len(said) < len(SAID):
        raise LabError(f"{relative(path)} does not set all of {', '.join(SAID)}")
    title = (ast.get_docstring(module) or "").partition("\n")[0]
    return BrokenVersion(name=path.stem, title=title, **said)


def chosen() -> BrokenVersion | None:
    """Return the version that LAB_BROKEN names, or None. Raises LabError."""
    name = os.environ.get(VARIABLE)
    return named(name) if name else None


def command_of(service: Service) -> list[str]:
    """Return the command that starts a service: of its broken version where LAB_BROKEN names one. Raises LabError."""
    version = chosen()
    if version and (version.part, version.service) == (service.part, service.kind):
        return version.command(service.command)
    return service.command


def with_diff(page: str, version: BrokenVersion) -> str:
    """Return a page with the version's diff between its marker lines, made anew."""
    before, _, rest = page.partition(BEGIN)
    _, _, after = rest.partition(END)
    return f"{before}{BEGIN}\n```diff\n{version.diff()}\n```\n{END}{after}"


def _source(part: str, dotted: str) -> tuple[Path, list[str]]:
    """Return the file that a function is in, and the names that lead to it there."""
    words = dotted.split(".")
    for folder in (ROOT / part, ROOT / "common"):
        for n in range(len(words) - 1, 0, -1):
            path = folder.joinpath(*words[:n]).with_suffix(".py")
            if path.exists():
                return path, words[n:]
    raise LabError(f"there is no {dotted} in {part} or in common")


def _text(path: Path, inside: list[str]) -> list[str]:
    """Return the lines of a function or class of a file."""
    node: Any = ast.parse(path.read_text())
    for name in inside:
        found: list[Any] = [n for n in ast.iter_child_nodes(node) if getattr(n, "name", None) == name]
        if not found:
            raise LabError(f"there is no {'.'.join(inside)} in {path.relative_to(ROOT)}")
        node = found[0]
    first = min([node.lineno, *(d.lineno for d in node.decorator_list)])
    lines = path.read_text().splitlines()[first - 1 : node.end_lineno]
    return textwrap.dedent("\n".join(lines)).splitlines()
