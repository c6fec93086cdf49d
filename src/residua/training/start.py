"""Beginning a training, and going on with one: from what was asked for to a run at work."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import torch

from residua.data.checking.checked import check, write_bad_images
from residua.data.checking.overview import Overview, overview
from residua.data.dataset import Data
from residua.data.sources.recognition import open_data
from residua.data.sources.table import read_rows
from residua.data.splitting import apply_split, write_split
from residua.errors import UserError
from residua.nets.network import Network, Vgg
from residua.training import checkpoint
from residua.training.choosing import Pictures, Wanted, choose
from residua.training.interruption import interruptible
from residua.training.loaders import Loaders
from residua.training.loop import Training, Watch
from residua.training.losses import balanced_weights
from residua.training.metrics import cut_metrics
from residua.training.run import Run
from residua.training.settings import Settings
from residua.training.state import State
from residua.training.update import Updater
from residua.weights.create import create

SPLIT, BAD, CLASSES = "split.csv", "bad_images.csv", "classes.json"


def begin(run: Run, wanted: Wanted, watch: Watch) -> None:
    """Check the pictures, settle everything, write it down, and train."""
    found = overview(
        check(open_data(wanted.data, root=wanted.root), remembered=True),
        val=wanted.val,
        seed=wanted.seed,
        max_bad=wanted.max_bad,
    )
    if found.training is None:
        raise UserError(str(found.unusable))
    settings = choose(wanted, _pictures(found, found.training))
    write_split(run.folder / SPLIT, found.training)
    write_bad_images(run.folder / BAD, found.checked)
    run.write_json(CLASSES, list(found.training.classes))
    run.begin(settings.to_dict())
    _work(run, found.training, settings, watch)


def resume(run: Run, watch: Watch, on_nan: str | None = None) -> None:
    """Go on with a run, exactly where its newest whole checkpoint stands."""
    written = run.settings()
    settings = Settings.from_dict(written | ({"on_nan": on_nan} if on_nan else {}))
    if run.finished:
        raise UserError(f"{run.folder} is finished: there is nothing to resume.")
    _work(run, _same_pictures(run, settings), settings, watch)


def _pictures(found: Overview, training: Data) -> Pictures:
    side = int(min(values["median"] for values in found.sizes.values()))
    return Pictures(training, side, found.gray)


def _same_pictures(run: Run, settings: Settings) -> Data:
    """Open the pictures of the run's split, in its order; one that is gone is an error."""
    data = open_data(settings.data, root=settings.root)
    place_of = {name: place for place, name in enumerate(data.names)}
    split = run.folder / SPLIT
    names = [row["path"] for row in read_rows(split, ("path", "label", "split"), ("group",))]
    if gone := [name for name in names if name not in place_of]:
        raise UserError(
            f"{len(gone)} pictures of {run.folder} are gone from {settings.data!r}, "
            f"the first is {gone[0]!r}: put them back to resume."
        )
    import numpy as np

    return apply_split(data.keep(np.array([place_of[name] for name in names], np.int64)), split)


def _work(run: Run, data: Data, settings: Settings, watch: Watch) -> None:
    with _threads(settings.threads), interruptible() as asked:
        state = State(_network(settings), settings.recipe)
        _restore(run, state, watch)
        loaders = Loaders(data, settings)
        update = Updater(state, settings, _class_weights(loaders))
        training = Training(run, loaders, state, update, watch, asked)
        training.go()
        run.finish(_summary(training))


def _network(settings: Settings) -> Network | Vgg:
    """Build the network that the settings describe; its random start depends on the seed alone."""
    weights = None if settings.weights == "none" else settings.weights
    with torch.random.fork_rng(()):
        torch.manual_seed(settings.seed)
        network = create(settings.spec, weights=weights)
    network.checkpointing = settings.checkpointing
    layout = torch.channels_last if settings.channels_last else torch.contiguous_format
    network.to(settings.device)
    network.to(memory_format=layout)  # type: ignore[call-overload] # PyTorch's own types lack it
    return network


def _restore(run: Run, state: State, watch: Watch) -> None:
    found = checkpoint.newest(run.state)
    if found is None:
        cut_metrics(run.folder, 0)
        return
    for sentence in found.damaged:
        watch.say(f"{sentence} Going back to step {found.step}.")
    tensors = checkpoint.read(found.path)
    state.restore(tensors, found.facts)
    cut_metrics(run.folder, state.counts.metrics_bytes)
    watch.say(f"going on from step {found.step}.")


def _class_weights(loaders: Loaders) -> torch.Tensor | None:
    if loaders.settings.recipe.class_weights == "none":
        return None
    labels = torch.from_numpy(loaders.data.labels[loaders.training_places].astype("int64"))
    return balanced_weights(labels, loaders.settings.spec.num_classes).to(loaders.settings.device)


def _summary(training: Training) -> dict[str, Any]:
    counts = training.counts
    return {
        "steps": counts.step,
        "metric": training.settings.recipe.metric,
        "best": counts.best,
        "best_step": counts.best_step,
        "last": counts.scores[-1] if counts.scores else None,
        "skipped": counts.skipped,
    }


@contextmanager
def _threads(count: int) -> Iterator[None]:
    """Compute with so many threads, on which the last bits of a sum depend."""
    before = torch.get_num_threads()
    torch.set_num_threads(count)
    try:
        yield
    finally:
        torch.set_num_threads(before)
