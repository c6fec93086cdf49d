"""Runs to injure: prepared once, trained once without a fault, and copied for each injection."""

from __future__ import annotations

import hashlib
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from itertools import count
from pathlib import Path
from typing import Any

from faults.outcome import must
from faults.process import Ended, resumed
from residua.data.augmentation import Augmentation
from residua.data.sources.recognition import open_data
from residua.data.splitting import split, write_split
from residua.judging.runfiles import read_metrics
from residua.nets.zoo import spec
from residua.training.keeping.checkpoint import newest, read
from residua.training.keeping.run import Run
from residua.training.recipes import Recipe
from residua.training.settings import Settings
from residua.weights.metadata import Preprocessing

SIZES = {"units": (1, 1, 1), "widths": (8, 8, 16), "stem_width": 8, "stochastic_depth": 0.3}
AUGMENTATION = Augmentation(crop_padding=1, mixup=0.2)
RULE = Preprocessing(size=8, resize=8, channels="gray", mean=(0.3,), std=(0.4,))
NUMBERS = count(1)


class Arena:
    """A run at its beginning, and what it comes to without a fault."""

    def __init__(
        self, base: Path, *, passes: int, pass_steps: int, minutes: float, data: str = "digits"
    ) -> None:
        self.base, self.data = base, data
        self.interval = 1 if minutes == 0 else pass_steps  # steps between two checkpoints
        self.begun = base / f"begun-{next(NUMBERS)}"
        with Run.create_at(self.begun) as run:
            self._begin(run, passes, pass_steps, minutes)
        self.whole = self.copy()
        ended = resumed(self.whole)
        must(ended.code == 0, f"the training does not even run without a fault: {ended.said}")
        self.digest = digest(self.whole)

    def _begin(self, run: Run, passes: int, pass_steps: int, minutes: float) -> None:
        pictures = open_data(self.data)
        write_split(run.folder / "split.csv", split(pictures, val=0.1, seed=0))
        run.write_json("classes.json", list(pictures.classes))
        settings = Settings(
            data=self.data,
            limit=16 * pass_steps,
            spec=spec("cifar_resnet20", num_classes=10, in_channels=1, input_size=8, **SIZES),
            preprocessing=RULE,
            recipe=Recipe(epochs=passes, batch=16, average=0.9, augmentation=AUGMENTATION),
            steps=passes * pass_steps,
            epoch_steps=pass_steps,
            log_steps=1,
            save_minutes=minutes,
        )
        run.begin(settings.to_dict())

    def copy(self) -> Path:
        """Return a new run at its beginning."""
        folder = self.base / f"run-{next(NUMBERS)}"
        shutil.copytree(self.begun, folder)
        return folder

    @contextmanager
    def run(self) -> Iterator[Path]:
        """Give a new run, which is removed at the end."""
        folder = self.copy()
        try:
            yield folder
        finally:
            shutil.rmtree(folder, ignore_errors=True)

    def same(self, folder: Path, ended: Ended | None = None) -> None:
        """Go on with a run to its end; it must come to what it would have come to without a fault."""
        if ended is None and not (folder / "summary.json").exists():
            ended = resumed(folder)
        must(ended is None or ended.code == 0, f"it did not go on: {ended and ended.said[-500:]}")
        must(digest(folder) == self.digest, "other weights, averages or optimizer state")
        must(metrics(folder) == metrics(self.whole), "other metrics")
        for name in ("best.safetensors", "last.safetensors"):
            same = (folder / name).read_bytes() == (self.whole / name).read_bytes()
            must(same, f"another {name}")
        extra = names(folder) - names(self.whole) - {"log.txt"}
        if ended is None:  # killed when all was done: the lock's file lies there until the run is opened
            extra -= {".lock"}
        must(not extra, f"stray files: {sorted(extra)}")

    def intact(self, folder: Path) -> int:
        """After a fault a checkpoint must load, and at most one interval may be lost; return its step."""
        found = newest(folder / "state")
        step = 0 if found is None else found.step
        must(found is None or not found.damaged, f"damaged checkpoints: {found and found.damaged}")
        if found is not None:
            read(found.path)
        done = max((line["step"] for line in metrics(folder)), default=0)
        must(done - step <= self.interval, f"{done - step} steps lost of {done}, saved every {self.interval}")
        return step


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
