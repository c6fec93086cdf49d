"""A training that is stopped anywhere ends as if it had not been; what is not finite is never kept."""

import contextlib
import itertools
import math
import random
import signal
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from PIL import Image
from torch import Tensor

from residua.data.dataset import Data
from residua.data.pictures import Files
from residua.errors import UserError
from residua.judging.runfiles import BEST, LAST, read_metrics
from residua.nets.network import Network, Vgg
from residua.training import loop
from residua.training.keeping.checkpoint import newest
from residua.training.keeping.run import Run
from residua.training.loop import Training
from residua.training.settings import Settings
from residua.training.telling.stopping import StoppedError
from residua.training.telling.watching import Several, Watch, in_words
from residua.weights.modelfile import inspect
from residua.weights.tensorfile import read_tensors
from training.tiny import (
    Asking,
    digits,
    facts,
    in_pieces,
    lines,
    opened,
    poisoned,
    same,
    settings,
    to_the_end,
    training,
)

RECIPES: dict[str, dict[str, Any]] = {
    "sgd": {},
    "adamw": {"optimizer": "adamw", "learning_rate": 1e-3, "layer_decay": 0.7},
    "muon": {"optimizer": "muon"},
    "average": {"average": 0.9},
    "mixup": {"augmentation": {"mixup": 0.4, "flip": "alternating", "crop_padding": 1}},
    "parts": {"accumulate": 3, "clip": 0.5},
    "sizes": {"sizes": (0.5, 1.0)},
    "frozen first": {"freeze": 1, "optimizer": "adamw", "learning_rate": 1e-3},
    "plateau": {"schedule": "plateau", "plateau": 1, "metric": "loss", "learning_rate": 2.0},
    "patience": {"patience": 1, "learning_rate": 1e-9},
    "balanced": {"sampling": "balanced"},
    "an end within a pass": {"steps": 10, "epochs": None},
}
NETWORKS: dict[str, dict[str, Any]] = {
    "stochastic depth": {"stochastic_depth": 0.5},
    "dropout": {"shortcut": "dropout"},
    "exact statistics": {"norm_momentum": "exact"},
}
VARIANTS = {name: settings(**recipe) for name, recipe in RECIPES.items()}
VARIANTS |= {name: settings(network) for name, network in NETWORKS.items()}
VARIANTS["bf16"] = replace(settings(), precision="bf16")


def length(chosen: Settings) -> Settings:
    steps = 3 if chosen.recipe.sampling == "balanced" else 4
    return replace(chosen, steps=chosen.recipe.steps or 3 * steps, epoch_steps=steps)


@pytest.mark.parametrize("variant", VARIANTS)
def test_stopped_anywhere_it_ends_the_same(variant: str, tmp_path: Path) -> None:
    chosen = length(VARIANTS[variant])
    whole = to_the_end(tmp_path / "whole", chosen)
    work, stops = in_pieces(tmp_path / "pieces", chosen)
    assert stops > 5
    assert same(work.state.tensors(), whole.state.tensors()) and facts(work) == facts(whole)
    assert lines(tmp_path / "pieces") == lines(tmp_path / "whole")
    for name in (BEST, LAST):
        assert (tmp_path / "pieces" / name).read_bytes() == (tmp_path / "whole" / name).read_bytes()
    names = {path.name for path in (tmp_path / "pieces" / "state").iterdir()}
    assert names <= {f"{step}.safetensors" for step in range(13)} and len(names) == 2


class Stepped(Watch):
    """Does something after a step."""

    def __init__(self, at: int, what: Callable[[], object]) -> None:
        self.at, self.what = at, what

    def stepped(self, step: int, loss: float, pictures: int) -> None:  # noqa: ARG002
        if step == self.at:
            self.what()


class Judged(Watch):
    """Looks at the network after each pass."""

    def __init__(self) -> None:
        self.seen: list[tuple[int, bool]] = []

    def judged(self, network: Network | Vgg, line: dict[str, Any]) -> None:
        self.seen.append((line["epoch"], network.training))
        network(torch.zeros(1, 1, 8, 8)).sum().backward()  # what it leaves in .grad is no part of an update


def test_a_watch_sees_the_judged_network_and_disturbs_nothing(tmp_path: Path) -> None:
    whole, watch = to_the_end(tmp_path / "whole", settings()), Judged()
    with Run.create_at(tmp_path / "run") as run:
        work = training(run, settings(), watch=Several(Watch(), watch))
        work.go()
    assert watch.seen == [(1, False), (2, False), (3, False)]
    assert same(work.state.tensors(), whole.state.tensors())


