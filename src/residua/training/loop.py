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

from residua import __version__
from residua.data.facts import BadImageError
from residua.data.loading.loader import Batch
from residua.errors import UserError
from residua.judging.figures.scores import Scores, judge
from residua.judging.runfiles import BEST, LAST, LOG
from residua.nets.devices import in_precision
from residua.training.keeping import checkpoint
from residua.training.keeping.interruption import Interruption
from residua.training.keeping.metrics import append_metrics
from residua.training.keeping.run import Run
from residua.training.pictures.loaders import Loaders
from residua.training.settings import Settings
from residua.training.telling.watching import Watch as Watch
from residua.training.updating.freezing import prepare
from residua.training.updating.schedule import rate
from residua.training.updating.scores import is_better, is_over
from residua.training.updating.state import State
from residua.training.updating.update import DivergedError, Updater
from residua.weights.metadata import Accuracy, ClassEntry, Metadata, Provenance
from residua.weights.modelfile import write_model


class StoppedError(UserError):
    """A training that was asked to stop: it is saved and can go on."""

    def __init__(self, message: str, exit_code: int) -> None:
        super().__init__(message)
        self.exit_code = exit_code


class Training:
    """A run with its pictures and its state, at work."""

    def __init__(
        self, run: Run, loaders: Loaders, state: State, update: Updater, watch: Watch, asked: Interruption
    ) -> None:
        self.run, self.loaders, self.state, self.update = run, loaders, state, update
        self.watch, self.asked = watch, asked
        self.settings: Settings = loaders.settings
        self.counts = state.counts

    def go(self) -> None:
        """Train to the end."""
        try:
            while not self._is_over():
                epoch = len(self.counts.scores)  # a pass that was not judged is not over
                self._updates(epoch)
                self._pass(epoch)
        except BadImageError as error:
            self.save()
            raise UserError(
                f"{error} Stopped at step {self.counts.step} and saved: put the picture back as it was, and "
                f"{self._resuming} goes on."
            ) from None
        self._write(LAST)

    def save(self) -> None:
        """Write a checkpoint."""
        self._check()
        checkpoint.save(self.run.state, self.counts.step, self.state.tensors(), self.state.facts())

    @property
    def _resuming(self) -> str:
        return f"`residua train --resume {self.run.folder}`"

    def _is_over(self) -> bool:
        settings, scores = self.settings, self.counts.scores
        return len(scores) * settings.epoch_steps >= settings.steps or is_over(settings.recipe, scores)

    def _check(self) -> None:
        """Fail before anything is written that is no network any more."""
        if not self.state.is_finite():
            raise UserError(
                f"the weights are not finite after step {self.counts.step}: they were not saved. Begin again "
                f"with a smaller learning rate; what was saved before is in {self.run.folder}."
            )

    def _updates(self, epoch: int) -> None:
        """Make the updates of a pass, from wherever it stands."""
        settings, counts = self.settings, self.counts
        prepare(self.state.network, settings.recipe, epoch)
        self._began, self._before = time.monotonic(), counts.pictures
        saved = self._began
        start = counts.step - epoch * settings.epoch_steps
        count = min(settings.epoch_steps - start, settings.steps - counts.step)
        for batch in self._unless_asked(self.loaders.training(epoch).epoch(epoch, start), count):
            self._step(batch, epoch)
            if time.monotonic() - saved > 60 * settings.save_minutes:
                self.save()
                saved = time.monotonic()

    def _unless_asked(self, batches: Generator[Batch], count: int | None = None) -> Iterator[Batch]:
        """Yield so many batches; between two of them, save and stop if that was asked for."""
        with closing(batches):
            self.stop_if_asked()
            for batch in islice(batches, count):
                yield batch
                self.stop_if_asked()

    def _step(self, batch: Batch, epoch: int) -> None:
        """Make an update; one that would spoil the network is left out, or ends the training before it."""
        counts = self.counts
        try:
            loss = self.update(batch, epoch)
        except DivergedError as error:
            self._diverged(error)
            counts.skipped += 1
        else:
            counts.loss += loss * len(batch)
            counts.pictures += len(batch)
            self.watch.stepped(counts.step + 1, loss, len(batch))
        counts.step += 1
        if counts.step % self.settings.log_steps == 0:
            self._note(epoch, self._pace())

    def _diverged(self, error: DivergedError) -> None:
        names = [self.loaders.data.names[place] for place in error.places]
        self.run.log(f"{error} Its pictures: {names}")
        if self.settings.on_nan == "stop":
            self.save()
            raise UserError(
                f"{error} Stopped and saved before it; {self.run.folder / LOG} names its pictures. "
                f"{self._resuming[:-1]} --on-nan skip` goes on without such steps; "
                "a smaller learning rate may not need it."
            )
        self.watch.say(f"{error} Left out.")

    def stop_if_asked(self) -> None:
        """Save and stop if that was asked for."""
        if self.asked.asked:
            self.save()
            raise StoppedError(
                f"stopped at step {self.counts.step} of {self.settings.steps} and saved: "
                f"{self._resuming} goes on.",
                self.asked.exit_code,
            )

    def _pass(self, epoch: int) -> None:
        """Judge after a pass over the pictures, keep the best, and save."""
        counts, recipe = self.counts, self.settings.recipe
        self._check()
        pace = self._pace()
        scores = self._judged()
        score = float(getattr(scores, recipe.metric))
        counts.scores.append(score)
        line = self._note(epoch, pace, scores)
        self.watch.passed(line)
        self.watch.judged(self.state.judged, line)
        if is_better(recipe, score, counts.best):
            counts.best, counts.best_step = score, counts.step
            self._write(BEST, scores)
        counts.loss, counts.pictures = 0.0, 0
        self.save()

    def _judged(self) -> Scores:
        network = self.state.judged.eval()

        def forward(pixels: Tensor) -> Tensor:
            with in_precision(self.settings.precision, self.settings.device):
                logits: Tensor = network(pixels)
            return logits

        batches = self._unless_asked(self.loaders.judging().epoch(0))
        return judge(forward, batches, self.settings.spec.num_classes)

    def _pace(self) -> float:
        """Pictures a second in this pass so far, as far as this process made it."""
        return (self.counts.pictures - self._before) / max(1e-9, time.monotonic() - self._began)

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

    def _write(self, name: str, scores: Scores | None = None) -> None:
        """Write the network as a model file."""
        settings, data = self.settings, self.loaders.data
        accuracy = scores and Accuracy(
            top1=scores.top1, top5=scores.top5, data=f"val of {data.where}", measured_by="residua train"
        )
        metadata = Metadata(
            spec=settings.spec,
            classes=tuple(ClassEntry(id=each, name=each) for each in data.classes),
            preprocessing=settings.preprocessing,
            provenance=Provenance(
                source=settings.weights, recipe=settings.recipe.name, software=f"residua {__version__}"
            ),
            accuracy=accuracy or None,
        )
        write_model(self.run.folder / name, self.state.judged.state_dict(), metadata)
