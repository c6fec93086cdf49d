"""Beginning a training, and going on with one: from what was asked for to a run at work."""

from __future__ import annotations

import contextlib
import signal
from collections.abc import Iterator
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import torch

from residua.data.checking.checked import check, write_bad_images
from residua.data.checking.findings import in_short
from residua.data.checking.overview import Overview, overview
from residua.data.dataset import Data
from residua.data.sources.recognition import open_data
from residua.data.splitting import write_split
from residua.errors import UserError
from residua.judging.runfiles import BAD, CLASSES, DATA, METRICS, SPLIT, SUMMARY
from residua.nets.devices import device_named
from residua.nets.initialization import seeded
from residua.nets.network import Network, Vgg, build_network
from residua.nets.plan import plan
from residua.training.asking.wanted import Wanted
from residua.training.keeping import checkpoint
from residua.training.keeping.interruption import Interruption, interruptible
from residua.training.keeping.metrics import cut_metrics
from residua.training.keeping.run import Run
from residua.training.loop import Training
from residua.training.pictures.loaders import Loaders
from residua.training.pictures.originals import as_they_were, remember
from residua.training.pictures.packed import packed
from residua.training.pictures.reopening import same_pictures
from residua.training.settings import Settings
from residua.training.settling.attempt import attempt
from residua.training.settling.beginnings import Beginning
from residua.training.settling.choices import choices
from residua.training.settling.choosing import Pictures, begin_from, check_names, choose
from residua.training.settling.measuring import Unsettled, measured
from residua.training.settling.stopwatch import Stopwatch
from residua.training.telling.endings import finish, show
from residua.training.telling.logged import Log
from residua.training.telling.stopping import StoppedError
from residua.training.telling.tensorboard import board
from residua.training.telling.watching import Choices, Several, Watch
from residua.training.updating.allocation import kept_memory
from residua.training.updating.losses import balanced_weights
from residua.training.updating.state import State
from residua.training.updating.update import Updater
from residua.weights.download import show_progress


@dataclass(frozen=True)
class Settled:
    """A training of which nothing is open any more."""

    found: Overview
    data: Data
    beginning: Beginning
    settings: Settings
    choices: Choices


def settle(wanted: Wanted, watch: Watch, folder: Path) -> Settled:
    """Check the pictures, choose and measure; `folder` is where a run would lie."""
    check_names(wanted)
    opened = open_data(wanted.data, root=wanted.root, progress=show_progress)
    checked = check(opened, remembered=True, progress=watch.checked)
    found = overview(checked, val=wanted.val, seed=wanted.picture_seed, max_bad=wanted.max_bad)
    if found.training is None:
        raise UserError(str(found.unusable))
    data = found.training
    if not len(data.places("val")):
        raise UserError(
            f"{wanted.data!r} has no pictures to judge by: ask for a share with --val, or name a folder val."
        )
    pictures = Pictures(data, int(min(values["median"] for values in found.sizes.values())), found.gray)
    beginning = begin_from(wanted, pictures)
    settings = choose(wanted, pictures, beginning)
    with _computing(settings):
        attempt(settings, data, lambda chosen: _network(chosen, beginning))
        stopwatch = Stopwatch(data, folder, _network, wanted.since)
        if settings.compiled:  # by name: whether it can be
            stopwatch.update(settings)
        settings, sentences = measured(settings, _unsettled(wanted), stopwatch)
    said = choices(wanted, settings, found, beginning, sentences)
    return Settled(found, data, beginning, settings, said)


def begin(run: Run, wanted: Wanted, watch: Watch) -> None:
    """Settle everything, write it down, and train."""
    settled = settle(wanted, watch, run.folder)
    watch = Several(Log(run), watch)
    watch.chose([*settled.choices, ("run", str(run.folder))])
    write_split(run.folder / SPLIT, settled.data)
    write_bad_images(run.folder / BAD, settled.found.checked)
    run.write_json(CLASSES, list(settled.data.classes))
    run.write_json(DATA, in_short(settled.found))
    state = State(_network(settled.settings, settled.beginning), settled.settings.recipe)
    checkpoint.save(run.state, 0, state.tensors(), state.facts())  # weights from elsewhere may go
    remember(run.state, settled.found.checked)
    run.begin(settled.settings.to_dict())
    _work(run, settled.data, settled.settings, watch)


