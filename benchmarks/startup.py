"""How long a user waits for the first answer.

    python benchmarks/startup.py [--rounds 11]

Wall seconds of whole processes, interleaved; and what importing everything that `residua.create` needs adds
to `import torch`, timed inside one process.
"""

from __future__ import annotations

import argparse
import statistics
import subprocess
import sys
import time

BEYOND_TORCH = """
import torch, time
start = time.perf_counter()
import residua
residua.create, residua.unravel, residua.recalibrate, residua.load
print(time.perf_counter() - start)
"""
COMMANDS = {
    "import torch": ["-c", "import torch"],
    "import residua": ["-c", "import residua"],
    "residua --help": ["-m", "residua", "--help"],
    "residua models": ["-m", "residua", "models"],
    "residua describe resnet152": ["-m", "residua", "describe", "resnet152"],
}


def seconds(arguments: list[str]) -> float:
    start = time.perf_counter()
    subprocess.run([sys.executable, *arguments], check=True, stdout=subprocess.DEVNULL)
    return time.perf_counter() - start


def beyond_torch() -> float:
    command = [sys.executable, "-c", BEYOND_TORCH]
    done = subprocess.run(command, check=True, capture_output=True, text=True)
    return float(done.stdout)


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
    low, median, high = statistics.quantiles([beyond_torch() for _ in range(rounds)], n=4)
    spread = f"({low * 1e3:.0f} to {high * 1e3:.0f}), n = {rounds}"
    print(f"{'residua beyond torch':28} {median * 1e3:.0f} ms {spread}")


if __name__ == "__main__":
    main()
