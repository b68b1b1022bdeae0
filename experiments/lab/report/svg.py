"""A picture as SVG: the same picture gives the same bytes, and few of them."""

import io
import re
from typing import Any

import matplotlib
from matplotlib import pyplot as plt
from matplotlib.figure import Figure

matplotlib.rcdefaults()  # the reader's own matplotlibrc and styles do not count: the same bytes everywhere
FONT = "DejaVu Sans"
STYLE: Any = {
    "svg.hashsalt": "campus",
    "svg.fonttype": "none",
    "path.simplify_threshold": 0.25,
    "font.family": FONT,
    "font.size": 9,
    "axes.spines.top": False,
    "axes.spines.right": False,
    "axes.grid": True,
    "grid.alpha": 0.25,
    "legend.frameon": False,
}
WRITTEN_OR_DECIMALS = re.compile(r">[^<]+</text>|\b(\d+\.\d)\d+\b")  # what is written in a picture stays
PATH = re.compile(r' d="([MLz\d\s.-]+)"')
DOT = re.compile(r"(M[\d.]+ [\d.]+)(?=M|$)")  # matplotlib leaves out a line of no length
STYLED = re.compile(r'(?: clip-path="([^"]*)")? style="([^"]*)"')
GROUP = re.compile(r"<g>((?:(?!</?g\b).)*)</g>\s*", re.DOTALL)  # one that holds no other
LEFT_OUT = (  # it takes room and changes nothing that is seen
    (re.compile(r"<!--.*?-->|<metadata>.*?</metadata>", re.DOTALL), ""),
    (re.compile(r' transform="rotate\(-0 [^"]*"'), ""),
    (re.compile(rf"font-family: '{FONT}'(; )?"), ""),
    (re.compile(r'<g id="[\w.]+">'), "<g>"),
    (re.compile(r"\s*\n\s*"), "\n"),
)


def as_svg(picture: Figure) -> bytes:
    """Return a picture as SVG and close it: to a tenth of a point, as what is finer is half of the file."""
    out = io.StringIO()
    picture.savefig(out, format="svg", metadata={"Date": None, "Creator": None})
    plt.close(picture)
    text = WRITTEN_OR_DECIMALS.sub(lambda found: found[1] or found[0], out.getvalue())
    for pattern, instead in LEFT_OUT:
        text = pattern.sub(instead, text)
    grouped = ""
    while grouped != text:
        grouped, text = text, GROUP.sub(r"\1", text)
    return _with_classes(re.sub(r"\n+", "\n", PATH.sub(_shorter, text))).encode()


def _with_classes(text: str) -> str:
    """Return a picture with each style written once, as a class."""
    names: dict[str, str] = {}

    def name(found: re.Match[str]) -> str:
        style = found[2] + (f"; clip-path: {found[1]}" if found[1] else "")
        return f' class="{names.setdefault(style, f"s{len(names)}")}"'

    text = STYLED.sub(name, text)
    rules = "".join(f".{name}{{{style}}}\n" for style, name in names.items())
    return text.replace("</style>", f"text{{font-family: '{FONT}'}}\n{rules}</style>", 1)


def _shorter(found: re.Match[str]) -> str:
    """Return a path with H and V for lines that run level or upright; what has no length is a dot."""
    path = x = y = ""
    for command, to_x, to_y in re.findall(r"([MLz])(?: (\S+) (\S+))?", re.sub(r"\.0\b", "", found[1])):
        level, upright = command == "L" and to_y == y, command == "L" and to_x == x
        path += f"V{to_y}" if upright else f"H{to_x}" if level else f"{command}{to_x} {to_y}".strip()
        x, y = to_x, to_y
    path = DOT.sub(r"\1h0", path)
    return f' d="{path}"'
