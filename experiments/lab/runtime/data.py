"""What a part keeps from one `up` to the next, without Docker: `.lab/data/PART`, in which a file says its format.

Tables, queues and Kafka's files of another format are not converted: they are set aside, and the part begins empty.
"""

import hashlib
import os
import re
import tempfile
from pathlib import Path

from lab.paths import STATE_DIR
from lab.services import data_format

OLDEST = "1"  # it wrote no such file


def folder(part: str) -> Path:
    """Return the folder that holds a folder for each volume of the part."""
    return STATE_DIR / "data" / part


def set_aside_other(part: str) -> Path | None:
    """Move data of another format out of the way; return where it is now, None when there was none.

    Nothing of the part may run.
    """
    here = folder(part)
    if not here.exists() or found_format(part) == data_format(part):
        return None
    aside = STATE_DIR / "set-aside"
    aside.mkdir(exist_ok=True)
    taken = [int(old.name.rpartition("-")[2]) for old in aside.glob(f"{part}-*")]
    return here.rename(aside / f"{part}-{max(taken, default=0) + 1}")


def found_format(part: str) -> str:
    """Return the format of the data that is there."""
    file = folder(part) / "format"
    return file.read_text().strip() if file.exists() else OLDEST


def mark(part: str) -> None:
    """Note that the data is of the present format."""
    folder(part).mkdir(parents=True, exist_ok=True)
    (folder(part) / "format").write_text(f"{data_format(part)}\n")


def plain_path(place: Path) -> Path:
    """Return a path of this folder that has no odd characters: else a symbolic link to it, in the system's /tmp.

    RabbitMQ's scripts stumble over an apostrophe, its watch over the disk over a blank, and Kafka's settings over an ü.
    """
    if re.fullmatch(r"[A-Za-z0-9/._+-]+", str(place)):
        return place
    digest = hashlib.sha256(os.fsencode(place)).hexdigest()[:12]
    link = Path(tempfile.gettempdir()) / f"campus-lab-{os.getuid()}-{digest}"
    if not (link.is_symlink() and link.lstat().st_uid == os.getuid() and link.readlink() == place):
        link.unlink(missing_ok=True)
        link.symlink_to(place)
    return link