def resume(run: Run, watch: Watch, **others: str | None) -> None:
    """Go on with a run, exactly where its newest whole checkpoint stands; some settings may be others."""
    if run.complete:
        raise UserError(f"{run.folder} is finished: there is nothing to resume.")
    before = run.settings()
    settings = Settings.from_dict(
        before | {name: value for name, value in others.items() if value is not None}
    )
    watch = Several(Log(run), watch)
    if run.finished:
        return _report(run, settings, watch)
    settings = replace(settings, device=device_named(settings.device))
    changes = run.elsewhere() + run.edited(settings.to_dict())
    if settings.on_nan != before.get("on_nan"):
        run.write_settings(before | {"on_nan": settings.on_nan})
    if changes:
        watch.say(f"The end may not be the same to the bit, for {', '.join(changes)}.")
    return _work(run, same_pictures(run, settings), settings, watch)


def _report(run: Run, settings: Settings, watch: Watch) -> None:
    """Write the report within which a run was killed, of its files alone where its pictures are gone."""
    try:
        data = same_pictures(run, settings)
    except UserError as error:
        data = None
        watch.say(f"{error} The report shows no pictures.")
    _show(run, settings, data, run.read_json(SUMMARY), watch)


def _unsettled(wanted: Wanted) -> Unsettled:
    """Say what nobody asked for by name."""
    return Unsettled(
        precision=wanted.precision == "auto",
        batch=wanted.batch == "auto",
        compiled="compiled" not in wanted.changes,
        workers=wanted.workers is None,
        packed="packed" not in wanted.changes,
        named=frozenset(wanted.changes),
        minutes=wanted.time,
    )


def _work(run: Run, data: Data, settings: Settings, watch: Watch) -> None:
    with _computing(settings):
        loaders = _loaders(run, data, settings, watch)  # packing ends at once
        summary, code = _trained(run, loaders, settings, watch)
        _show(run, settings, loaders.data, summary, watch, code)


def _show(
    run: Run, settings: Settings, data: Data | None, summary: dict[str, Any], watch: Watch, code: int = 0
) -> None:
    """Show what a run came to, unless it is to end with this exit code."""
    page = f", but `residua report {run.folder}` has to write its page" * settings.report
    with _at_once(f"the run is over{page}."):
        if code:
            raise SystemExit(code)
        show(run, settings, data, summary, watch)


def _trained(run: Run, loaders: Loaders, settings: Settings, watch: Watch) -> tuple[dict[str, Any], int]:
    """Train to the end; return what it came to, and how to exit if an end was asked for too late."""
    with contextlib.ExitStack() as held:
        training = prepared(run, loaders, watch, held.enter_context(interruptible()))
        counts, asked = training.counts, training.asked
        if settings.tensorboard:
            training.watch = watch = Several(held.enter_context(board(run.folder, counts.step)), watch)
        watch.began(settings, counts.step)
        training.go()
        summary = finish(run, settings, loaders.data, counts, watch, training.stop_if_asked)
    return summary, asked.exit_code


def prepared(run: Run, loaders: Loaders, watch: Watch, asked: Interruption) -> Training:
    """Put a training together that stands where its run's newest checkpoint does."""
    settings = loaders.settings
    state = State(_network(settings), settings.recipe)
    _restore(run, state, watch)
    update = Updater(state, settings, _class_weights(loaders))
    return Training(run, loaders, state, update, watch, asked)


