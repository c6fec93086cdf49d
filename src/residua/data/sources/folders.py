"""Class folders, and parts of class folders: `cat/1.jpg` or `train/cat/1.jpg`."""

from __future__ import annotations

import os
from collections.abc import Iterable
from pathlib import Path

import numpy as np

from residua.data.dataset import UNSPLIT, Data, Skipped
from residua.data.pictures import Files
from residua.data.sources.labels import numbered_classes, numbered_parts, part_named
from residua.data.sources.listing import (
    HIDDEN,
    NO_PICTURE,
    Listing,
    entries_of,
    is_folder,
    is_hidden,
    is_picture_name,
    list_pictures,
    subfolders,
)
from residua.errors import UserError

SHAPES = "expected class folders, CLASS/PICTURE, or parts, train/CLASS/PICTURE and val/CLASS/PICTURE"
OUTSIDE = "in no class folder"
EMPTY = "a class folder without pictures"
BESIDE = "beside the folders of parts, so in no part"


def open_folder(root: Path, where: str) -> Data:
    """Read a folder of class folders, or of parts that hold class folders."""
    parts = _part_folders(root, where)
    if parts:
        return _open_parts(root, where, parts)
    listing = list_pictures(root)
    names, skipped = _in_classes(where, listing, depth=0)
    unsplit = np.full(len(names), UNSPLIT, np.int8)
    labels = _pieces(names, 0)
    if all(part_named(label) for label in set(labels)):
        raise UserError(f"{where!r} has pictures in folders of parts, but in no class folders: {SHAPES}.")
    classes, numbers = numbered_classes(where, labels, unsplit)
    skipped += _empty("", subfolders(root), labels, skipped)
    return Data(
        where, "folder", classes, names, numbers, unsplit, Files(root, names), skipped=_sorted(skipped)
    )


def _open_parts(root: Path, where: str, folders: dict[str, str]) -> Data:
    listing = list_pictures(root, sorted(folders.values()))
    names, skipped = _in_classes(where, listing, depth=1)
    part_of = {folder: part for part, folder in folders.items()}
    own = _pieces(names, 0)
    parts = numbered_parts([part_of[folder] for folder in own])
    labels = _pieces(names, 1)
    classes, numbers = numbered_classes(where, labels, parts)
    for folder in part_of:
        held = {label for label, part in zip(labels, own, strict=True) if part == folder}
        skipped += _empty(f"{folder}/", subfolders(root / folder), held, skipped)
    skipped += _beside(root, part_of)
    return Data(where, "splits", classes, names, numbers, parts, Files(root, names), skipped=_sorted(skipped))


def _part_folders(root: Path, where: str) -> dict[str, str]:
    """Return the folders that are parts: they hold folders, where a class of such a name holds pictures."""
    named = [name for name in subfolders(root) if part_named(name)]
    holding = [name for name in named if subfolders(root / name)]
    if len(holding) == 1 and len(subfolders(root)) > 1 and _has_pictures(root / holding[0]):
        raise UserError(
            f"{where!r} has pictures and folders in {holding[0]!r}, which may be a part or a class: put its "
            "pictures into folders of classes, or all of it into one folder of another name."
        )
    parts: dict[str, str] = {}
    for name in holding:
        part = part_named(name) or ""
        if part in parts:
            raise UserError(
                f"{where!r} has {parts[part]!r} and {name!r}, which mean the same part: rename one."
            )
        parts[part] = name
    return parts


def _has_pictures(folder: Path) -> bool:
    return any(
        is_picture_name(entry.name) and not is_hidden(entry.name) and not is_folder(entry)
        for entry in entries_of(folder)
    )


def _in_classes(where: str, listing: Listing, depth: int) -> tuple[list[str], list[Skipped]]:
    """Part the pictures of classes from those that lie beside the class folders."""
    names = [name for name in listing.names if name.count("/") > depth]
    if not names:
        raise UserError(f"{where!r} holds {_found(listing)}: {SHAPES}.")
    beside = [] if len(names) == len(listing.names) else listing.names
    outside = [Skipped(name, OUTSIDE) for name in beside if name.count("/") <= depth]
    return names, [*listing.skipped, *outside]


def _found(listing: Listing) -> str:
    if listing.names:
        return f"{len(listing.names)} pictures, but no class folders"
    return f"no pictures ({len(listing.skipped)} other things)" if listing.skipped else "no pictures"


def _pieces(names: list[str], depth: int) -> list[str]:
    """Return one folder name of each path; equal ones are one string, for there may be a million."""
    one: dict[str, str] = {}
    pieces = (name.split("/", depth + 1)[depth] for name in names)
    return [one.setdefault(piece, piece) for piece in pieces]


def _empty(
    before: str, folders: Iterable[str], held: Iterable[str], skipped: Iterable[Skipped]
) -> list[Skipped]:
    """Name the class folders that hold no picture, unless they are named already."""
    known = {one.path for one in skipped}
    missing = sorted(set(folders) - set(held))
    return [Skipped(before + name, EMPTY) for name in missing if before + name not in known]


def _beside(root: Path, parts: Iterable[str]) -> list[Skipped]:
    return [Skipped(entry.name, _why_beside(entry)) for entry in entries_of(root) if entry.name not in parts]


def _why_beside(entry: os.DirEntry[str]) -> str:
    if is_hidden(entry.name):
        return HIDDEN
    return BESIDE if is_folder(entry) or is_picture_name(entry.name) else NO_PICTURE


def _sorted(skipped: Iterable[Skipped]) -> tuple[Skipped, ...]:
    return tuple(sorted(skipped, key=lambda one: one.path))
