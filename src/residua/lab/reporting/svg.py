"""Figures within a page: SVG with text as text, in the page's colours, its names used by no other."""

from __future__ import annotations

import re
from html import escape
from typing import TYPE_CHECKING

from residua.lab.inside.style import GREY, STYLE, drawn

if TYPE_CHECKING:
    from matplotlib.figure import Figure

COLOURS = {  # of the figures, and what the page calls them by day and by night
    "#000000": "var(--text)",
    GREY: "var(--soft)",
    "#ffffff": "var(--card)",
    STYLE["grid.color"]: "var(--line)",
}
COORDINATES = re.compile(r' (?:d|x|y|transform)="[^"]*"')
MARKS = re.compile(r"<g([^>]*)>((?:\s*<use [^>]*/>)+)\s*</g>")
NAMES = re.compile(r' id="([^"]*)"')


def lean(figure: Figure, name: str = "") -> str:
    """Return a figure as SVG without what is not seen: a tenth of a point is precise enough."""
    text = drawn(figure, "svg").decode()
    text = re.sub(r"<metadata>.*?</metadata>\s*|<!--.*?-->\s*", "", text, flags=re.DOTALL)
    text = COORDINATES.sub(lambda found: re.sub(r"(\.\d)\d+", r"\1", found[0]), text)
    return _named(MARKS.sub(_together, text), name)


def inline(figure: Figure, name: str, alt: str) -> str:
    """Return a figure as an element of a page, on which no other has that name."""
    text = lean(figure, name)
    text = re.sub(
        r"<style.*?</style>\s*|<defs>\s*</defs>\s*", "", text[text.index("<svg") :], flags=re.DOTALL
    )
    for colour, called in COLOURS.items():
        text = text.replace(colour, called)
    width = round(figure.get_figwidth() * 72)
    opening = f'style="--wide: {width}px" role="img" aria-label="{escape(alt)}">'
    return re.sub(
        r'<svg [^>]*(viewBox="[^"]*")[^>]*>', lambda found: f"<svg {found[1]} {opening}", text, count=1
    )


def _together(found: re.Match[str]) -> str:
    """Say once how the marks of a curve look, not at each of them."""
    styles = set(re.findall(r' style="[^"]*"', found[2]))
    if len(styles) != 1 or "style" in found[1]:
        return found[0]
    style = styles.pop()
    return f"<g{found[1]}{style}>{found[2].replace(style, '')}</g>"


def _named(text: str, name: str) -> str:
    """Give short names to what is referred to, and none to the rest."""
    used = dict.fromkeys(re.findall(r'href="#([^"]+)"|url\(#([^)]+)\)', text))
    short = {one or other: f"{name}n{place}" for place, (one, other) in enumerate(used)}
    text = NAMES.sub(lambda found: f' id="{short[found[1]]}"' if found[1] in short else "", text)
    return re.sub(r'(href="#|url\(#)([^")]+)', lambda found: found[1] + short.get(found[2], found[2]), text)
