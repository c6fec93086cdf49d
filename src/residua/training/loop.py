"""The loop: every update of a training, from wherever it stands to its end."""

from __future__ import annotations

import math
import time
from collections.abc import Generator, Iterator
from contextlib import closing
from dataclasses import asdict
from itertools import islice
from typing import Any

from torch import Tensor

from residua.data.facts import BadImageError
from residua.data.loading.loader import Batch
from residua.judging.figures.scores import Scores, judge
from residua.judging.runfiles import BEST, LAST, read_metrics
from residua.nets.devices import in_precision
from residua.training.keeping import checkpoint
from residua.training.keeping.interruption import Interruption
from residua.training.keeping.metrics import append_metrics
from residua.training.keeping.model import write_network
from residua.training.keeping.run import Run
from residua.training.pictures.loaders import Loaders
from residua.training.settings import Settings
from residua.training.telling.stopping import asked_to_stop, diverged, hopeless, picture_gone, spoiled
from residua.training.telling.watching import Watch
from residua.training.updating.freezing import prepare
from residua.training.updating.schedule import rate
from residua.training.updating.scores import is_better, is_over
from residua.training.updating.state import Counts, State
from residua.training.updating.update import DivergedError, Updater

HOPELESS = 100  # updates left out in a row, behind which none is expected that is not


