"""A folder of a million entries: seconds and peak memory of the whole process that lists it.

    python benchmarks/listing.py [--entries 1000000] [--folder /dev/shm]

Three shapes: pictures in a thousand class folders, two class folders of which one holds nearly all, and the
same with a text file beside every picture. The files are empty: nothing is decoded.
"""

from __future__ import annotations

import argparse
import re
import shutil
import subprocess
import sys
import tempfile
import time
from pathlib import Path

from residua.data.sources.recognition import open_data


def thousand_classes(folder: Path, entries: int) -> None:
    for label in range(1000):
        make(folder / f"class{label:04}", entries // 1000, "jpg")


def one_large_class(folder: Path, entries: int) -> None:
    make(folder / "large", entries - 1, "jpg")
    make(folder / "small", 1, "jpg")


def texts_beside(folder: Path, entries: int) -> None:
    for label in ("one", "other"):
        make(folder / label, entries // 4, "jpg")
        make(folder / label, entries // 4, "txt")


def make(folder: Path, count: int, suffix: str) -> None:
    folder.mkdir(exist_ok=True)
    for number in range(count):
        (folder / f"IMG_20260101_{number:08}.{suffix}").touch()


def listed(folder: Path) -> None:
    """Print what this process finds, how long it takes and the most memory it had."""
    start = time.perf_counter()
    data = open_data(folder)
    seconds = time.perf_counter() - start
    peak = re.search(r"VmHWM:\s+(\d+)", Path("/proc/self/status").read_text())
    assert peak
    assert "torch" not in sys.modules
    print(
        f"{len(data):,} pictures, {len(data.skipped):,} skipped, {len(data.classes):,} classes: "
        f"{seconds:.2f} s, {int(peak[1]) / 1024:.0f} MiB"
    )


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("--entries", type=int, default=1_000_000)
    parser.add_argument("--folder", help="where to make the files, which are removed again")
    parser.add_argument("--list", type=Path, help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.list:
        return listed(options.list)
    for shape in (thousand_classes, one_large_class, texts_beside):
        folder = Path(tempfile.mkdtemp(dir=options.folder))
        try:
            shape(folder, options.entries)
            command = [sys.executable, __file__, "--list", str(folder)]
            found = subprocess.run(command, capture_output=True, text=True, check=True)
            print(f"{shape.__name__}: {found.stdout}", end="")
        finally:
            shutil.rmtree(folder)
    return None


if __name__ == "__main__":
    main()
