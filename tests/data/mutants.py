"""Damaged pictures, the same for a seed: each must give pixels or one `BadImageError`, and nothing else.

    python tests/data/mutants.py --count 10000 [--seed 0]

The suite tries 500 of them; this tries any number, in one process that must survive, and says what came out.
"""

from __future__ import annotations

import argparse
import random
import time
from collections import Counter
from collections.abc import Iterator
from io import BytesIO
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image

from residua.data.decoding import decode, examine
from residua.data.facts import BadImageError

LONGEST = 10.0  # seconds that one mutant may take; a picture may grow to 100 million pixels


def _saved(image: Image.Image, kind: str, **options: Any) -> bytes:
    file = BytesIO()
    image.save(file, kind, **options)
    return file.getvalue()


def seeds() -> list[bytes]:
    """Small whole pictures in all formats and modes."""
    y, x = np.mgrid[0:48, 0:64]
    noise = np.random.default_rng(0).integers(0, 60, (48, 64, 3))
    photo = Image.fromarray((np.stack([3 * x, 4 * y, x + y], 2) + noise).astype(np.uint8))
    clear, exif = photo.convert("RGBA"), Image.Exif()
    clear.putalpha(photo.convert("L"))
    exif[0x0112] = 6
    deep = Image.fromarray((257 * np.asarray(photo.convert("L")).astype(np.uint32)).astype(np.uint16))
    modes = {mode: photo.convert(mode) for mode in ("1", "L", "P", "CMYK", "LAB", "YCbCr")}
    modes |= {"RGB": photo, "RGBA": clear, "LA": clear.convert("LA"), "I;16": deep}
    kinds = {
        "JPEG": ["RGB", "L", "CMYK"],
        "PNG": ["RGB", "L", "1", "P", "RGBA", "LA", "I;16"],
        "WEBP": ["RGB", "RGBA"],
        "GIF": ["P", "L"],
        "BMP": ["RGB", "1", "P"],
        "TIFF": ["RGB", "RGBA", "CMYK", "LAB", "YCbCr", "I;16", "1"],
        "PPM": ["RGB", "L", "1", "I;16"],
    }
    found = [_saved(modes[mode], kind) for kind, names in kinds.items() for mode in names]
    found += [_saved(photo, kind, exif=exif) for kind in ("JPEG", "PNG", "WEBP", "TIFF")]
    found += [_saved(photo, kind, save_all=True, append_images=[clear.convert("RGB")]) for kind in ANIMATED]
    found += [
        _saved(photo, "TIFF", compression=name) for name in ("tiff_lzw", "jpeg", "packbits", "tiff_deflate")
    ]
    return [*found, _saved(photo, "JPEG", progressive=True), _saved(photo, "WEBP", lossless=True)]


ANIMATED = ("GIF", "PNG", "WEBP", "TIFF", "MPO")


def mutants(count: int, seed: int = 0) -> Iterator[bytes]:
    """Yield damaged pictures: flipped bits, overwritten runs, edited headers, cuts, two spliced into one."""
    whole, draw = seeds(), random.Random(seed)  # noqa: S311 - no secrets
    for _ in range(count):
        yield draw.choice(DAMAGES)(draw.choice(whole), draw, whole)


def _flipped(data: bytes, draw: random.Random, _: list[bytes]) -> bytes:
    found = bytearray(data)
    for _place in range(draw.choice((1, 3, 30))):
        found[draw.randrange(len(found))] ^= 1 << draw.randrange(8)
    return bytes(found)


def _overwritten(data: bytes, draw: random.Random, _: list[bytes]) -> bytes:
    start, length = draw.randrange(len(data)), draw.choice((1, 4, 64))
    run = draw.choice((b"\0" * length, b"\xff" * length, draw.randbytes(length)))
    return data[:start] + run + data[start + length :]


def _edited(data: bytes, draw: random.Random, _: list[bytes]) -> bytes:
    """Put a number that matters into the header: a size, an offset, a count."""
    start, length = draw.randrange(2, min(200, len(data))), draw.choice((1, 2, 4))
    number: int = draw.choice((0, 1, 0x7F, 0xFF, 0x7FFF, 0xFFFF, 0x7FFFFFFF, 0xFFFFFFFF)) % 256**length
    written = number.to_bytes(length, "little")
    return data[:start] + draw.choice((written, written[::-1])) + data[start + length :]


def _cut(data: bytes, draw: random.Random, _: list[bytes]) -> bytes:
    start = draw.randrange(len(data))
    return data[:start] if draw.random() < 0.7 else data[:start] + data[start + draw.randrange(1, 500) :]


def _spliced(data: bytes, draw: random.Random, whole: list[bytes]) -> bytes:
    other = draw.choice(whole)
    return data[: draw.randrange(len(data))] + other[draw.randrange(len(other)) :]


DAMAGES = (_flipped, _overwritten, _edited, _edited, _cut, _spliced)


def outcome(data: bytes) -> str:
    """Decode a mutant in both ways; return "good", or why it is bad. Anything else goes through."""
    start = time.perf_counter()
    reasons = []
    try:
        pixels = decode(data, "mutant")
        assert pixels.dtype == np.uint8 and pixels.ndim == 3 and pixels.shape[2] == 3 and pixels.size
    except BadImageError as error:
        reasons.append(error.reason)
    try:
        facts = examine(data, "mutant.png")
        assert reasons or (facts.height, facts.width) == pixels.shape[:2]
    except BadImageError as error:
        reasons.append(error.reason)
    assert time.perf_counter() - start < LONGEST
    assert len(reasons) in (0, 2) and len(set(reasons)) < 2, reasons
    return reasons[0] if reasons else "good"


def main() -> None:
    """Try mutants, and whether good pictures are still what they were."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("--count", type=int, default=10_000)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--keep", type=Path, default=Path("mutant"), help="where a mutant is left that fails")
    options = parser.parse_args()
    before = [decode(data, "seed") for data in seeds()]
    found: Counter[str] = Counter()
    for data in mutants(options.count, options.seed):
        options.keep.write_bytes(data)
        found[outcome(data)] += 1
    options.keep.unlink()
    after = [decode(data, "seed") for data in seeds()]
    assert all(np.array_equal(*pair) for pair in zip(before, after, strict=True))
    for reason, times in found.most_common():
        print(f"{times:6,} {reason}")


if __name__ == "__main__":
    main()
