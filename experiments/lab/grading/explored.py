"""What is committed of explored schedules, made again: the pages from the figures, and the digests of some seeds.

To play all again takes as long as the exploration did; a few seeds show whether these figures are of this code.
"""

import json

from lab.grading.committed import HandedIn
from lab.grading.ours import ours
from lab.paths import PARTS
from lab.report import index
from lab.simulation import again, report

FOLDER = "results/explore"
FIGURES = [f"{FOLDER}/{part}{index.FIGURES}" for part in PARTS]


def made_again(handed_in: HandedIn) -> dict[str, bytes]:
    """Return the files of the parts whose figures are committed; of those that are ours byte for byte, none."""
    files: dict[str, bytes] = {}
    for path, content in handed_in.repository.read(FIGURES).items():
        if handed_in.own or ours().results.get(path) != handed_in.repository.files[path].id:
            said = again.figures(json.loads(content))
            files[path] = report.as_text(said).encode()
            files[path.replace(index.FIGURES, ".md")] = report.page(said).encode()
    return files
