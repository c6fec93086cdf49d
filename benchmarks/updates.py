"""Residua's training from a folder of pictures against the textbook loop's, interleaved.

    python benchmarks/updates.py FOLDER [--network resnet50] [--rounds 7] [--steps 4] [--json]

FOLDER has class folders; 160 photos copied ten times make an epoch long enough. Each form is a process of its
own that waits while another computes. In each round the textbook's DataLoader has 0, 1 and 2 workers, of
which the best over all rounds counts; what is read ahead between two turns is free for all, and the less the
more steps a turn has. Residua does what an update of `residua train` does: reading, augmentation, the check
of loss and gradients, the schedule; checkpoints and judging are left out, as in the textbook.
`--also "same batch" packed compiled checkpointed "packed compiled" "given back"`: other forms of it, where
"same batch" has no loader: what is missing to it is what loading costs; "given back" is the same with freed
memory given back to the system instead of kept for the next update. Memory is the whole process's peak;
Residua's is that of the command `residua train`, from the check and the measuring to the report.
Where the processor does not multiply in bf16, all compute in fp32.
The share of the peak is of what the processor's multiplying instructions could do (`peak.py`, one core's
times two), where an update needs three times the multiplications of the network.

On a machine that is never quiet, `--busy` gives each form one thread, the textbook no workers, and
counts processor time.
"""

from __future__ import annotations

import argparse
import json
import os
import signal
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import nullcontext
from dataclasses import replace
from itertools import chain, count, repeat
from pathlib import Path
from typing import Any, Literal

import numpy as np
import torch

from peak import peak
from residua.data.dataset import Data
from residua.data.loading.loader import Batch
from residua.data.sources.recognition import open_data
from residua.nets.devices import multiplies_bf16
from residua.nets.plan import plan
from residua.nets.zoo import spec
from residua.training.pictures.loaders import Loaders
from residua.training.pictures.packed import packed
from residua.training.recipes import recipe
from residua.training.settings import Settings
from residua.training.settling.measuring import Unsettled, measured
from residua.training.settling.stopwatch import Stopwatch
from residua.training.updating.allocation import kept_memory
from residua.training.updating.state import State
from residua.training.updating.update import Updater
from residua.weights.create import create
from residua.weights.metadata import Preprocessing
from textbook import BATCHES, answer

SIZES = {"resnet50": 224, "resnet18": 224, "cifar_resnet20": 32}
WORKERS = [0, 1, 2]  # of the textbook
HERE = Path(__file__).parent
PRECISION: Literal["bf16", "fp32"] = "bf16" if multiplies_bf16("cpu") else "fp32"
UNREAD = "same batch", "given back"  # forms without a loader
PEERS = "fp32", "bf16" if PRECISION == "bf16" else "channels_last"  # forms of the textbook


class Process:
    """A form of training in a process of its own."""

    def __init__(self, *command: str) -> None:
        self.process = subprocess.Popen(
            [sys.executable, *command], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
        )
        self.turns: dict[int, list[float]] = {}  # seconds of an update, by the number of workers
        self.memory = 0.0

    @property
    def seconds(self) -> list[float]:
        """Of each round, with the number of workers that is best over all of them."""
        return min(self.turns.values(), key=statistics.median)

    def run(self, steps: int, workers: int = 0) -> float:
        """Return the seconds of an update."""
        assert self.process.stdin
        assert self.process.stdout
        print(steps, workers, file=self.process.stdin, flush=True)
        seconds, self.memory = map(float, self.process.stdout.readline().split())
        return seconds / steps

    def turn(self, steps: int, workers: list[int]) -> None:
        """Run with each number of workers."""
        for number in workers:
            self.turns.setdefault(number, []).append(self.run(steps, number))

    def close(self) -> None:
        self.process.communicate()


