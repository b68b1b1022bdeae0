"""What the first comment of an experiment's script says of it."""

import re

from lab.errors import LabError

SECTIONS = ("Shows", "Why", "Not shown", "Takes", "Usage")


def read_header(text: str, name: str) -> tuple[str, dict[str, str]]:
    """Return the title and the sections of a script's first comment. Raises LabError when it has none."""
    lines = []
    for line in text.splitlines()[1:]:
        if not line.startswith("#"):
            break
        lines.append(line.removeprefix("#").strip())
    if not lines:
        raise LabError(f"{name} does not begin with a comment that says what it shows")
    about: dict[str, str] = {}
    section = ""
    for line in lines[1:]:
        found = re.match(rf"({'|'.join(SECTIONS)}): *(.*)", line)
        if found:
            section, line = found.groups()
        if section and line:
            about[section] = f"{about.get(section, '')} {line}".strip()
    return lines[0], about
