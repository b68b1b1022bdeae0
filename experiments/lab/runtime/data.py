"""What a part keeps from one `up` to the next, without Docker: `.lab/data/PART`, in which a file says its format.

Tables, queues and Kafka's files of another format are not converted: they are set aside, and the part begins empty.
"""

import hashlib
import os
import re
import tempfile
from pathlib import Path

from lab.paths import STATE_DIR

OLDEST = "1"  # it wrote no such file


def folder(part: str) -> Path:
    """Return the folder that holds a folder for each volume of the part."""
    return STATE_DIR / "data" / part


def found_format(part: str) -> str:
    """Return the format of the data that is there."""
    file = folder(part) / "format"
    return file.read_text().strip() if file.exists() else OLDEST


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
