"""What a loss of power may leave of a folder."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from copy import deepcopy
from dataclasses import dataclass, field
from itertools import combinations
from pathlib import Path
from typing import Self

from faults.syscalls import Call

Change = dict[str, int | None]


@dataclass
class Disk:
    """A folder on a disk that keeps nothing for sure until it is told to sync it."""

    folder: str
    names: dict[str, int]  # on the disk; the numbers are the files'
    synced: dict[int, bytes]
    written: dict[int, bytes]
    changes: list[Change] = field(default_factory=list)  # of names, on their way to the disk

    @classmethod
    def of(cls, folder: Path) -> Self:
        """Take a folder whose files are all on the disk."""
        files = sorted(path for path in folder.rglob("*") if path.is_file())
        contents = {number: path.read_bytes() for number, path in enumerate(files)}
        numbers = {str(path): number for number, path in enumerate(files)}
        return cls(str(folder), numbers, contents, dict(contents))

    def copy(self) -> Self:
        """Return another disk with the same content."""
        return deepcopy(self)

    def apply(self, call: Call) -> None:
        """Do what a system call does."""
        names = self._names(self.changes)
        if call.kind in ("create", "empty"):
            self._create(call.path, names, call.kind == "empty")
        elif call.kind == "write":
            old = self.written[names[call.path]]
            at = len(old) if call.at < 0 else call.at
            new = old[:at].ljust(at, b"\0") + call.content
            self.written[names[call.path]] = new + old[len(new) :]
        elif call.kind == "cut":
            self.written[names[call.path]] = self.written[names[call.path]][: call.at].ljust(call.at, b"\0")
        elif call.kind == "rename":
            self.changes.append({call.path: None, call.content.decode(): names[call.path]})
        elif call.kind == "unlink":
            self.changes.append({call.path: None})
        elif call.path in names:
            self.synced[names[call.path]] = self.written[names[call.path]]
        else:
            self._sync_names(call.path)

    def after_a_crash(self) -> Iterator[dict[str, bytes]]:
        """Yield each content of the folder that a loss of power now may leave.

        Of the changes of names any may have reached the disk. So may all, half or nothing of what was
        written, and of what did not, the length alone.
        """
        seen = set()
        for count in range(len(self.changes) + 1):
            for chosen in combinations(self.changes, count):
                names = self._names(chosen)
                for share in (0, 0.5, 1):
                    for length in (0, 1):
                        left = {name: self._content(file, share, length) for name, file in names.items()}
                        if (mark := hash(frozenset(left.items()))) not in seen:
                            seen.add(mark)
                            yield {name.removeprefix(f"{self.folder}/"): left[name] for name in left}

    def _create(self, path: str, names: Mapping[str, int], empty: bool) -> None:
        if path not in names:
            number = len(self.synced)
            self.changes.append({path: number})
            self.synced[number] = self.written[number] = b""
        elif empty:
            self.written[names[path]] = b""

    def _sync_names(self, folder: str) -> None:
        within = [change for change in self.changes if str(Path(next(iter(change))).parent) == folder]
        self.names = self._names(within)
        self.changes = [change for change in self.changes if change not in within]

    def _names(self, changes: Iterable[Change]) -> dict[str, int]:
        names: Change = dict(self.names)
        for change in changes:
            names |= change
        return {name: number for name, number in names.items() if number is not None}

    def _content(self, file: int, share: float, length: int) -> bytes:
        new, old = self.written[file], self.synced[file]
        if old.startswith(new):  # as it was, or cut off
            return new if share == 1 else old
        kept = len(old) if new.startswith(old) else 0
        kept += int((len(new) - kept) * share)
        return (new[:kept] or old).ljust(length * len(new), b"\0")


def put(folder: Path, contents: Mapping[str, bytes]) -> None:
    """Give a folder these files and no others."""
    for path in folder.rglob("*"):
        if path.is_file():
            path.unlink()
    for name, content in contents.items():
        (folder / name).parent.mkdir(exist_ok=True)
        (folder / name).write_bytes(content)
