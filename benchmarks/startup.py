"""How long a user waits for the first answer.

    python benchmarks/startup.py [--rounds 11]

Wall seconds of whole processes, interleaved; `import residua` is what it adds to `import torch`, with
everything that `residua.create` needs.
"""

from __future__ import annotations

import argparse
import statistics
import subprocess
import sys
import time

NETWORKS = "import torch; import residua; residua.create; residua.unravel; residua.recalibrate"
COMMANDS = {
    "import torch": ["-c", "import torch"],
    "import torch, residua": ["-c", NETWORKS],
    "import residua": ["-c", "import residua"],
    "residua --help": ["-m", "residua", "--help"],
    "residua models": ["-m", "residua", "models"],
    "residua describe resnet152": ["-m", "residua", "describe", "resnet152"],
}


def seconds(arguments: list[str]) -> float:
    start = time.perf_counter()
    subprocess.run([sys.executable, *arguments], check=True, stdout=subprocess.DEVNULL)  # noqa: S603 - our own
    return time.perf_counter() - start


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("--rounds", type=int, default=11)
    rounds = parser.parse_args().rounds
    for arguments in COMMANDS.values():
        seconds(arguments)
    times = [{name: seconds(arguments) for name, arguments in COMMANDS.items()} for _ in range(rounds)]
    for name in COMMANDS:
        low, median, high = statistics.quantiles([each[name] for each in times], n=4)
        print(f"{name:28} {median:.3f} s ({low:.3f} to {high:.3f})")
    added = [each["import torch, residua"] - each["import torch"] for each in times]
    low, median, high = statistics.quantiles(added, n=4)
    spread = f"({low * 1e3:.0f} to {high * 1e3:.0f}), n = {rounds}"
    print(f"{'residua beyond torch':28} {median * 1e3:.0f} ms {spread}")


if __name__ == "__main__":
    main()