@pytest.mark.parametrize("looks", [1, 2, 6, 7, 8])
def test_whoever_is_stopped_is_saved_and_told_how_to_go_on(looks: int, tmp_path: Path) -> None:
    """The first look is before anything, the seventh in the first judging."""
    with Run.create_at(tmp_path / "run") as run:
        work = training(run, settings(), asked=Asking(looks))
        with pytest.raises(
            StoppedError, match=r"of 12 and saved: `residua train --resume .*run` goes on"
        ) as told:
            work.go()
        assert told.value.exit_code == 128 + signal.SIGTERM
        found = newest(run.state)
    assert found and found.step == work.counts.step == min(looks - 1, 4)


def test_a_pass_that_another_process_made_has_no_pace(tmp_path: Path) -> None:
    with Run.create_at(tmp_path / "run") as run:
        with pytest.raises(StoppedError):
            training(run, settings(), asked=Asking(7)).go()  # in the first judging
        training(run, settings()).go()
    passes = [line for line in read_metrics(tmp_path / "run") if line["val_top1"] is not None]
    assert [line["images_per_second"] is None for line in passes] == [True, False, False]
    assert "images/s" not in in_words(passes[0] | {"images_per_second": math.nan}, 3)


def test_between_passes_it_saves_as_often_as_it_is_told(tmp_path: Path) -> None:
    seen: list[int] = []

    def look() -> None:
        found = newest(tmp_path / "run" / "state")
        seen.append(found.step if found else 0)

    with Run.create_at(tmp_path / "run") as run:
        training(run, replace(settings(), save_minutes=0.0), watch=Stepped(3, look)).go()
    assert seen == [2]


@pytest.mark.parametrize("name", ["nan", "inf", "exploded"])
def test_a_loss_out_of_bounds_stops_before_its_step_and_the_run_goes_on(name: str, tmp_path: Path) -> None:
    factor = {"nan": float("nan"), "inf": float("inf"), "exploded": 1e5}[name]
    chosen = settings(average=0.9)
    whole = to_the_end(tmp_path / "whole", chosen)
    with Run.create_at(tmp_path / "run") as run:
        work = poisoned(training(run, chosen), 5, lambda logits: logits * factor)
        with pytest.raises(UserError, match=r"^step 6 has a loss of .* Stopped and saved before it"):
            work.go()
        found = newest(run.state)
        log = (run.folder / "log.txt").read_text()
    batch = list(work.loaders.batches(1, 0))[1]
    assert found and found.step == 5 and work.state.is_finite()
    assert f"Its pictures: {[work.loaders.data.names[place] for place in batch.places]}" in log
    again = to_the_end(tmp_path / "run", chosen)
    assert same(again.state.tensors(), whole.state.tensors()) and facts(again) == facts(whole)


def test_steps_out_of_bounds_can_be_left_out(tmp_path: Path) -> None:
    with Run.create_at(tmp_path / "run") as run:
        chosen = replace(settings(), on_nan="skip")
        work = poisoned(training(run, chosen), 5, lambda logits: logits * float("nan"))
        work.go()
        found = newest(run.state)
    assert found and found.facts["skipped"] == 1 and found.step == 12 and work.state.is_finite()


def spoiled_from(work: Training, step: int) -> Training:
    """Spoil every update from one on."""
    network = work.state.network

    def spoil(_module: object, _inputs: object, logits: Tensor) -> Tensor:
        return logits * float("nan") if network.training and work.counts.step >= step else logits

    network.register_forward_hook(spoil)
    return work


class Heard(Watch):
    """Keeps what is said."""

    def __init__(self) -> None:
        self.said: list[str] = []

    def say(self, sentence: str) -> None:
        self.said.append(sentence)


