"""Texts are for people's eyes, whatever is in them."""

import pytest
from markdown_it import MarkdownIt

from residua.text import markdown


@pytest.mark.parametrize(
    "name", [*"|\\<", "__init__", "_a_b_", "&copy;", "~~x~~", "*a*", "`b`", "<i>", "[a](b)"]
)
def test_markdown_shows_a_text_as_it_is(name: str) -> None:
    shown = MarkdownIt("commonmark").enable("strikethrough").renderInline(markdown(f"x {name} y"))
    assert shown == f"x {name} y".replace("&", "&amp;").replace("<", "&lt;").replace(">", "&gt;")
