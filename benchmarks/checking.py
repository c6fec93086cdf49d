"""Checking a folder of class folders, against the textbook loop in one process, interleaved.

    python benchmarks/checking.py FOLDER [--rounds 3]

Wall seconds of `residua check FOLDER --json` as a whole process, and of a process that opens, verifies, opens
again and loads every file with Pillow, and finds nothing but exceptions.
"""

from __future__ import annotations

import argparse
import json
import statistics
import subprocess
import sys
import time
from pathlib import Path

TEXTBOOK = """
import sys
from pathlib import Path
from PIL import Image
for path in sorted(Path(sys.argv[1]).rglob("*.*")):
    try:
        with Image.open(path) as image:
            image.verify()
        with Image.open(path) as image:
            image.load()
    except Exception as error:
        print(path, error)
"""


def seconds(*command: str) -> tuple[float, str]:
    start = time.perf_counter()
    done = subprocess.run([sys.executable, *command], capture_output=True, text=True, check=False)
    assert done.returncode in (0, 1), done.stderr
    return time.perf_counter() - start, done.stdout


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("folder", type=Path)
    parser.add_argument("--rounds", type=int, default=3)
    options = parser.parse_args()
    folder = str(options.folder)
    _, found = seconds("-m", "residua", "check", folder, "--json")  # reads the disk
    images = json.loads(found)["images"]
    times = []
    for _ in range(options.rounds):
        ours, _ = seconds("-m", "residua", "check", folder, "--json")
        theirs, _ = seconds("-c", TEXTBOOK, folder)
        times.append((ours, theirs))
    ours, theirs = (statistics.median(column) for column in zip(*times, strict=True))
    ratios = sorted(theirs / ours for ours, theirs in times)
    print(f"{images:,} pictures, n = {options.rounds}")
    print(f"residua check {ours:.2f} s, {images / ours:,.0f} a second; textbook {theirs:.2f} s")
    print(f"ratio {statistics.median(ratios):.2f} ({ratios[0]:.2f} to {ratios[-1]:.2f})")


if __name__ == "__main__":
    main()
