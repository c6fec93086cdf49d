"""Read HDF5 in the form that h5py writes, without HDF5's own library, which damaged files crash or hang.

Known here is what Keras' files consist of and nothing else: a superblock of version 0, groups with symbol
tables, numbers that lie in the file plainly and in one piece, and texts as attributes. Links out of the file,
packed numbers and numbers of other files have other forms, so nothing here can follow them.

All numbers are little-endian. Damage shows as a ValueError, LookupError or struct.error.
"""

from __future__ import annotations

import math
import mmap
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from enum import IntEnum
from struct import unpack_from
from typing import Any

import numpy as np

from residua.errors import UserError

Content = bytes | mmap.mmap
Place = tuple[str, ...]  # names of groups from the outside in, and of what is in the last

SUPERBLOCK = b"\x89HDF\r\n\x1a\n" + bytes(5) + b"\x08\x08"  # versions 0, addresses and lengths of 8 bytes
TREE, LEAF, HEAP = b"TREE\0", b"SNOD\1", b"GCOL\1"
SPACE, TYPE, EXTERNAL, LAYOUT, FILTERS, ATTRIBUTE, CONTINUATION, TABLE = 1, 3, 7, 8, 11, 12, 16, 17
CONTIGUOUS = (3, 1)  # version and class of a layout
VARIABLE_TEXT = b"\x19\x01"  # a type
# A floating number's bits by its bytes: the sign's place, the first and how many there are, place and size of
# the exponent, of the fraction, and the exponent's bias.
FLOATS = {
    2: (15, 0, 16, 10, 5, 0, 10, 15),
    4: (31, 0, 32, 23, 8, 0, 23, 127),
    8: (63, 0, 64, 52, 11, 0, 52, 1023),
}

NODES = 20_000  # in a file
DEPTH = 16  # of groups within groups
MESSAGES = 256  # in a header
TEXT = 1000  # bytes of a name
HEAP_SIZE = 1 << 16


class Class(IntEnum):
    """Of a type of numbers."""

    FIXED = 0
    FLOAT = 1
    OPAQUE = 5


@dataclass(frozen=True)
class Dataset:
    """Numbers, and where in the file they lie."""

    shape: tuple[int, ...]
    dtype: np.dtype[Any]
    address: int

    @property
    def size(self) -> int:
        """How many bytes they take."""
        return math.prod(self.shape) * self.dtype.itemsize


