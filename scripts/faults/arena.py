"""Runs to injure: begun by the product, trained once without a fault, and copied for each injection."""

from __future__ import annotations

import contextlib
import hashlib
import shutil
from collections.abc import Iterator, Mapping
from functools import cached_property
from itertools import count
from pathlib import Path
from typing import Any

from faults.outcome import WrongError, must
from faults.process import Ended, Trainer, resumed
from residua.data.sources.digits import write_folder
from residua.judging.runfiles import REPORT, SUMMARY, read_metrics
from residua.training.asking.configfile import write_config
from residua.training.keeping.checkpoint import newest, read
from residua.training.pictures.packed import NAME as PACKED
from residua.training.running import train
from residua.training.settings import Settings
from residua.training.telling.watching import Watch

SETTINGS: dict[str, Any] = {
    "model": "cifar_resnet20",
    "model.units": [1, 1, 1],
    "model.widths": [8, 8, 16],
    "model.stem_width": 8,
    "model.stochastic_depth": 0.3,
    "device": "cpu",
    "precision": "fp32",
    "workers": 1,
    "threads": 1,
    "batch": 16,
    "average": 0.9,
    "augmentation.crop_padding": 1,
    "augmentation.mixup": 0.2,
    "log_steps": 1,
}
NUMBERS = count(1)


class _BegunError(Exception):
    """All is written down, and no update made."""


class _Beginning(Watch):
    """Leaves a training where its updates begin."""

    def began(self, settings: Settings, step: int) -> None:  # noqa: ARG002 - as a watcher has it
        raise _BegunError


class Arena:
    """A run at its beginning, and what it comes to without a fault."""

    def __init__(
        self,
        base: Path,
        *,
        passes: int,
        pass_steps: int,
        minutes: float,
        data: str = "digits",
        settings: Mapping[str, Any] | None = None,
    ) -> None:
        self.base, self.data = base, data
        self.interval = 1 if minutes == 0 else pass_steps  # steps between two checkpoints
        number = next(NUMBERS)
        self.config = base / f"arena-{number}.yaml"
        length = {"epochs": passes, "limit": 16 * pass_steps, "save_minutes": minutes}
        write_config(self.config, {"data": data} | SETTINGS | length | dict(settings or {}))
        self.begun = base / f"begun-{number}"
        with contextlib.suppress(_BegunError):
            train(config=self.config, out=self.begun, watch=_Beginning())
        (self.begun / PACKED).unlink(missing_ok=True)  # whoever goes on packs again

    @cached_property
    def whole(self) -> Path:
        """The run at its end, without a fault."""
        folder = self.copy()
        ended = resumed(folder)
        must(ended.code == 0, f"the training does not even run without a fault: {ended.said}")
        return folder

    def starting(self, folder: Path) -> list[object]:
        """Return the command that begins such a run, as a user does."""
        return ["-m", "residua", "train", "-c", self.config, "--out", folder]

    def new(self) -> Path:
        """Return the name of a folder that is not there yet."""
        return self.base / f"run-{next(NUMBERS)}"

    def copy(self) -> Path:
        """Return a new run at its beginning."""
        folder = self.new()
        shutil.copytree(self.begun, folder)
        return folder

    @contextlib.contextmanager
    def run(self) -> Iterator[Path]:
        """Give a new run, which is removed at the end."""
        folder = self.copy()
        try:
            yield folder
        finally:
            shutil.rmtree(folder, ignore_errors=True)

    def same(self, folder: Path, ended: Ended | None = None) -> None:
        """Go on with a run to its end; it must come to what it would have come to without a fault."""
        if ended is None and {SUMMARY, REPORT} & names(self.whole) - names(folder):
            ended = resumed(folder)
        must(ended is None or ended.code == 0, f"it did not go on: {ended and ended.said[-500:]}")
        must(digest(folder) == digest(self.whole), "other weights, averages or optimizer state")
        must(metrics(folder) == metrics(self.whole), "other metrics")
        for name in ("best.safetensors", "last.safetensors"):
            same = (folder / name).read_bytes() == (self.whole / name).read_bytes()
            must(same, f"another {name}")
        extra = names(folder) - names(self.whole) - {"log.txt"}
        if ended is None:  # killed when all was done: the lock's file lies there until the run is opened
            extra -= {".lock"}
        must(not extra, f"stray files: {sorted(extra)}")

    def again(self, folder: Path) -> None:
        """Go on with a run, or begin it once more in its folder if it had not begun; it must end the same."""
        begun = (folder / "config.yaml").exists()
        self.same(folder, None if begun else Trainer(self.starting(folder)).wait())

    def intact(self, folder: Path) -> int:
        """After a fault a checkpoint must load, and at most one interval may be lost; return its step."""
        found = newest(folder / "state")
        if found is None:
            raise WrongError("no checkpoint, not even the first")
        must(not found.damaged, f"damaged checkpoints: {found.damaged}")
        read(found.path)
        done = max((line["step"] for line in metrics(folder)), default=0)
        lost = done - found.step
        must(lost <= self.interval, f"{lost} steps lost of {done}, saved every {self.interval}")
        return found.step


def digits_folder(base: Path) -> str:
    """Return a folder of the digits as PNGs, written once."""
    folder = base / "digits"
    if not folder.exists():
        write_folder(folder)
    return str(folder)


def digest(folder: Path) -> str:
    """SHA-256 of a run's newest checkpoint: of all its tensors, not of its counts of bytes."""
    found = newest(folder / "state")
    must(found is not None, "no checkpoint")
    total = hashlib.sha256()
    for name, tensor in sorted(read(found.path).items()) if found else ():
        total.update(name.encode() + tensor.numpy().tobytes())
    return total.hexdigest()


def metrics(folder: Path) -> list[dict[str, Any]]:
    """The lines of a run's metrics, less what depends on the clock."""
    if not (folder / "metrics.jsonl").exists():
        return []
    return [
        {name: value for name, value in line.items() if "per_second" not in name}
        for line in read_metrics(folder)
    ]


def names(folder: Path) -> set[str]:
    """Everything in a folder, by path."""
    return {str(path.relative_to(folder)) for path in folder.rglob("*")}