def test_no_more_updates_are_tried_than_there_is_hope(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """With the fifth the weights are past it; whoever stopped in between ends there too."""
    monkeypatch.setattr(loop, "HOPELESS", 2)
    chosen, heard = replace(settings(average=0.9), on_nan="skip"), Heard()
    with Run.create_at(tmp_path / "whole") as run:
        whole = spoiled_from(training(run, chosen, watch=heard), 5)
        whole.go()
    assert (whole.counts.step, whole.counts.skipped, len(whole.counts.scores)) == (7, 2, 2)
    assert heard.said[-1].startswith("2 updates in a row were left out: the training ends here, at step 7 of")
    assert lines(tmp_path / "whole")[-1]["val_top1"] is not None and (tmp_path / "whole" / LAST).exists()
    Run.create_at(tmp_path / "pieces").close()
    for looks in itertools.islice(itertools.cycle((2, 6)), 30):
        with opened(tmp_path / "pieces") as run:
            work = spoiled_from(training(run, chosen, asked=Asking(looks)), 5)
            with contextlib.suppress(StoppedError):
                work.go()
                break
    assert same(work.state.tensors(), whole.state.tensors()) and facts(work) == facts(whole)
    assert lines(tmp_path / "pieces") == lines(tmp_path / "whole")


def test_an_update_that_can_be_made_gives_hope_again(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(loop, "HOPELESS", 2)
    with Run.create_at(tmp_path / "run") as run:
        work = training(run, replace(settings(), on_nan="skip"))
        for step in (1, 3, 5):
            poisoned(work, step, lambda logits: logits * float("nan"))
        work.go()
    assert (work.counts.step, work.counts.skipped) == (12, 3)


def test_a_pass_that_was_left_out_whole_has_no_loss(tmp_path: Path) -> None:
    with Run.create_at(tmp_path / "run") as run:
        work = training(run, replace(settings(), on_nan="skip"))
        for step in range(4):
            poisoned(work, step, lambda logits: logits * float("nan"))
        work.go()
    assert [line["train_loss"] is None for line in lines(run.folder)][:3] == [True, True, False]


def test_weights_that_are_not_finite_reach_no_file(tmp_path: Path) -> None:
    with Run.create_at(tmp_path / "run") as run:
        work = training(run, settings())

        def spoil() -> None:
            next(iter(work.state.network.parameters())).data.fill_(float("inf"))

        work.watch = Stepped(4, spoil)
        with pytest.raises(UserError, match="not finite after step 4: they were not saved"):
            work.go()
        found = newest(run.state)
        assert found and found.step == 0 and not (run.folder / BEST).exists()


def test_patience_ends_a_training(tmp_path: Path) -> None:
    work = to_the_end(tmp_path / "run", settings(patience=1, learning_rate=1e-9))
    assert (work.counts.step, work.counts.best_step) == (8, 4)


def test_the_best_and_the_last_are_kept(tmp_path: Path) -> None:
    work = to_the_end(tmp_path / "run", settings(learning_rate=2.0))
    judged = [line for line in lines(tmp_path / "run") if line["val_top1"] is not None]
    best = max(judged, key=lambda line: line["val_top1"])
    accuracy = inspect(tmp_path / "run" / BEST).accuracy
    assert accuracy and accuracy.top1 == best["val_top1"] == work.counts.best
    assert work.counts.best_step == best["step"] < judged[-1]["step"]
    last = read_tensors(tmp_path / "run" / LAST)
    assert same(last, dict(work.state.network.state_dict()))


def test_nobody_elses_chance_is_touched(tmp_path: Path) -> None:
    def draws() -> tuple[Any, ...]:
        numpy = np.random.get_state(legacy=False)["state"]["key"]
        return torch.get_rng_state().tolist(), random.getstate(), numpy.tolist()

    before = draws()
    to_the_end(tmp_path / "run", settings({"stochastic_depth": 0.5}, augmentation={"mixup": 0.4}))
    assert draws() == before


def in_files(folder: Path) -> Data:
    data = digits()
    for place, name in enumerate(data.names):
        Image.fromarray(data.read(place, "gray")[..., 0]).save(folder / f"{name}.png")
    names = [f"{name}.png" for name in data.names]
    return replace(data, names=names, pictures=Files(folder, names), origin=None)


@pytest.mark.parametrize("workers", [1, 3])
def test_threads_that_read_change_nothing(workers: int, tmp_path: Path) -> None:
    data = in_files(tmp_path)
    alone = to_the_end(tmp_path / "alone", settings(), data)
    helped = to_the_end(tmp_path / "helped", replace(settings(), workers=workers), data)
    assert same(helped.state.tensors(), alone.state.tensors())
    assert lines(tmp_path / "helped") == lines(tmp_path / "alone")


@pytest.mark.parametrize("place", [0, 80])  # in training, and in judging
@pytest.mark.parametrize("content", [None, b"", b"\x89PNG\r\n\x1a\nno picture"])
def test_a_picture_that_goes_bad_costs_nothing(place: int, content: bytes | None, tmp_path: Path) -> None:
    folder = tmp_path / "pictures"
    folder.mkdir()
    data = in_files(folder)
    whole = to_the_end(tmp_path / "whole", settings(), data)
    picture = folder / data.names[place]
    good = picture.read_bytes()

    def spoil() -> None:
        picture.unlink() if content is None else picture.write_bytes(content)

    with Run.create_at(tmp_path / "run") as run:
        work = training(run, settings(), data, Stepped(3, spoil))
        with pytest.raises(
            UserError, match=rf"^'{picture.name}' cannot be read: .* saved: put the picture back"
        ):
            work.go()
        found = newest(run.state)
    assert found and found.step == work.counts.step >= 3
    picture.write_bytes(good)
    again = to_the_end(tmp_path / "run", settings(), data)
    assert same(again.state.tensors(), whole.state.tensors())
    assert lines(tmp_path / "run") == lines(tmp_path / "whole")
