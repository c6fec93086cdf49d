"""Texts for people's eyes and for JSON, whatever is in them."""

from __future__ import annotations

import json
import math
import re
from collections.abc import Mapping
from typing import Any


def visible(text: str) -> str:
    """Write a text for people: on one line, with what cannot be printed as an escape."""
    return "".join(character if character.isprintable() else _escape(character) for character in text)


def visible_lines(text: str) -> str:
    """Write a text for people whose lines stay lines."""
    return "\n".join(map(visible, text.split("\n")))


def markdown(text: str) -> str:
    """Write a text within a line of Markdown, which takes none of it for its own.

    >>> markdown("a|b <i> *c*")
    'a\\\\|b &lt;i> \\\\*c\\\\*'
    """
    signs = r"(?<=[^\W_])_+(?=[^\W_])|([\\|*`~\[\]_])"  # an underscore within a word is none
    safe = re.sub(signs, lambda found: f"\\{found[1]}" if found[1] else found[0], visible(text))
    return safe.replace("&", "&amp;").replace("<", "&lt;")


def markdown_line(text: str) -> str:
    """Write a text as a line of Markdown, which is then no heading or quotation either.

    >>> markdown_line("# a_")
    '\\\\# a\\\\_'
    """
    return re.sub(r"^[#>]", r"\\\g<0>", markdown(text))


def _escape(character: str) -> str:
    code = ord(character)
    if 0xDC80 <= code <= 0xDCFF:  # a byte of a file name that is no UTF-8
        return f"\\x{code - 0xDC00:02x}"
    return character.encode("unicode_escape").decode()


def finite(value: Any) -> Any:
    """Return plain data with None for what is no finite number, which JSON has no word for."""
    if isinstance(value, Mapping):
        return {name: finite(each) for name, each in value.items()}
    if isinstance(value, (list, tuple)):
        return [finite(each) for each in value]
    return None if isinstance(value, float) and not math.isfinite(value) else value


def is_number(value: object) -> bool:
    """Whether it is a finite number of JSON, or null in the place of one."""
    return value is None or (type(value) in (int, float) and finite(value) is not None)


def parse_json(text: str | bytes) -> Any:
    """Read JSON that anybody may have written; what is none, too deep or beyond all floats fails."""
    try:
        return json.loads(text, parse_int=_whole)
    except RecursionError:
        raise ValueError("it is nested too deep") from None


def _whole(digits: str) -> int:
    number = int(digits)
    try:
        float(number)
    except OverflowError:
        raise ValueError("it has a number that is too large") from None
    return number
