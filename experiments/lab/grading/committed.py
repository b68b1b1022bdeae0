"""The runs and benchmarks that a repository committed, each with all that is needed to grade it."""

import json
import re
import zlib
from collections import Counter, defaultdict
from functools import cache

from lab.grading.evidence import CommittedRun, Notice
from lab.grading.ours import is_code, ours
from lab.grading.repository import MAX_FILE, Repository
from lab.grading.text import listed, plain
from lab.history.model import HISTORY, SAMPLES
from lab.paths import PARTS, ROOT
from lab.runtime import broken

SEED = re.compile(r"(cluster-)?seed-[0-9]{1,9}")
MAX_SEEDS = 10  # of a part, under chaos
MAX_FILES_OF_A_RUN = 30
HEAD_BYTES = 100_000
RAW = (HISTORY, SAMPLES)


class HandedIn:
    """What a repository has in `results`: folders of runs, other files, and what is not graded."""

    def __init__(self, repository: Repository) -> None:
        self.repository = repository
        self.own = repository.folder.resolve() == ROOT
        folders: dict[str, list[str]] = defaultdict(list)
        for path in repository.files:
            if path.startswith("results/"):
                folders[path.rpartition("/")[0]].append(path)
        known, seeds = _known_folders(), Counter()
        self.folders: dict[str, list[str]] = {}
        self.odd: list[str] = []
        for folder in sorted(folders):
            part, _, name = folder.rpartition("/")
            seeds[part] += (chaos := part.removeprefix("results/chaos/") in PARTS and bool(SEED.fullmatch(name)))
            if folder in known or (chaos and seeds[part] <= MAX_SEEDS):
                self.folders[folder] = folders[folder][:MAX_FILES_OF_A_RUN]
            elif folder.count("/") > 1:
                self.odd.append(folder)
        linked = (path for path, blob in repository.files.items() if path.startswith("results/") and not blob.is_file)
        self.links = sorted(linked)
        self._differing = cache(self._differing_at)

    def as_ours(self, folder: str) -> bool:
        """Whether all files of a folder are ours, byte for byte."""
        ids = {path: self.repository.files[path].id for path in self.folders[folder]}
        return ids == {path: id for path, id in ours().results.items() if path.rpartition("/")[0] == folder}

    def size(self, folder: str) -> int:
        """Return the bytes of a folder's files."""
        return sum(self.repository.files[path].size for path in self.folders[folder])

    def run(self, folder: str) -> CommittedRun:
        """Return what is committed of the run in a folder."""
        repository, paths, name = self.repository, self.folders[folder], folder.rpartition("/")[2]
        script, expected = (f"experiments/{name}.{kind}" for kind in ("sh", "py"))
        contents = repository.read([*paths, script, expected])
        of = {path.rpartition("/")[2]: path for path in paths}
        files = {file: contents[path] for file, path in of.items() if path in contents}
        commit = repository.named(_commit(files))
        raw = next((of[file] for file in RAW if file in of), "")
        added = repository.changed_by.get(raw, "")
        other = {file: self._differing(repository.changed_by.get(path, "")) for file, path in of.items()}
        results = ours().results
        as_ours = (file for file, path in of.items() if results.get(path) == repository.files[path].id)
        own_files = {file: ("as ours",) for file in as_ours if file not in RAW}
        return CommittedRun(
            folder=folder,
            files=files,
            script=contents.get(script),
            script_then=repository.read([script], commit).get(script) if commit else None,
            predictions=contents.get(expected),
            in_history=bool(commit),
            shallow=repository.shallow,
            own=self.own,
            links=tuple(file for file, path in of.items() if path not in contents),
            ids={file: repository.files[path].id for file, path in of.items()},
            other_code=other | own_files | ({"": self._differing(commit)} if commit else {}),
            named_at=repository.commits.get(commit),
            added_at=repository.commits.get(added),
        )

    def _differing_at(self, commit: str) -> tuple[str, ...]:
        """Return the files of the code at a commit that are not ours."""
        if commit not in self.repository.commits:
            return ("the commit is not known",)
        tree = self.repository.tree(commit)
        return tuple(ours().differing({path: blob.id for path, blob in tree.items() if is_code(path)}))

    def is_stale(self, page: str) -> bool:
        """Whether a page over many runs was made by other code, or is older than one of the runs."""
        made = self.repository.changed_by.get(page, "")
        runs = (self.repository.changed_by.get(path, "") for of in self.folders.values() for path in of)
        times = [self.repository.commits.get(commit, 0) for commit in runs]
        return bool(self._differing(made)) or self.repository.commits.get(made, 0) < max(times, default=0)

    def complaints(self) -> list[str]:
        """Return what is said of folders and files that are not graded; a notice where nothing is wrong with them."""
        strange = [plain(name, 80) for name in self.odd if not re.fullmatch(r"[\w./-]+", name, re.ASCII)]
        others = [name for name in self.odd if re.fullmatch(r"[\w./-]+", name, re.ASCII)]
        said = []
        if self.links:
            names = listed([plain(name, 80) for name in self.links])
            said.append(f"{len(self.links)} files below results are links, which are not followed: {names}")
        if strange:
            said.append(f"{len(strange)} folders have names of no experiment: {listed(strange)}")
        if others:
            some = "1 folder is" if len(others) == 1 else f"{len(others)} folders are"
            said.append(Notice(f"{some} of no experiment of ours, and not graded: {listed(others)}"))
        return said


def command_of(folder: str) -> str:
    """Return the command that makes the run in a folder of results."""
    kind, name = folder.split("/")[1], folder.rpartition("/")[2]
    if kind == "bench":
        return f"./lab bench {name}"
    scripts = {"comparison": "compare", "chaos": "chaos", "broken": "broken"}
    return f"experiments/{scripts.get(kind, name)}.sh"


@cache
def _known_folders() -> frozenset[str]:
    """Return the folders in which runs of our own scripts may be."""
    scripts = ROOT / "experiments"
    experiments, compared = ({path.stem for path in place.glob("*.sh")} for place in (scripts, scripts / "comparison"))
    found = {f"results/{part}/{name}" for part in PARTS for name in experiments}
    found |= {f"results/bench/{name}" for name in (*PARTS, "load")}
    found |= {f"results/scale/{part}/{name}" for part in PARTS for name in experiments if name.startswith("d")}
    found |= {f"results/comparison/{part}/{name}" for part in PARTS for name in compared}
    return frozenset(found | {f"results/broken/{name}/{side}" for name in broken.names() for side in ("red", "green")})


def _commit(files: dict[str, bytes]) -> str:
    """Return the commit that raw files name; nothing when they cannot be read."""
    try:
        packed = next(files[name] for name in RAW if name in files)[:MAX_FILE]
        line = zlib.decompressobj(31).decompress(packed, HEAD_BYTES).partition(b"\n")[0]
        return str(json.loads(line)["environment"]["commit"])
    except (StopIteration, zlib.error, ValueError, KeyError, TypeError, RecursionError):
        return ""
