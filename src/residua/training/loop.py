"""The loop: every update of a training, from wherever it stands to its end."""

from __future__ import annotations

import time
from dataclasses import asdict
from itertools import islice
from typing import Any, Protocol

from residua import __version__
from residua.data.loading.loader import Batch
from residua.errors import UserError
from residua.judging.scores import Scores, judge
from residua.training import checkpoint
from residua.training.freezing import prepare
from residua.training.interruption import Interruption
from residua.training.loaders import Loaders
from residua.training.metrics import append_metrics
from residua.training.run import Run
from residua.training.scores import is_better, is_over
from residua.training.settings import Settings
from residua.training.state import State
from residua.training.update import DivergedError, Updater, precision
from residua.weights.metadata import Accuracy, ClassEntry, Metadata, Provenance
from residua.weights.modelfile import write_model

BEST, LAST = "best.safetensors", "last.safetensors"


class Watch(Protocol):
    """Whoever looks on: a terminal, a log, nobody."""

    def stepped(self, step: int, loss: float, pictures: int) -> None:
        """Hear of an update."""

    def passed(self, line: dict[str, Any]) -> None:
        """Hear of a pass over the pictures, as it stands in the metrics."""

    def say(self, sentence: str) -> None:
        """Hear of anything else."""


class StoppedError(UserError):
    """A training that was asked to stop: it is saved and can go on."""


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
        settings, counts = self.settings, self.counts
        while counts.step < settings.steps and not is_over(settings.recipe, counts.scores):
            epoch, start = divmod(counts.step, settings.epoch_steps)
            prepare(self.state.network, settings.recipe, epoch)
            self._began, self._before = time.monotonic(), counts.pictures
            saved = self._began
            batches = self.loaders.training(epoch).epoch(epoch, start)
            for batch in islice(batches, settings.steps - counts.step):
                self._step(batch, epoch)
                if self.asked.asked:
                    self._stop()
                if time.monotonic() - saved > 60 * settings.save_minutes:
                    self.save()
                    saved = time.monotonic()
            self._pass(epoch)
        self._write(LAST)

    def save(self) -> None:
        """Write a checkpoint."""
        checkpoint.save(self.run.state, self.counts.step, self.state.tensors(), self.state.facts())

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
            self._note(epoch, None)

    def _diverged(self, error: DivergedError) -> None:
        names = [self.loaders.data.names[place] for place in error.places]
        self.run.log(f"{error} Its pictures: {names}")
        if self.settings.on_nan == "stop":
            self.save()
            raise UserError(
                f"{error} Stopped and saved before it; {self.run.folder / 'log.txt'} names its pictures. "
                f"`residua train --resume {self.run.folder} --on-nan skip` goes on without such steps; "
                "a smaller learning rate may not need it."
            )
        self.watch.say(f"{error} Left out.")

    def _stop(self) -> None:
        self.save()
        raise StoppedError(
            f"stopped at step {self.counts.step} of {self.settings.steps} and saved: "
            f"`residua train --resume {self.run.folder}` goes on."
        )

    def _pass(self, epoch: int) -> None:
        """Judge after a pass over the pictures, keep the best, and save."""
        counts, recipe = self.counts, self.settings.recipe
        scores = self._judged()
        score = float(getattr(scores, recipe.metric))
        counts.scores.append(score)
        self.watch.passed(self._note(epoch, scores))
        if is_better(recipe, score, counts.best):
            counts.best, counts.best_step = score, counts.step
            self._write(BEST, scores)
        counts.loss, counts.pictures = 0.0, 0
        self.save()

    def _judged(self) -> Scores:
        network = self.state.judged.eval()

        def forward(pixels: Any) -> Any:
            with precision(self.settings):
                return network(pixels)

        return judge(forward, self.loaders.judging().epoch(0), self.settings.spec.num_classes)

    def _note(self, epoch: int, scores: Scores | None) -> dict[str, Any]:
        """Write a line of metrics; what was not judged is null in it."""
        counts = self.counts
        judged = asdict(scores) if scores else dict.fromkeys(("loss", "top1", "top5", "macro_f1"))
        judged.pop("samples", None)
        line = {
            "epoch": epoch + 1,
            "step": counts.step,
            "train_loss": counts.loss / max(1, counts.pictures),
            "lr": self.state.optimizer.param_groups[0]["lr"],
            "images_per_second": (counts.pictures - self._before) / (time.monotonic() - self._began),
            **{f"val_{name}": value for name, value in judged.items()},
        }
        counts.metrics_bytes = append_metrics(self.run.folder, line)
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
