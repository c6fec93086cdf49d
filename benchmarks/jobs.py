"""A sweep of the lab with several trainings at once, against one after the other, interleaved.

    python benchmarks/jobs.py [EXPERIMENT] [--jobs 2] [--rounds 3]

Wall seconds of `residua lab run EXPERIMENT` at scale quick as a whole process, each into a folder of its own.
"""

from __future__ import annotations

import argparse
import statistics
import subprocess
import sys
import tempfile
import time


def seconds(experiment: str, jobs: int) -> float:
    with tempfile.TemporaryDirectory() as folder:
        command = ["lab", "run", experiment, "--jobs", str(jobs), "--out", folder, "--json"]
        start = time.perf_counter()
        subprocess.run([sys.executable, "-m", "residua", *command], capture_output=True, check=True)
        return time.perf_counter() - start


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("experiment", nargs="?", default="degradation")
    parser.add_argument("--jobs", type=int, default=2)
    parser.add_argument("--rounds", type=int, default=3)
    given = parser.parse_args()
    times = [
        (seconds(given.experiment, 1), seconds(given.experiment, given.jobs)) for _ in range(given.rounds)
    ]
    one, several = (statistics.median(column) for column in zip(*times, strict=True))
    ratios = sorted(alone / together for alone, together in times)
    print(f"{given.experiment}, n = {given.rounds}")
    print(f"one at a time {one:.0f} s, {given.jobs} at once {several:.0f} s")
    print(f"ratio {statistics.median(ratios):.2f} ({ratios[0]:.2f} to {ratios[-1]:.2f})")


if __name__ == "__main__":
    main()
