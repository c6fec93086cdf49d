"""Class names: ImageNet's, a user's own, and which folder of photos means which class."""

from __future__ import annotations

import csv
from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping, Sequence
from difflib import get_close_matches
from functools import cache
from importlib.resources import files
from io import StringIO
from pathlib import Path
from typing import Any
from unicodedata import normalize

from residua.errors import UserError, unknown
from residua.files import regular
from residua.text import parse_json
from residua.weights.metadata import ClassEntry

SIZE_LIMIT = 10_000_000  # bytes of a file with names
SHOWN = 8  # folders in an error
ASK = "with --class-map FILE, a CSV with the header folder,class"

# ImageNet gives these the label of another class too. The table has torchvision's clearer names ("crane
# bird"), but whoever named a folder by the label may have meant either.
ALSO_CALLED = {"n02012849": "crane", "n03710721": "maillot"}


@cache
def imagenet_classes() -> tuple[ClassEntry, ...]:
    """List the 1,000 classes of ImageNet-1k (ILSVRC 2012) in the order that networks are trained in."""
    text = files("residua.weights").joinpath("imagenet.csv").read_text(encoding="utf-8")
    return tuple(ClassEntry(id=id_, name=name) for id_, name in _rows(text, ("id", "name")))


def match_classes(
    entries: Sequence[ClassEntry], folder_names: Iterable[str], class_map: Mapping[str, str] | None = None
) -> dict[str, int]:
    """Find each folder's class by its id or its name, or by what the class map says for the folder."""
    finder = _Finder(entries)
    renamed = {_plain(folder): name for folder, name in (class_map or {}).items()}
    matched: dict[str, int] = {}
    unfamiliar: list[tuple[str, str]] = []
    for folder in folder_names:
        name = renamed.get(_plain(folder), folder)
        places = finder.places(name)
        if len(places) > 1:
            raise UserError(f"{finder.either(name)}: name the folder by the id, or map it {ASK}.")
        if places:
            matched[folder] = places[0]
        else:
            unfamiliar.append((folder, name))
    if unfamiliar:
        shown = ", ".join(_unfamiliar(finder, *each) for each in unfamiliar[:SHOWN])
        more = ", ..." if len(unfamiliar) > SHOWN else ""
        count = f"{len(unfamiliar):,} folder{'s are' if len(unfamiliar) > 1 else ' is'}"
        raise UserError(
            f"{count} named as none of the {len(entries):,} classes: {shown}{more}; map them {ASK}."
        )
    return matched


def find_class(entries: Sequence[ClassEntry], name: str) -> int:
    """Find a class by its id or its name, however it is spelt; none or several of it is an error.

    >>> find_class(imagenet_classes(), "Golden_Retriever")
    207
    """
    finder = _Finder(entries)
    places = finder.places(name)
    if len(places) > 1:
        raise UserError(f"{finder.either(name)}: name it by its id.")
    if not places:
        raise unknown("class", name, {entry.name for entry in entries})
    return places[0]


class _Finder:
    """Finds classes by what somebody calls them."""

    def __init__(self, entries: Sequence[ClassEntry]) -> None:
        self.entries = entries
        self.ids = {_plain(entry.id): place for place, entry in enumerate(entries)}
        self.spelt: dict[str, dict[int, str]] = defaultdict(dict)  # by any spelling: whose, and how it has it
        for place, entry in enumerate(entries):
            for name in (entry.id, entry.name, ALSO_CALLED.get(entry.id, entry.name)):
                self.spelt[_folded(name)][place] = name

    def places(self, name: str) -> list[int]:
        """Return the classes that a name may mean: one, where it is an id."""
        if _plain(name) in self.ids:
            return [self.ids[_plain(name)]]
        return sorted(self.spelt.get(_folded(name), ()))

    def either(self, name: str) -> str:
        """Say which classes a name may mean."""
        named = (self.entries[place] for place in self.places(name))
        return f"{name!r} may be {' or '.join(f'{entry.id} ({entry.name})' for entry in named)}"

    def nearest(self, name: str) -> str | None:
        """Return the name or id of a class that is spelt much like this."""
        found = get_close_matches(_folded(name), self.spelt, n=1)
        return next(iter(self.spelt[found[0]].values())) if found else None


