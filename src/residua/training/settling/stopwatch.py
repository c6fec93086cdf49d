"""How long the parts of a training take on this machine: a few real updates on random pixels."""

from __future__ import annotations

import math
import statistics
import time
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass, replace
from pathlib import Path

import torch

from residua.data.dataset import Data
from residua.data.loading.loader import Batch, Loader
from residua.data.packing.paying import Verdict, pays
from residua.errors import UserError
from residua.nets.devices import in_precision
from residua.nets.memory import memory
from residua.nets.network import Network, Vgg
from residua.nets.plan import plan
from residua.training.pictures.loaders import Loaders, epoch_steps, training_places
from residua.training.pictures.packed import packed_channels
from residua.training.settings import Settings
from residua.training.settling.room import free_memory
from residua.training.updating.freezing import prepare
from residua.training.updating.state import State
from residua.training.updating.update import DivergedError, TooLargeError, Updater

PIXELS = 16 * 224 * 224  # in one update on a processor: as many tell what more of them take
PATIENCE = 3.0  # seconds after which two updates are enough
RATES = ("learning_rate", "vector_rate")
PICTURES = 32  # read to see how long one takes


class CompileError(UserError):
    """A network that cannot be compiled here, and why."""

    def __init__(self, reason: str) -> None:
        super().__init__(f"the network cannot be compiled here ({reason}): choose compiled=false.")
        self.reason = reason


@dataclass(frozen=True)
class Update:
    """Seconds of the first update, with whatever had to be prepared, and of later ones.

    To compare, `each` is the fastest: whatever else a machine does only slows down.
    """

    first: float
    each: float
    usual: float  # the median, while whatever else goes on does


class Stopwatch:
    """Measures a training that is yet to begin; nothing of it is touched."""

    def __init__(
        self,
        data: Data,
        folder: Path,
        make_network: Callable[[Settings], Network | Vgg],
        since: float | None = None,  # when the training was asked for, by the monotonic clock
    ) -> None:
        self.data, self.folder, self.make_network = data, folder, make_network
        self._since = time.monotonic() if since is None else since
        self._updates: dict[str, Update] = {}
        self._judging: dict[str, float] = {}
        self._reading: float | None = None

    def elapsed(self) -> float:
        """Return the seconds since the training was asked for."""
        return time.monotonic() - self._since

    def epoch_steps(self, settings: Settings) -> int:
        """Count the updates of a pass."""
        places = training_places(self.data, settings.picture_seed, settings.limit)
        return epoch_steps(self.data, places, settings.recipe)

    def held_out(self) -> int:
        """Count the pictures that are judged after each pass."""
        return len(self.data.places("val"))

    def update(self, settings: Settings) -> Update:
        """Time an update; more pictures than tell something new are reckoned, not computed."""
        key = f"{settings.precision} {settings.compiled} {settings.recipe.batch}"
        if key not in self._updates:
            self._updates[key] = self._update(settings)
        return self._updates[key]

    def fits(self, settings: Settings) -> bool:
        """Whether the activations of a batch fit into half of the memory that is free."""
        image = memory(plan(settings.spec, settings.preprocessing.size)).training
        return settings.recipe.batch * image < free_memory(settings.device) / 2

    def judging(self, settings: Settings) -> float:
        """Return the seconds that the network needs to judge a picture."""
        if settings.precision not in self._judging:
            self._judging[settings.precision] = self._judge(settings)
        return self._judging[settings.precision]

    def _judge(self, settings: Settings) -> float:
        batch = random_batch(settings, _pictures(settings))
        network = self.make_network(settings).eval()

        def forward() -> None:
            with torch.inference_mode(), in_precision(settings.precision, settings.device):
                network(batch.inputs()).sum().item()  # waits for the device

        return statistics.median(_times(forward)) / len(batch)

    def reading(self, settings: Settings) -> float:
        """Return the seconds in which one thread reads a training picture, augmented."""
        if self._reading is None:
            self._reading = self._read(settings)
        return self._reading

    def _read(self, settings: Settings) -> float:
        loaders = Loaders(self.data, replace(settings, workers=0))
        loader: Loader = loaders.training(0)
        loader.batch = max(1, min(PICTURES, len(loaders.training_places) // 2))
        batches = loader.epoch(0)
        next(batches)  # imports and tables
        start = time.perf_counter()
        count = len(next(batches, ()))
        return (time.perf_counter() - start) / max(1, count)

    def in_memory(self) -> bool:
        """Whether the pictures are decoded already."""
        return self.data.pictures.uniform is not None

    def packing(self, settings: Settings, epochs: int) -> Verdict:
        """Try whether packing the training pictures pays."""
        data = self.data.keep(Loaders(self.data, settings).training_places)
        return pays(data, settings.preprocessing.resize, epochs, self.folder, packed_channels(settings))

    def _update(self, settings: Settings) -> Update:
        pictures = _pictures(settings)
        batch = random_batch(settings, pictures)
        start = time.perf_counter()
        try:
            update = self._updater(settings)
            _updated(update, batch)
        except TooLargeError:
            raise
        except Exception as error:  # a compiler fails in too many ways to name them
            if not settings.compiled:
                raise
            raise CompileError(str(error).strip().partition("\n")[0]) from error
        first = time.perf_counter() - start
        times = _times(lambda: _updated(update, batch))
        scale, fixed = settings.recipe.batch / pictures, 0.0
        if scale > 1:  # a larger batch does not make the optimizer's part longer
            fixed = min(*_times(update.state.optimizer.step), *times)
        each, usual = (fixed + scale * (time - fixed) for time in (min(times), statistics.median(times)))
        return Update(first, each, usual)

    def _updater(self, settings: Settings) -> Updater:
        slow = {name: 1e-6 for name in RATES if getattr(settings.recipe, name)}
        recipe = settings.recipe.edit(**slow)  # random labels teach nothing, and break nothing
        state = State(self.make_network(settings), recipe)
        prepare(state.network, recipe, recipe.freeze)
        return Updater(state, replace(settings, recipe=recipe))


def _updated(update: Updater, batch: Batch) -> None:
    with suppress(DivergedError):  # on noise: a training may well go on, and the time is about the same
        update(batch, 0)


def random_batch(settings: Settings, pictures: int) -> Batch:
    """Make a batch of noise with labels."""
    rule, draw = settings.preprocessing, torch.Generator().manual_seed(0)
    shape = (pictures, len(rule.mean), rule.size, rule.size)
    pixels = torch.randint(0, 256, shape, dtype=torch.uint8, generator=draw)
    labels = torch.randint(0, settings.spec.num_classes, (pictures,), generator=draw)
    pixels = pixels.to(settings.device).contiguous(memory_format=torch.channels_last)
    return Batch(pixels, labels.to(settings.device), torch.arange(pictures), rule)


def _pictures(settings: Settings) -> int:
    batch, size = settings.recipe.batch, settings.preprocessing.size
    if settings.device != "cpu":
        return batch
    parts = settings.recipe.accumulate
    return min(batch, math.ceil(PIXELS / size**2 / parts) * parts)


def _times(work: Callable[[], object]) -> list[float]:
    """Time a few runs, the first of which is not counted."""
    work()
    times: list[float] = []
    while len(times) < 2 or (len(times) < 9 and sum(times) < PATIENCE):
        start = time.perf_counter()
        work()
        times.append(time.perf_counter() - start)
    return times
