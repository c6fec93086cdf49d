"""Injure trainings in every way that they must survive, and say what came of it.

    python scripts/train_faults.py [--kills 50] [--only F1,F9] [--json]

Each fault is injected into processes of the real command, which train a small network on the digits. What
they come to is compared, to the bit, with an uninterrupted training. As root, and with strace, mount, unshare
and a C++ compiler, all faults can be injected; a row says what is lacking for those that cannot.
"""

from __future__ import annotations

import argparse
import json
import os
import shutil
import signal
import sys
import tempfile
from collections.abc import Callable, Iterator
from pathlib import Path

from faults.disks import damage, disks
from faults.endings import poison, signals
from faults.kills import kills, kills_at_the_start, kills_in_saves
from faults.outcome import Outcome
from faults.power import power
from faults.spoiled import pictures
from faults.surroundings import clock, crowd, shared_memory

Fault = Callable[[Path, int], Iterator[Outcome]]
FAULTS: dict[str, tuple[Fault, ...]] = {
    "F1": (kills, kills_at_the_start, kills_in_saves),
    "F2": (power,),
    "F3": (disks,),
    "F4": (damage,),
    "F7": (poison,),
    "F9": (signals,),
    "F10": (crowd,),
    "F11": (shared_memory,),
    "F12": (clock,),
    "pictures": (pictures,),
}


def campaign(chosen: list[str], count: int) -> Iterator[Outcome]:
    """Inject the chosen faults, as many as `count` says; nothing is left behind."""
    base = Path(tempfile.mkdtemp(prefix="residua-faults-"))
    os.environ["RESIDUA_CACHE"] = str(base / "cache")
    try:
        for name in chosen:
            for fault in FAULTS[name]:
                yield from fault(base, count)
    finally:
        shutil.rmtree(base, ignore_errors=True)


def row(outcome: Outcome) -> str:
    """Say an outcome as a row of a table."""
    seen = "; ".join(f"{what} ({times})" for what, times in outcome.seen.most_common(4))
    return f"| {outcome.fault} | {outcome.injected} | {outcome.tried} | {outcome.passed} | {seen} |"


def main() -> None:
    """Run the campaign; the exit code is 1 if anything failed."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    parser.add_argument("--kills", type=int, default=50, help="random kills; other faults follow it")
    parser.add_argument("--only", default=",".join(FAULTS), help="faults, with commas")
    parser.add_argument("--json", action="store_true", help="a list of outcomes instead of a table")
    given = parser.parse_args()
    signal.signal(signal.SIGINT, signal.default_int_handler)  # jobs in a shell's background ignore Ctrl-C
    chosen = given.only.split(",")
    if unknown := set(chosen) - FAULTS.keys():
        parser.error(f"unknown faults {sorted(unknown)}: there are {', '.join(FAULTS)}.")
    outcomes = []
    if not given.json:
        print("| fault | injected | times | passed | seen |\n|---|---|---|---|---|", flush=True)
    for outcome in campaign(chosen, given.kills):
        outcomes.append(outcome)
        if not given.json:
            print(row(outcome), flush=True)
    if given.json:
        print(json.dumps([outcome.to_dict() for outcome in outcomes], indent=2))
    sys.exit(any(outcome.passed < outcome.tried for outcome in outcomes))


if __name__ == "__main__":
    main()
