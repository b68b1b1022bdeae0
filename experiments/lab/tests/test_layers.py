"""What the contracts of import-linter in pyproject.toml cannot say of the imports, and how long a module may be."""

import ast
import subprocess
import sys
import tomllib
from functools import cache
from pathlib import Path

import grimp
import pytest
from lab.paths import PARTS, ROOT

EXPERIMENTS = ROOT / "experiments"
LEVELS = 12
LINES = 250
# What the laboratory may know of the services: what an order, an event and a figure look like.
SHARED = {"campus.events", "campus.metrics", "campus.orders"}


@cache
def imports() -> dict[str, set[str]]:
    """Return what each module of the laboratory and the benchmarks imports."""
    graph = grimp.build_graph("lab", "benchmarks", "campus", cache_dir=None)
    ours = {name for name in graph.modules if name.partition(".")[0] in ("lab", "benchmarks")}
    return {name: set(graph.find_modules_directly_imported_by(name)) for name in ours}


def level(module: str, above: tuple[str, ...] = ()) -> int:
    """Return how many modules lie one above another, from the lowest up to this one."""
    assert module not in above, f"a circle: {' imports '.join([*above, module])}"
    return 1 + max((level(other, (*above, module)) for other in imports()[module] if other in imports()), default=0)


def test_there_are_few_levels_and_no_circle():
    highest = max(imports(), key=level)
    assert level(highest) <= LEVELS, highest


def test_the_contract_names_every_package_and_module():
    contract = tomllib.loads((ROOT / "pyproject.toml").read_text())["tool"]["importlinter"]["contracts"][0]
    named = {name.strip() for line in contract["layers"] for name in line.split("|")}
    there = {".".join(name.split(".")[:2]) for name in imports() if name.startswith("lab.")}
    assert there - {"lab.__main__"} | {"benchmarks"} == named


def test_of_the_services_the_laboratory_knows_only_what_is_shared():
    outside = {name: all_ for name, all_ in imports().items() if not name.startswith("lab.simulation")}
    known = {other for name, all_ in outside.items() if name.startswith("lab.") for other in all_}
    assert {name for name in known if name.startswith("campus")} <= SHARED


def modules_named_in(path: Path) -> set[str]:
    """Return the first names of all that a file imports."""
    found = set()
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.Import):
            found |= {alias.name.partition(".")[0] for alias in node.names}
        elif isinstance(node, ast.ImportFrom) and not node.level:
            found.add((node.module or "").partition(".")[0])
    return found


def packages_of(part: str) -> set[str]:
    return {path.parent.name for path in (ROOT / part).glob("*/__init__.py")}


@pytest.mark.parametrize("part", PARTS)
def test_a_part_imports_no_laboratory_and_no_other_part(part):
    others = set().union(*(packages_of(other) for other in PARTS)) - packages_of(part)
    for path in (ROOT / part).rglob("*.py"):
        if "tests" not in path.parts:
            assert not modules_named_in(path) & (others | {"lab", "benchmarks"}), path


def test_who_asks_for_a_verdict_loads_no_plots():
    code = "import sys, lab.verdict; sys.exit('matplotlib' in sys.modules)"
    subprocess.run([sys.executable, "-c", code], env={"PYTHONPATH": str(EXPERIMENTS)}, check=True)


@pytest.mark.parametrize("package", sorted(EXPERIMENTS.glob("lab/*/__init__.py")), ids=lambda path: path.parent.name)
def test_each_package_says_what_it_is_for_and_what_it_must_not_import(package):
    said = ast.get_docstring(ast.parse(package.read_text())) or ""
    assert "must not" in said or "may import" in said
    assert "\n" not in said


def test_no_module_is_long():
    folders = (EXPERIMENTS / "lab", EXPERIMENTS / "benchmarks", ROOT / "common/campus", *(ROOT / p for p in PARTS))
    files = [path for folder in folders for path in folder.rglob("*.py") if "tests" not in path.parts]
    long = {path.name for path in files if len(path.read_text().splitlines()) > LINES}
    assert not long
