"""Find the pictures in a folder: every file once, and opened only where its name does not tell what it is."""

from __future__ import annotations

import os
import re
import stat
from array import array
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from residua.data.dataset import Skipped
from residua.errors import UserError
from residua.files import regular

READ = "jpg jpeg jpe jfif mpo png apng webp gif bmp dib tif tiff ppm pgm pbm pnm"
# Pictures that Residua does not read: listed, so that the check names each of them as bad.
UNREAD = """heic heif hif avif jp2 j2k jpf jpx jxl jxr psd psb svg svgz ico icns eps ai tga dds exr hdr pcx
    xcf raw cr2 cr3 crw nef nrw arw srf sr2 dng orf rw2 raf pef srw 3fr erf kdc mrw x3f rwl iiq dcm"""
SUFFIXES = frozenset(f"{READ} {UNREAD}".split())
SIGNATURES = re.compile(
    rb"\xff\xd8\xff|\x89PNG\r\n|GIF8[79]a|RIFF....WEBP|BM....\0\0\0\0|II[*+]\0|MM\0[*+]|P[1-6]\s+[#\d]"
    rb"|....ftyp(?:hei[cx]|hevc|mif1|msf1|avi[fs])|\0\0\0\x0cjP  |\xff\x4f\xff\x51|8BPS",
    re.DOTALL,
)
SYSTEM = frozenset({"__macosx", "thumbs.db", "desktop.ini", "@eadir", "$recycle.bin"})

HIDDEN = "hidden"
NO_PICTURE = "no picture, by name and content"
SPECIAL = "a pipe, socket or device"
LISTED = "a folder that is listed elsewhere, or that holds this one"


@dataclass(frozen=True)
class Listing:
    """Pictures and what else there is, each as a path below the root, sorted."""

    names: list[str]
    skipped: tuple[Skipped, ...]


def list_pictures(root: Path, folders: Sequence[str] = ("",)) -> Listing:
    """Return the pictures of a folder, or of some folders in it, at any depth.

    Links are followed after everything real is known; a file or folder with several names is listed once.
    """
    walk = _Walk(root)
    for folder in folders:
        walk.enter(folder)
    real = len(walk.names)
    walk.follow_links()
    names = walk.each_file_once(real)
    names.sort()
    return Listing(names, tuple(sorted(walk.skipped, key=lambda one: one.path)))


def is_hidden(name: str) -> bool:
    """Whether a name is of a hidden thing, or of one that systems leave in folders."""
    return name.startswith(".") or name.lower() in SYSTEM


def is_picture_name(name: str) -> bool:
    """Whether a name ends as pictures' names do."""
    stem, _, suffix = name.rpartition(".")
    return stem != "" and suffix.lower() in SUFFIXES


def subfolders(folder: Path) -> list[str]:
    """Return the names of a folder's visible folders, and of links to folders, sorted."""
    return sorted(
        entry.name for entry in entries_of(folder) if not is_hidden(entry.name) and is_folder(entry)
    )


def entries_of(folder: Path) -> Iterator[os.DirEntry[str]]:
    """Yield what lies directly in a folder."""
    try:
        with os.scandir(folder) as entries:
            yield from entries
    except OSError as error:
        raise UserError(f"{str(folder)!r} cannot be listed: {error.strerror}.") from None


def is_folder(entry: os.DirEntry[str]) -> bool:
    """Whether it is a folder or a link to one; a link to itself is none."""
    try:
        return entry.is_dir()
    except OSError:
        return False


class _Walk:
    """What was found so far. Names alone are kept: a million `DirEntry` would fill the memory."""

    def __init__(self, root: Path) -> None:
        self.root = root
        self.names: list[str] = []
        self.inodes = array("Q")  # of each name
        self.skipped: list[Skipped] = []
        self.links: list[str] = []
        self.seen = set(_identities(root.resolve().parents))

    def enter(self, start: str) -> None:
        """List a folder and all that are really in it."""
        pending = [start]
        while pending:
            folder = pending.pop()
            try:
                if self._is_new(self._path(folder).stat()):
                    pending.extend(self._folders_in(folder))
                else:
                    self._skip(folder, LISTED)
            except OSError as error:
                self._skip(folder, f"cannot be listed: {error.strerror}")

    def follow_links(self) -> None:
        """List what links lead to; behind them there may be more."""
        while self.links:
            links, self.links = sorted(self.links), []
            for name in links:
                self._follow(name)

    def each_file_once(self, real: int) -> list[str]:
        """Return the names less further names of the same file; the first `real` ones go before links."""
        inodes = np.frombuffer(self.inodes, np.uint64) if self.names else np.empty(0, np.uint64)
        numbers, counts = np.unique(inodes, return_counts=True)
        shared = np.flatnonzero(np.isin(inodes, numbers[counts > 1])).tolist()
        first: dict[tuple[int, int], str] = {}
        for place in sorted(shared, key=lambda place: (place >= real, self.names[place])):
            name = self.names[place]
            for identity in _identities([self._path(name)]):
                if first.setdefault(identity, name) != name:
                    self._skip(name, f"the same file as {first[identity]!r}")
                    self.names[place] = ""
        return [name for name in self.names if name] if first else self.names

    def _folders_in(self, folder: str) -> list[str]:
        """Take a folder's entries one by one, and return its folders."""
        before = f"{folder}/" if folder else ""
        folders = []
        with os.scandir(self._path(folder)) as entries:
            for entry in entries:
                name = before + entry.name
                if is_hidden(entry.name):
                    self._skip(name, HIDDEN)
                elif entry.is_symlink():
                    self.links.append(name)
                elif entry.is_dir(follow_symlinks=False):
                    folders.append(name)
                elif entry.is_file(follow_symlinks=False):
                    self._take(name, entry.inode())
                else:
                    self._skip(name, SPECIAL)
        return folders

    def _follow(self, name: str) -> None:
        try:
            found = self._path(name).stat()
        except OSError as error:
            return self._skip(name, f"a link that leads nowhere: {error.strerror}")
        if stat.S_ISDIR(found.st_mode):
            return self.enter(name)
        if stat.S_ISREG(found.st_mode):
            return self._take(name, found.st_ino)
        return self._skip(name, SPECIAL)

    def _take(self, name: str, inode: int) -> None:
        try:
            if is_picture_name(name) or begins_as_picture(self._path(name)):
                self.names.append(name)
                self.inodes.append(inode)
            else:
                self._skip(name, NO_PICTURE)
        except OSError as error:
            self._skip(name, f"cannot be read: {error.strerror}")

    def _is_new(self, found: os.stat_result) -> bool:
        identity = (found.st_dev, found.st_ino)
        known = found.st_ino != 0 and identity in self.seen  # 0 where a file system has none
        self.seen.add(identity)
        return not known

    def _path(self, name: str) -> Path:
        return self.root / name

    def _skip(self, name: str, reason: str) -> None:
        self.skipped.append(Skipped(name, reason))


def _identities(paths: Iterable[Path]) -> Iterator[tuple[int, int]]:
    """Yield what tells each of the files or folders from all others; those that vanished have nothing."""
    for path in paths:
        try:
            found = path.stat()
        except OSError:
            continue
        if found.st_ino:
            yield found.st_dev, found.st_ino


def begins_as_picture(path: Path) -> bool:
    """Whether a file's first bytes are those of a picture."""
    with open(path, "rb", opener=regular) as file:
        return SIGNATURES.match(file.read(32)) is not None
