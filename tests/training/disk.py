"""What a loss of power may leave of a folder."""

from collections.abc import Iterable, Iterator, Mapping
from copy import deepcopy
from dataclasses import dataclass, field
from itertools import combinations
from pathlib import Path
from typing import Self

from training.tracing import Call

Change = dict[str, int | None]


@dataclass
class Disk:
    """A folder on a disk that keeps nothing for sure until it is told to sync it."""

    names: dict[str, int]  # on the disk; the numbers are the files'
    synced: dict[int, bytes]
    written: dict[int, bytes]
    changes: list[Change] = field(default_factory=list)  # of names, on their way to the disk

    @classmethod
    def of(cls, folder: Path) -> Self:
        """Take a folder whose files are all on the disk."""
        files = sorted(folder.iterdir())
        contents = {number: path.read_bytes() for number, path in enumerate(files)}
        return cls({str(path): number for number, path in enumerate(files)}, contents, dict(contents))

    def copy(self) -> Self:
        """Return another disk with the same content."""
        return deepcopy(self)

    def apply(self, call: Call) -> None:
        """Do what a system call does."""
        names = self._names(self.changes)
        if call.kind == "create":
            if call.path not in names:
                self.changes.append({call.path: len(self.synced)})
                self.synced[len(self.synced)] = b""
            self.written[self._names(self.changes)[call.path]] = b""
        elif call.kind == "write":
            old = self.written[names[call.path]]
            new = old[: call.at].ljust(call.at, b"\0") + call.content
            self.written[names[call.path]] = new + old[len(new) :]
        elif call.kind == "rename":
            self.changes.append({call.path: None, call.content.decode(): names[call.path]})
        elif call.kind == "unlink":
            self.changes.append({call.path: None})
        elif call.path in names:
            self.synced[names[call.path]] = self.written[names[call.path]]
        else:
            self.names, self.changes = names, []

    def after_a_crash(self) -> Iterator[dict[str, bytes]]:
        """Yield each content of the folder that a loss of power now may leave.

        Of the changes of names any may have reached the disk. So may all, half or nothing of what was
        written, and of what did not, the length alone.
        """
        for count in range(len(self.changes) + 1):
            for chosen in combinations(self.changes, count):
                names = self._names(chosen)
                for share in (0, 0.5, 1):
                    for length in (0, 1):
                        yield {name: self._content(file, share, length) for name, file in names.items()}

    def _names(self, changes: Iterable[Change]) -> dict[str, int]:
        names: Change = dict(self.names)
        for change in changes:
            names |= change
        return {name: number for name, number in names.items() if number is not None}

    def _content(self, file: int, share: float, length: int) -> bytes:
        new, old = self.written[file], self.synced[file]
        if new == old:
            return old
        kept = new[: int(len(new) * share)] or old
        return kept.ljust(length * len(new), b"\0")


def put(folder: Path, contents: Mapping[str, bytes]) -> None:
    """Give a folder these files and no others."""
    for path in folder.iterdir():
        path.unlink()
    for name, content in contents.items():
        (folder / Path(name).name).write_bytes(content)