class Hdf5:
    """The bytes of a file, and what is found in them."""

    def __init__(self, content: Content) -> None:
        self.content = content
        self.seen: set[int] = set()
        if content[: len(SUPERBLOCK)] != SUPERBLOCK or self._numbers("<Q", 24) != (0,):
            raise UserError("it is not HDF5 as Keras writes it")

    def datasets(self) -> Iterator[tuple[Place, Dataset, int]]:
        """Find all datasets, each with the address of the group that it is in."""
        open_ends: list[tuple[Place, int, int]] = [((), *self._numbers("<Q", 64), 0)]
        while open_ends:
            place, address, holder = open_ends.pop()
            messages = dict(self._messages(address))
            if TABLE not in messages:
                yield place, self._dataset("/".join(place), messages), holder
            elif len(place) < DEPTH:
                members = self._members(*unpack_from("<QQ", messages[TABLE]))
                open_ends += [((*place, name), member, address) for name, member in members]
            else:
                raise UserError("its groups are nested too deep")

    def array(self, dataset: Dataset) -> np.ndarray[Any, Any]:
        """Copy numbers out of the file."""
        count = math.prod(dataset.shape)
        found = np.frombuffer(self.content, dataset.dtype, count, dataset.address).reshape(dataset.shape)
        return found.astype(dataset.dtype.newbyteorder("="))

    def text(self, address: int, name: str) -> str | None:
        """Return a text attribute of the group or dataset whose header lies at an address."""
        for kind, message in self._messages(address):
            if kind == ATTRIBUTE:
                version, *sizes = unpack_from("<BxHHH", message)
                at_type, at_space, at_value = (8 + sum(map(_padded, sizes[:n])) for n in (1, 2, 3))
                if version == 1 and message[8:at_type].rstrip(b"\0") == name.encode():
                    if not message[at_type:].startswith(VARIABLE_TEXT) or message[at_space + 1]:
                        raise UserError(f"the attribute {name!r} in it is no text")
                    length, heap, index = unpack_from("<IQI", message, at_value)
                    return self._heap_object(heap, index)[:length].decode()
        return None

    def _numbers(self, form: str, address: int) -> tuple[Any, ...]:
        return unpack_from(form, self.content, address)

    def _expect(self, address: int, start: bytes) -> None:
        if self.content[address : address + len(start)] != start:
            raise ValueError(start)

    def _once(self, address: int) -> None:
        """Meet an address, which keeps out circles."""
        if address in self.seen or len(self.seen) == NODES:
            raise UserError("its groups lead in circles or are too many")
        self.seen.add(address)

    def _messages(self, address: int) -> Iterator[tuple[int, bytes]]:
        """All messages of a header, block by block."""
        version, count, size = self._numbers("<BxH4xI", address)
        if version != 1 or count > MESSAGES:
            raise ValueError(version)
        blocks = [(address + 16, size)]
        while blocks:
            place, size = blocks.pop()
            end = place + size
            while count and place + 8 <= end:
                kind, size, flags = self._numbers("<HHB", place)
                message = self.content[place + 8 : place + 8 + size]
                if kind == CONTINUATION:
                    blocks.append(unpack_from("<QQ", message))
                if not flags & 2:  # else it lies elsewhere
                    yield kind, message
                count, place = count - 1, place + 8 + size

    def _members(self, tree: int, heap: int) -> Iterator[tuple[str, int]]:
        """Names and addresses of a group's members."""
        (names,) = self._numbers("<Q", heap + 24)
        for leaf in self._leaves(tree):
            self._expect(leaf, LEAF)
            (count,) = self._numbers("<H", leaf + 6)
            for place in range(leaf + 8, leaf + 8 + 40 * count, 40):
                offset, address, cached = self._numbers("<QQI", place)
                name = self._name(names + offset)
                if cached == 2:
                    raise UserError(f"{name!r} in it is a link")
                self._once(address)
                yield name, address

    def _name(self, start: int) -> str:
        end = self.content.find(b"\0", start, start + TEXT)
        if end < 0:
            raise ValueError(start)
        return self.content[start:end].decode()

    def _leaves(self, root: int) -> Iterator[int]:
        """Addresses of the leaves of a tree."""
        self._once(root)
        open_ends = [root]
        while open_ends:
            address = open_ends.pop()
            self._expect(address, TREE)
            level, count = self._numbers("<BH", address + 5)
            for place in range(address + 32, address + 32 + 16 * count, 16):
                (child,) = self._numbers("<Q", place)
                self._once(child)
                if level:
                    open_ends.append(child)
                else:
                    yield child

    def _dataset(self, name: str, messages: Mapping[int, bytes]) -> Dataset:
        if not messages.keys() >= {SPACE, TYPE, LAYOUT}:
            raise UserError(f"{name or '/'!r} in it is no group or dataset as Keras writes them")
        version, rank = messages[SPACE][:2]
        layout = unpack_from("<BB", messages[LAYOUT])
        if version != 1 or layout != CONTIGUOUS or messages.keys() & {EXTERNAL, FILTERS}:
            raise UserError(f"{name!r} in it does not lie plainly in the file, as with Keras")
        address, size = unpack_from("<QQ", messages[LAYOUT], 2)
        found = Dataset(unpack_from(f"<{rank}Q", messages[SPACE], 8), _dtype(name, messages[TYPE]), address)
        if found.size != size or address + size > len(self.content):
            raise UserError(f"{name!r} in it claims {found.size:,} bytes, and not as many are stored")
        return found

    def _heap_object(self, address: int, wanted: int) -> bytes:
        """Find a short object in a heap, in which the index 0 marks the end."""
        self._expect(address, HEAP)
        end = address + min(*self._numbers("<Q", address + 8), HEAP_SIZE)
        place, index = address + 16, -1
        while index and place + 16 <= end:
            index, length = self._numbers("<H6xQ", place)
            if index == wanted and 0 < length <= TEXT:
                return self.content[place + 16 : place + 16 + length]
            place += 16 + _padded(length)
        raise ValueError(wanted)


def _dtype(name: str, message: bytes) -> np.dtype[Any]:
    """Return NumPy's type for a message; two opaque bytes are Keras' bfloat16."""
    kind, bits, size = unpack_from("<BBxxI", message)
    order = ">" if bits & 1 else "<"
    match kind & 15:
        case Class.OPAQUE if size == 2:
            return np.dtype("V2")
        case Class.FIXED if size in (1, 2, 4, 8) and unpack_from("<HH", message, 8) == (0, 8 * size):
            return np.dtype(f"{order}{'i' if bits & 8 else 'u'}{size}")
        case Class.FLOAT if bits | 1 == 0x21 and _float_bits(message) == FLOATS.get(size):
            return np.dtype(f"{order}f{size}")
    raise UserError(f"{name!r} in it holds no numbers")


def _float_bits(message: bytes) -> tuple[int, ...]:
    return message[2], *unpack_from("<HH4BI", message, 8)


def _padded(size: int) -> int:
    return size + -size % 8