def _unfamiliar(finder: _Finder, folder: str, name: str) -> str:
    """Name a folder that is called like no class, and the class that may be meant."""
    near = finder.nearest(name)
    notes = [f"mapped to {name!r}"] if name != folder else []
    notes += [f"did you mean {near!r}?"] if near else []
    return f"{folder!r} ({'; '.join(notes)})" if notes else repr(folder)


def _plain(name: str) -> str:
    return normalize("NFC", name)  # macOS takes accents apart in the names of folders


def _folded(name: str) -> str:
    return " ".join(_plain(name).replace("_", " ").casefold().split())


def read_class_map(path: Path) -> dict[str, str]:
    """Read which folder means which class: a CSV with the header folder,class."""
    text = _text(path)
    mapped: dict[str, str] = {}
    try:
        for folder, name in _rows(text, ("folder", "class")):
            if mapped.setdefault(folder, name) != name:
                raise UserError(f"{folder!r} is mapped twice.")
    except UserError as error:
        raise UserError(f"{path} is not a valid class map: {error}") from None
    return mapped


def read_classes(path: Path) -> tuple[ClassEntry, ...]:
    """Read class names in the network's order.

    One name a line; a CSV with the header id,name; or JSON: a list, or an object from "0", "1", ... to the
    names, where [id, name] may stand for a name.
    """
    text = _text(path)
    try:
        entries = tuple(ClassEntry(id=id_, name=name) for id_, name in _named(text))
        _check(entries)
    except UserError as error:
        raise UserError(f"{path} is not a valid list of classes: {error}") from None
    return entries


def _named(text: str) -> Iterable[tuple[str, str]]:
    if text.lstrip().startswith(("[", "{")):
        return _json_rows(text)
    lines = text.rstrip().splitlines()
    if lines and [cell.strip().lower() for cell in lines[0].split(",")] == ["id", "name"]:
        return _rows(text, ("id", "name"))
    return ((line.strip(), line.strip()) for line in lines)


def _check(entries: Sequence[ClassEntry]) -> None:
    if not entries:
        raise UserError("it is empty.")
    first: dict[str, int] = {}
    for place, entry in enumerate(entries):
        if not entry.id or not entry.name:
            raise UserError(f"class {place} has no name.")
        if first.setdefault(entry.id, place) != place:
            raise UserError(
                f"classes {first[entry.id]} and {place} are both {entry.id!r}; "
                "a CSV with the header id,name can tell them apart."
            )


def _json_rows(text: str) -> Iterator[tuple[str, str]]:
    try:
        data = parse_json(text)
    except ValueError:
        raise UserError("it is not JSON.") from None
    if isinstance(data, dict):
        if data.keys() != {str(place) for place in range(len(data))}:
            raise UserError(f"the keys of its {len(data):,} classes are not 0, 1, 2 and so on.")
        data = [data[str(place)] for place in range(len(data))]
    for place, item in enumerate(data):
        yield _pair(place, item)


def _pair(place: int, item: Any) -> tuple[str, str]:
    pair = item if isinstance(item, list) else [item, item]
    if len(pair) != 2 or not all(isinstance(text, str) for text in pair):
        raise UserError(f"class {place} is neither a name nor [id, name].")
    return pair[0].strip(), pair[1].strip()


def _rows(text: str, header: tuple[str, str]) -> Iterator[tuple[str, str]]:
    """Rows of two cells under a header."""
    reader = csv.reader(StringIO(text, newline=""), strict=True)
    try:
        if [cell.strip().lower() for cell in next(reader, [])] != list(header):
            raise UserError(f"its first line is not {','.join(header)}.")
        for row in reader:
            cells = [cell.strip() for cell in row]
            if any(cells):
                if len(cells) != 2 or not all(cells):
                    raise UserError(f"line {reader.line_num} is not {','.join(header)}.")
                yield cells[0], cells[1]
    except csv.Error as error:
        raise UserError(f"line {reader.line_num} is not CSV ({error}).") from None


def _text(path: Path) -> str:
    try:
        with open(path, "rb", opener=regular) as file:
            data = file.read(SIZE_LIMIT + 1)
    except OSError as error:
        raise UserError(f"{path} cannot be read: {error.strerror}.") from None
    if len(data) > SIZE_LIMIT:
        raise UserError(f"{path} is refused: it has more than {SIZE_LIMIT:,} bytes.")
    try:
        return data.decode("utf-8-sig")
    except UnicodeDecodeError:
        raise UserError(f"{path} is not text in UTF-8.") from None
