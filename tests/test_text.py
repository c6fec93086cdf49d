"""Texts are for people's eyes, whatever is in them."""

import json

import pytest
from markdown_it import MarkdownIt

from residua.text import markdown, parse_json


@pytest.mark.parametrize(
    "name",
    [*"|\\<", "__init__", "_a_b_", "a__b_c", "a_ _b", "&copy;", "~~x~~", "*a*", "`b`", "<i>", "[a](b)"],
)
def test_markdown_shows_a_text_as_it_is(name: str) -> None:
    shown = MarkdownIt("commonmark").enable("strikethrough").renderInline(markdown(f"x {name} y"))
    assert shown == f"x {name} y".replace("&", "&amp;").replace("<", "&lt;").replace(">", "&gt;")


def test_markdown_of_many_underscores_is_quick() -> None:
    signs = "a" + "_" * 200_000
    assert markdown(signs + "b") == signs + "b" and len(markdown(signs)) == 400_001


@pytest.mark.parametrize("text", ["", "[1", "[" * 100_000, "9" * 310, "-" + "9" * 5000, b"\xff"])
def test_json_that_is_none_or_cannot_be_counted_with_is_one_error(text: str | bytes) -> None:
    with pytest.raises(ValueError):
        parse_json(text)


def test_json_is_read() -> None:
    said = {"a": [10**300, -1.5e300, None, True, "x"]}
    assert parse_json(json.dumps(said)) == said == parse_json(json.dumps(said).encode())
