"""One word for one thing: `words.toml` lists names and phrases that were replaced; they do not come back."""

import ast
import io
import re
import tokenize
import tomllib
from collections.abc import Iterator
from fnmatch import fnmatch
from pathlib import Path

import pytest
from lab import docs
from lab.paths import ROOT

WORDS = tomllib.loads(Path(__file__).with_name("words.toml").read_text())
FOLDERS = ("common", "sync-rest", "async-rabbitmq", "streaming-kafka", "experiments/lab", "experiments/benchmarks")
CODE = sorted(file for folder in FOLDERS for file in (ROOT / folder).rglob("*.py"))
STUDENT_PAGES = sorted(
    file
    for pattern in (
        "*.md",
        "*/README.md",
        "docs/*.md",
        "experiments/broken/README.md",
        "experiments/*.sh",
        "experiments/*.py",
    )
    for file in ROOT.glob(pattern)
)
READ = [*STUDENT_PAGES, *(file for file in CODE if "tests" not in file.parts)]
PROSE = sorted({*CODE, *STUDENT_PAGES, *(ROOT / "experiments").rglob("*.j2"), *ROOT.glob("*/docker-compose.yml")})


def name_of(file: Path) -> str:
    return str(file.relative_to(ROOT))


def excepted(word: str, file: Path) -> bool:
    """Return whether a word may stand in a file."""
    return any(
        word in each["words"] or each["words"] == ["*"]
        for each in WORDS.get("exception", [])
        if any(fnmatch(name_of(file), pattern) for pattern in each["files"])
    )


def prose_of(file: Path) -> str:
    """Return a file's text on one line; what a page quotes from results was written by other files."""
    return " ".join(re.sub(r"\n\s*#?", " ", docs.BLOCK.sub("", file.read_text())).split())


def identifiers(file: Path) -> set[str]:
    tokens = tokenize.generate_tokens(io.StringIO(file.read_text()).readline)
    return {token.string for token in tokens if token.type == tokenize.NAME}


def definitions(file: Path) -> Iterator[str]:
    """Yield the names that a file gives to others: its own, and those of its classes, functions and fields."""
    yield file.stem
    for node in ast.walk(ast.parse(file.read_text())):
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef):
            yield node.name
        if isinstance(node, ast.ClassDef):
            yield from (
                f.target.id for f in node.body if isinstance(f, ast.AnnAssign) and isinstance(f.target, ast.Name)
            )


@pytest.mark.parametrize("file", CODE, ids=map(name_of, CODE))
def test_no_old_name_stands_in_code(file):
    found = {name for name in identifiers(file) if name in WORDS["names"] or name.startswith(tuple(WORDS["prefixes"]))}
    assert not {name for name in found if not excepted(name, file)}


@pytest.mark.parametrize("name", WORDS["definitions"])
def test_nothing_is_defined_under_an_old_name(name):
    _, *folders = WORDS["definitions"][name]
    files = [file for file in CODE if name_of(file).startswith(tuple(folders)) and "tests" not in file.parts]
    assert files
    assert not [name_of(file) for file in files if name in definitions(file) and not excepted(name, file)]


@pytest.mark.parametrize("file", PROSE, ids=map(name_of, PROSE))
def test_no_old_phrase_stands_in_prose(file):
    text = prose_of(file)
    assert not [phrase for phrase in WORDS["phrases"] if phrase in text and not excepted(phrase, file)]


@pytest.mark.parametrize("file", READ, ids=map(name_of, READ))
def test_prose_names_who_does_something(file):
    pattern = re.compile(rf"\b({'|'.join(WORDS['subjects']['words'])})\b", re.IGNORECASE)
    assert not [word for word in pattern.findall(prose_of(file)) if not excepted(word, file)]


def test_no_exception_is_left_over():
    for each in WORDS.get("exception", []):
        for pattern in each["files"]:
            assert list(ROOT.glob(pattern)), pattern
