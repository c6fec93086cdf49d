"""What pages are made of that need no other file: templates, pictures in the text, and round numbers."""

from __future__ import annotations

import base64
import io
import math
from functools import cache
from typing import Any

from jinja2 import ChoiceLoader, Environment, PackageLoader, StrictUndefined
from PIL import Image

from residua.text import visible

LONGEST = 160  # characters of a name


@cache
def templates(*packages: str) -> Environment:
    """Return the templates of packages, the first one's first; whatever is put into them is escaped."""
    environment = Environment(
        loader=ChoiceLoader([PackageLoader(package) for package in packages]),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    environment.filters |= {"visible": _short, "whole": _whole, "lines": _lines}
    environment.filters |= {"percent": _percent, "count": _count}
    return environment


def webp(picture: Image.Image, lossless: bool = False) -> str:
    """Return a picture as the address of itself: a data URI."""
    packed = io.BytesIO()
    picture.save(packed, "WEBP", quality=75, lossless=lossless)
    return "data:image/webp;base64," + base64.b64encode(packed.getvalue()).decode()


def round_step(length: float, ticks: int) -> float:
    """Return the distance of about so many ticks along a length: 1, 2 or 5 times a power of ten."""
    rough = length / ticks
    power = 10.0 ** math.floor(math.log10(rough))
    return next(power * factor for factor in (1, 2, 5, 10) if power * factor >= rough * (1 - 1e-9))


def _short(text: Any, longest: int = LONGEST) -> str:
    """Write a name for people: on one line, and not too long."""
    seen = visible(str(text))
    half = longest // 2
    return seen if len(seen) <= longest else f"{seen[:half]} ... {seen[-half:]}"


def _whole(text: Any) -> str:
    """Write a sentence for people."""
    return visible(str(text))


def _lines(text: str) -> str:
    return "\n".join(map(visible, text.split("\n")))


def _percent(value: float | None) -> str:
    return "-" if value is None else f"{value:.1f}%"


def _count(value: float) -> str:
    return f"{value:,.0f}"