def settings(data: Data, options: argparse.Namespace) -> Settings:
    """Describe the training that is measured."""
    size = SIZES[options.network]
    chosen = recipe("fast", size=size, optimizer="sgd", batch=BATCHES[options.network], sizes=(1.0,))
    return Settings(
        data=data.where,
        spec=spec(options.network, num_classes=len(data.classes)),
        preprocessing=Preprocessing(size=size, resize=size if size < 64 else size * 8 // 7),
        recipe=chosen,
        steps=100_000,
        epoch_steps=len(data) // chosen.batch,
        precision=PRECISION,
        compiled="compiled" in options.form,
        checkpointing="checkpointed" in options.form,
        threads=1 if options.busy else 2,
    )


def batches(data: Data, chosen: Settings, form: str) -> Iterator[Batch]:
    """Yield batches without end: from files, from packed pictures, or always the same."""
    loaders = Loaders(data, chosen)
    if "packed" in form:
        chosen = replace(chosen, packed=chosen.preprocessing.resize)
        with tempfile.TemporaryDirectory() as folder:  # what is mapped stays until the end
            stored = packed(Path(folder), data, loaders.training_places, chosen, lambda _: None)
        loaders = Loaders(data, chosen, stored)
    found = chain.from_iterable(map(loaders.training(0).epoch, count()))
    return repeat(next(found)) if form in UNREAD else found


def residua(options: argparse.Namespace) -> Iterator[float]:
    """Make one update after the other as `residua train` does, and yield its loss."""
    data = open_data(str(options.folder))
    data = replace(data, parts=np.zeros(len(data), np.int8))
    watch = Stopwatch(data, Path(options.folder), lambda asked: create(asked.spec))
    readers = Unsettled(precision=False, compiled=False, packed=False)
    chosen, _ = measured(settings(data, options), readers, watch)
    network = create(chosen.spec).train()
    network.to(memory_format=torch.channels_last)  # type: ignore[call-overload] # PyTorch's own types lack it
    network.checkpointing = chosen.checkpointing
    state = State(network, chosen.recipe)
    update = Updater(state, chosen)
    with nullcontext() if "given back" in options.form else kept_memory():
        for batch in batches(data, chosen, options.form):
            yield update(batch, 0)
            state.counts.step += 1


def memory_of_command(options: argparse.Namespace, form: str) -> float:
    """Return the peak in bytes of training as a user does: check, measuring, updates, judging, report."""
    batch, size = BATCHES[options.network], SIZES[options.network]
    command = ["-m", "residua", "train", options.folder, "--model", options.network, "--size", size]
    command += ["--weights", "none", "--recipe", "fast", "--batch", batch]
    chosen: dict[str, Any] = {"threads": 1 if options.busy else 2, "log_steps": 4}
    chosen |= {"optimizer": "sgd", "learning_rate": 0.01, "sizes": [1.0]}
    chosen |= {"packed": size if size < 64 else size * 8 // 7} if "packed" in form else {}
    chosen |= {"compiled": True} if "compiled" in form else {}
    command += [word for name, value in chosen.items() for word in ("--set", f"{name}={value}")]
    command += ["--checkpointing"] * ("checkpointed" in form)
    long = ["--epochs", 100]  # that compiling may be worth a try
    short = ["--epochs", 1, "--limit", 4 * batch]
    return max(peak_of([*command, *long], stop=True), peak_of([*command, *short], stop=False))


def peak_of(command: list[Any], stop: bool) -> float:
    """Train to the end, or to the first line of metrics, and return the process's peak memory in bytes."""
    with tempfile.TemporaryDirectory() as folder:
        metrics = Path(folder, "run", "metrics.jsonl")
        process = subprocess.Popen([sys.executable, *map(str, command), "--out", str(metrics.parent)])
        while True:
            ended, status, used = os.wait4(process.pid, os.WNOHANG)
            if ended:
                break
            if stop and metrics.is_file() and metrics.stat().st_size:
                os.kill(process.pid, signal.SIGTERM)
                stop = False  # a second one would not let it end by itself
            time.sleep(0.5)
    process.returncode = os.waitstatus_to_exitcode(status)
    assert process.returncode in (0, 143)
    return used.ru_maxrss * 1024.0


def forms(options: argparse.Namespace) -> dict[str, tuple[str, ...]]:
    """Return the command of each form."""
    common: tuple[str, ...] = str(options.folder), "--network", options.network
    common += ("--busy",) * options.busy
    found: dict[str, tuple[str, ...]] = {
        f"textbook {form}": (str(HERE / "textbook.py"), *common, "--form", form) for form in PEERS
    }
    for form in ("residua", *options.also):
        found[form] = (__file__, *common, "--form", form)
    return found


def compare(options: argparse.Namespace) -> dict[str, Any]:
    """Let the forms take turns, and return what was seen of each."""
    running = {name: Process(*command) for name, command in forms(options).items()}
    workers = {name: [0] if options.busy or "textbook" not in name else WORKERS for name in running}
    for name, process in running.items():
        process.turn(3, workers[name])  # kernels, caches and threads
        process.turns.clear()
    for turn in range(options.rounds):
        order = list(running)
        for name in order[turn % len(order) :] + order[: turn % len(order)]:
            running[name].turn(options.steps, workers[name])
    for name, process in running.items():  # memory takes a while
        found = ", ".join(f"{seconds:.3g}" for seconds in process.seconds)
        print(f"{name}: {found} seconds an update", file=sys.stderr)
    for name, process in running.items():
        process.close()
        if "textbook" not in name and name not in UNREAD:
            process.memory = memory_of_command(options, name)
    return {name: row(process, running["textbook fp32"], options) for name, process in running.items()}


def row(process: Process, plain: Process, options: argparse.Namespace) -> dict[str, Any]:
    """Say how fast and how large a form is, and how many times as fast as the plain one, pair by pair."""
    low, middle, high = statistics.quantiles(
        [theirs / own for own, theirs in zip(process.seconds, plain.seconds, strict=True)], n=4
    )
    return {
        "images_per_second": BATCHES[options.network] / statistics.median(process.seconds),
        "ratio": middle,
        "quartiles": [low, high],
        "memory": process.memory,
        "memory_ratio": process.memory / plain.memory,
    }


def shares(rows: dict[str, dict[str, Any]], name: str, threads: int) -> None:
    """Add the share of the processor's peak to each row."""
    work = 3 * plan(spec(name)).multiply_adds
    peaks = {kind: peak(kind) for kind in {"fp32", PRECISION}}
    for form, found in rows.items():
        if top := peaks["fp32" if form == "textbook fp32" else PRECISION]:
            found["share_of_peak"] = work * found["images_per_second"] / (threads * top)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("folder", type=Path)
    parser.add_argument("--network", choices=SIZES, default="resnet50")
    parser.add_argument("--rounds", type=int, default=7)
    parser.add_argument("--steps", type=int, default=4, help="updates in a row")
    parser.add_argument(
        "--also", nargs="*", default=["same batch"], metavar="FORM", help="other forms of Residua"
    )
    parser.add_argument(
        "--busy", action="store_true", help="one thread, and processor time: others compute too"
    )
    parser.add_argument("--json", action="store_true")
    parser.add_argument("--form", help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.form:
        losses = residua(options)
        return answer(lambda _: next(losses), options.busy)
    rows = compare(options)
    shares(rows, options.network, 1 if options.busy else 2)
    if options.json:
        print(json.dumps(rows, indent=1))
        return None
    print(f"{options.network}, batch {BATCHES[options.network]}, {options.rounds} rounds of {options.steps};")
    print("times as fast as textbook fp32, memory and its share of textbook fp32's, share of the peak")
    for form, found in rows.items():
        low, high = found["quartiles"]
        print(
            f"{form:14} {found['images_per_second']:7.1f} images/s, {found['ratio']:5.2f} "
            f"({low:.2f} to {high:.2f}), {found['memory'] / 1e6:5.0f} MB ({found['memory_ratio']:.2f}), "
            f"{100 * found.get('share_of_peak', float('nan')):3.0f} %"
        )
    return None


if __name__ == "__main__":
    main()
