"""Texts for people's eyes, whatever is in them."""

from __future__ import annotations


def visible(text: str) -> str:
    """Write a text for people: on one line, with what cannot be printed as an escape."""
    return "".join(character if character.isprintable() else _escape(character) for character in text)


def _escape(character: str) -> str:
    code = ord(character)
    if 0xDC80 <= code <= 0xDCFF:  # a byte of a file name that is no UTF-8
        return f"\\x{code - 0xDC00:02x}"
    return character.encode("unicode_escape").decode()