@contextlib.contextmanager
def _at_once(message: str) -> Iterator[None]:
    """Let Ctrl-C and SIGTERM end what loses nothing, and say what is left to do."""
    try:
        yield
    except (KeyboardInterrupt, SystemExit) as end:  # the latter is what a command makes of SIGTERM
        code = end.code if isinstance(end, SystemExit) else 128 + signal.SIGINT
        raise StoppedError(message, int(code or 0)) from None


def _network(settings: Settings, beginning: Beginning | None = None) -> Network | Vgg:
    """Build the network that the settings describe; its random start depends on the seed alone."""
    with seeded(settings.seed):
        network = build_network(plan(settings.spec))
    if beginning and beginning.state:
        _load(network, beginning)
    network.checkpointing = settings.checkpointing
    layout = torch.channels_last if settings.channels_last else torch.contiguous_format
    network.to(settings.device)
    network.to(memory_format=layout)  # type: ignore[call-overload] # PyTorch's own types lack it
    return network


def _load(network: Network | Vgg, beginning: Beginning) -> None:
    try:
        network.load_state_dict(beginning.state or {})
    except RuntimeError as error:
        reason = str(error).splitlines()[1].strip()
        raise UserError(f"the weights of {beginning.source} do not fit the network: {reason}") from None


def _loaders(run: Run, data: Data, settings: Settings, watch: Watch) -> Loaders:
    loaders = Loaders(as_they_were(run.state, data, watch.say), settings)
    if settings.packed is None:
        return loaders
    with _at_once(f"stopped while packing: `residua train --resume {run.folder}` goes on."):
        stored = packed(run.folder, loaders.data, loaders.training_places, settings, watch.say)
    return Loaders(loaders.data, settings, stored)


def _restore(run: Run, state: State, watch: Watch) -> None:
    found = checkpoint.newest(run.state)
    if found is None:
        raise UserError(f"{run.folder} has no checkpoint any more, so it cannot go on: begin a new run.")
    for sentence in found.damaged:
        watch.say(f"{sentence} Going back to step {found.step}.")
    state.restore(found)
    if not cut_metrics(run.folder, state.counts.metrics_bytes):
        watch.say(f"{run.folder / METRICS} lacks lines that were written before step {found.step}.")
    if found.step:
        watch.say(f"going on from step {found.step}.")


def _class_weights(loaders: Loaders) -> torch.Tensor | None:
    if loaders.settings.recipe.class_weights == "none":
        return None
    labels = torch.from_numpy(loaders.data.labels[loaders.training_places].astype("int64"))
    return balanced_weights(labels, loaders.settings.spec.num_classes).to(loaders.settings.device)


@contextlib.contextmanager
def _computing(settings: Settings) -> Iterator[None]:
    """Compute with so many threads, on which the last bits of a sum depend, and as exactly as was asked."""
    threads, exactly = torch.get_num_threads(), torch.are_deterministic_algorithms_enabled()
    torch.set_num_threads(settings.threads)
    torch.use_deterministic_algorithms(settings.deterministic or exactly)
    try:
        with kept_memory(), _unfilled(), _fastest_convolutions(settings):
            yield
    finally:
        torch.use_deterministic_algorithms(exactly)
        torch.set_num_threads(threads)


@contextlib.contextmanager
def _unfilled() -> Iterator[None]:
    """Write nothing into new memory, as exact computing else does: here none is read before it is written."""
    exactness: Any = torch.utils.deterministic
    before = exactness.fill_uninitialized_memory
    exactness.fill_uninitialized_memory = False
    try:
        yield
    finally:
        exactness.fill_uninitialized_memory = before


@contextlib.contextmanager
def _fastest_convolutions(settings: Settings) -> Iterator[None]:
    """Let cuDNN try its algorithms on each size of a batch, of which a training has few."""
    before = torch.backends.cudnn.benchmark
    torch.backends.cudnn.benchmark = settings.device != "cpu" and not settings.deterministic
    try:
        yield
    finally:
        torch.backends.cudnn.benchmark = before