class Training:
    """A run with its pictures and its state, at work."""

    def __init__(
        self, run: Run, loaders: Loaders, state: State, update: Updater, watch: Watch, asked: Interruption
    ) -> None:
        self.run, self.loaders, self.state, self.update = run, loaders, state, update
        self.watch, self.asked = watch, asked
        self.settings: Settings = loaders.settings

    @property
    def counts(self) -> Counts:
        """What was counted so far."""
        return self.state.counts

    def go(self) -> None:
        """Train to the end."""
        settings, recipe, state, counts = self.settings, self.settings.recipe, self.state, self.counts
        self._keep_best()
        while not self._is_over():
            epoch = len(counts.scores)  # a pass that was not judged is not over
            prepare(state.network, recipe, epoch)
            pace, saved = Pace(counts), time.monotonic()
            for batch in self._unless_asked(self._rest(epoch)):
                try:
                    loss = self.update(batch, epoch)  # forward, backward, check, step, average: or none of it
                except DivergedError as error:
                    self._leave_out(error)
                else:
                    counts.add(loss, len(batch))
                    self.watch.stepped(counts.step + 1, loss, len(batch))
                counts.step += 1
                if counts.step % settings.log_steps == 0:
                    self._note(epoch, pace.now())
                if time.monotonic() - saved > 60 * settings.save_minutes:
                    self.save()
                    saved = time.monotonic()
            self._check()
            reached, scores = pace.now(), self._judged()
            line = self._note(epoch, reached, scores)
            self.watch.passed(line)
            self.watch.judged(state.judged, line)
            score = float(getattr(scores, recipe.metric))
            if is_better(recipe, score, counts.best):
                counts.best, counts.best_step = score, counts.step
            counts.end_pass(score)
            self.save()
            self._keep_best()
        write_network(self.run.folder / LAST, state.judged, settings, self.loaders.data)

    def save(self) -> None:
        """Write a checkpoint."""
        self._check()
        checkpoint.save(self.run.state, self.counts.step, self.state.tensors(), self.state.facts())

    def _keep_best(self) -> None:
        """Write the best model, if it is what stands here: a kill before this is made good on resuming."""
        counts = self.counts
        if counts.best is not None and counts.best_step == counts.step:
            lines = read_metrics(self.run.folder)
            judged = [line for line in lines if line["step"] == counts.step and line["val_top1"] is not None]
            network, data = self.state.judged, self.loaders.data
            write_network(self.run.folder / BEST, network, self.settings, data, *judged[-1:])

    def stop_if_asked(self) -> None:
        """Save and stop if that was asked for."""
        if self.asked.asked:
            self.save()
            raise asked_to_stop(self.run.folder, self.counts.step, self.settings.steps, self.asked.exit_code)

    def _is_over(self) -> bool:
        settings, counts = self.settings, self.counts
        judged = len(counts.scores) * settings.epoch_steps
        given_up = counts.in_a_row >= HOPELESS and judged >= counts.step
        return judged >= settings.steps or given_up or is_over(settings.recipe, counts.scores)

    def _check(self) -> None:
        """Fail before anything is written that is no network any more."""
        if not self.state.is_finite():
            raise spoiled(self.run.folder, self.counts.step)

    def _rest(self, epoch: int) -> Generator[Batch]:
        """Yield what is left of a pass, as long as there is any use in it."""
        settings, counts = self.settings, self.counts
        start = counts.step - epoch * settings.epoch_steps
        count = min(settings.epoch_steps - start, settings.steps - counts.step)
        with closing(self.loaders.batches(epoch, start)) as batches:
            for batch in islice(batches, count):
                if counts.in_a_row >= HOPELESS:
                    return
                yield batch

    def _unless_asked(self, batches: Generator[Batch]) -> Iterator[Batch]:
        """Yield batches; between two of them, save and stop if that was asked for, or a picture is gone."""
        with closing(batches):
            self.stop_if_asked()
            try:
                for batch in batches:
                    yield batch
                    self.stop_if_asked()
            except BadImageError as error:
                self.save()
                raise picture_gone(self.run.folder, self.counts.step, error) from None

    def _leave_out(self, error: DivergedError) -> None:
        """Leave an update out, or stop before it."""
        names = [self.loaders.data.names[place] for place in error.places]
        pictures = f"Its pictures: {names}"
        if self.settings.on_nan == "stop":
            self.run.log(f"{error} {pictures}")
            self.save()
            raise diverged(self.run.folder, error)
        self.counts.skipped += 1
        self.counts.in_a_row += 1
        self.watch.say(f"{error} Left out.")
        self.run.log(pictures)
        self.watch.left_out(self.counts.step + 1)
        if self.counts.in_a_row == HOPELESS:
            self.watch.say(hopeless(HOPELESS, self.counts.step + 1, self.settings.steps))

    def _judged(self) -> Scores:
        network = self.state.judged.eval()

        def forward(pixels: Tensor) -> Tensor:
            with in_precision(self.settings.precision, self.settings.device):
                logits: Tensor = network(pixels)
            return logits

        batches = self._unless_asked(self.loaders.judging.epoch(0))
        return judge(forward, batches, self.settings.spec.num_classes)

    def _note(self, epoch: int, pace: float, scores: Scores | None = None) -> dict[str, Any]:
        """Write a line of metrics; what was not judged is null in it."""
        counts, recipe, steps = self.counts, self.settings.recipe, self.settings.steps
        judged = asdict(scores) if scores else dict.fromkeys(("loss", "top1", "top5", "macro_f1"))
        judged.pop("samples", None)
        line = {
            "epoch": epoch + 1,
            "step": counts.step,
            "train_loss": counts.loss / counts.pictures if counts.pictures else math.nan,
            "lr": recipe.learning_rate * rate(recipe, counts.step - 1, steps, counts.scores[:epoch]),
            "images_per_second": pace,
            **{f"val_{name}": value for name, value in judged.items()},
        }
        counts.metrics_bytes = append_metrics(self.run.folder, line)
        self.watch.noted(line)
        return line


class Pace:
    """Pictures a second in a pass, as far as this process makes it."""

    def __init__(self, counts: Counts) -> None:
        self.counts, self.before, self.began = counts, counts.pictures, time.monotonic()

    def now(self) -> float:
        """Return it up to now; NaN where another process saw all pictures."""
        seen = self.counts.pictures - self.before
        return seen / max(1e-9, time.monotonic() - self.began) if seen else math.nan
