"""What is measured of a trained trial: each once, into a file of the trial's folder."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from statistics import fmean, median
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from residua.data.dataset import Data, Places
from residua.data.draws import order
from residua.data.loading.loader import Loader
from residua.errors import UserError
from residua.files import replacing
from residua.judging.figures.ranking import ranked
from residua.judging.runfiles import CONFIG, LAST
from residua.lab.inside.gradients import Gradients, gradients
from residua.lab.inside.lesions import Lesions, RandomLesions, at_random, each, swaps
from residua.lab.inside.parts import undisturbed
from residua.lab.inside.paths import paths
from residua.lab.inside.responses import responses
from residua.nets.batchnorm import recalibrate
from residua.nets.network import Network, Vgg, build_network
from residua.nets.plan import plan
from residua.nets.spec import BATCH_NORMS, AnySpec, Spec
from residua.training.asking.configfile import read_config
from residua.training.settings import Settings
from residua.weights.modelfile import load

FOLDER, ERROR, THROUGH = "measured", "error", "through_training"
SEEN = 10_000  # training pictures that are judged, at most
LOOKED_INTO = 64  # pictures whose gradients are taken
AT_ONCE = 128  # pictures in a batch
LESIONED = 2000  # pictures by which lesions are judged
RANDOM_DRAWS = 5
Found = dict[str, Any]  # `summary`: what claims speak of; `detail`: everything, or None and `why_not`


@dataclass(frozen=True)
class Trained:
    """A trial whose training is over: the network as its last update left it, and its pictures."""

    run: Path
    data: Data  # in its parts

    @cached_property
    def settings(self) -> Settings:
        """Return what the run has written down."""
        return Settings.from_dict(read_config(self.run / CONFIG))

    @cached_property
    def network(self) -> Network | Vgg:
        """Return the network, ready to predict."""
        return load(self.run / LAST).network.to(self.settings.device).eval()

    def beginning(self) -> Network | Vgg:
        """Return the network as it was before its first update."""
        with torch.random.fork_rng(()):
            torch.manual_seed(self.settings.seed)
            network = build_network(plan(self.settings.spec))
        return network.to(self.settings.device).eval()

    def batches(self, part: str, most: int | None = None) -> Iterator[tuple[Tensor, Tensor]]:
        """Yield inputs and labels of a part, in the data's order; of so many drawn ones if there are more."""
        return batches_of(self.data, part, self.settings, most)

    def some(self) -> tuple[Tensor, Tensor]:
        """Return inputs and labels of a few held-out pictures."""
        return some_of(self.data, self.settings)


def batches_of(
    data: Data, part: str, settings: Settings, most: int | None = None
) -> Iterator[tuple[Tensor, Tensor]]:
    """Yield inputs and labels of a part of the data."""
    places = _drawn(data.places(part), most)
    loader = Loader(
        data, places, settings.preprocessing, AT_ONCE, workers=settings.workers, device=settings.device
    )
    for batch in loader.epoch(0):
        yield batch.inputs(), batch.labels


def some_of(data: Data, settings: Settings) -> tuple[Tensor, Tensor]:
    """Return inputs and labels of the same few held-out pictures for every network."""
    return next(batches_of(data, "val", settings, LOOKED_INTO))


def measure(trained: Trained, name: str) -> None:
    """Measure and write it down, whole or not at all; what was measured already is left."""
    path = trained.run / FOLDER / f"{name}.json"
    if path.exists() or not applies(name, trained.settings.spec):
        return
    try:
        found = HOW[name](trained)
    except UserError as error:  # some networks give nothing to measure, as one without any gradient
        if name == ERROR:
            raise
        found = {"summary": {}, "detail": None, "why_not": str(error)}
    path.parent.mkdir(exist_ok=True)
    write_json(path, found)


def write_json(path: Path, values: Mapping[str, Any]) -> None:
    """Write plain data, whole or not at all; a number that is not finite becomes null."""
    with replacing(path) as temporary:
        temporary.write_text(json.dumps(_finite(values), indent=1) + "\n", encoding="utf-8")


def read_measured(run: Path, name: str) -> Found | None:
    """Return what was measured of a run; None if that has not been done."""
    path = run / FOLDER / f"{name}.json"
    try:
        found: Found = json.loads(path.read_text(encoding="utf-8"))
    except FileNotFoundError:
        return None
    except (OSError, ValueError) as error:
        raise UserError(f"{path} cannot be read: {error}. Remove it, and it is measured again.") from None
    return found


def applies(name: str, spec: AnySpec) -> bool:
    """Whether a measurement means something for a network."""
    residual = isinstance(spec, Spec) and spec.residual
    return {"paths": residual, "statistics": spec.norm in BATCH_NORMS}.get(name, True)


def _error(trained: Trained) -> Found:
    """Judge by the pictures held out, and by those trained on, without augmentation."""
    wrong = _wrong(trained.network, trained.batches("val"))
    seen = _wrong(trained.network, trained.batches("train", SEEN))
    bits = np.packbits(wrong).tobytes().hex()
    return {
        "summary": {"error": 100 * float(wrong.mean()), "train_error": 100 * float(seen.mean())},
        "detail": {"held_out": len(wrong), "wrong": bits, "trained_on": len(seen)},
    }


def _responses(trained: Trained) -> Found:
    found = responses(trained.network, trained.batches("val", LESIONED))
    return {
        "summary": {"deviation": fmean(layer.deviation for layer in found.layers)},
        "detail": found.as_json(),
    }


def _gradients(trained: Trained) -> Found:
    """Measure at initialisation and at the end; what was between is noted in training."""
    stages = {
        "initial": gradients(trained.beginning(), *trained.some()),
        "final": gradients(trained.network, *trained.some()),
    }
    summary = {
        f"{stage}_{name}": value for stage, found in stages.items() for name, value in reached(found).items()
    }
    return {"summary": summary, "detail": {stage: found.as_json() for stage, found in stages.items()}}


def reached(found: Gradients) -> dict[str, float]:
    """Return how much gradient reaches the first unit, and how often nearly none does."""
    terms = [unit.terms for unit in found.units if unit.terms]
    norms = [unit.norm for unit in found.units]
    values = {"ratio": norms[0] / found.end if found.end else 0.0}
    if terms:
        values["near_zero"] = fmean(each.near_zero for each in terms)
    return values


def _lesions(trained: Trained) -> Found:
    def batches() -> Iterator[tuple[Tensor, Tensor]]:
        return trained.batches("val", LESIONED)

    network = trained.network
    single = each(network, batches())
    removed = at_random(network, batches(), draws=RANDOM_DRAWS)
    detail: Found = {"each": single.as_json(), "at_random": removed.as_json()}
    try:
        detail["swaps"] = swaps(network, batches(), draws=RANDOM_DRAWS).as_json()
    except UserError as error:  # no two units of one shape
        detail["swaps"] = None
        detail["why_no_swaps"] = str(error)
    return {"summary": _harm(network, single, removed), "detail": detail}


def _harm(network: Network | Vgg, single: Lesions, removed: RandomLesions) -> dict[str, float]:
    """Return how much the error grows, in points: by one unit, by a dotted one, by many."""
    units = network.units if isinstance(network, Network) else []
    dotted = {unit.name for unit in units if unit.block.inputs != unit.block.outputs}
    errors = [(unit.name, unit.error - single.error) for unit in single.units if unit.error is not None]
    alike = [change for name, change in errors if name not in dotted]
    values = {"all_removed": removed.rows[-1].median - removed.error}
    if alike:
        values |= {"one_removed": median(alike), "worst_removed": max(alike)}
    if changes := [change for name, change in errors if name in dotted]:
        values["dotted_removed"] = fmean(changes)
    return values


def _paths(trained: Trained) -> Found:
    found = paths(trained.network, *trained.some())
    low, high = found.effective
    mean = sum(each.length * each.share for each in found.lengths)
    return {
        "summary": {
            "effective_low": low,
            "effective_high": high,
            "effective_share": found.effective_share,
            "gradient_length": mean / found.units,  # over all units; paths themselves have 1/2 on average
        },
        "detail": found.as_json(),
    }


def _statistics(trained: Trained) -> Found:
    """Compare a batch's own statistics, the running ones, and exact averages over training pictures."""
    network = trained.network
    running = _wrong(network, trained.batches("val")).mean()
    with undisturbed(network, training=True):
        own = _wrong(network, trained.batches("val")).mean()
    exact = load(trained.run / LAST).network.to(trained.settings.device)
    recalibrate(exact, (inputs for inputs, _ in trained.batches("train", SEEN)))
    averaged = _wrong(exact.eval(), trained.batches("val")).mean()
    summary = {"running": 100 * float(running), "batch": 100 * float(own), "exact": 100 * float(averaged)}
    return {"summary": summary, "detail": {"batch_size": AT_ONCE}}


HOW: Mapping[str, Callable[[Trained], Found]] = {
    ERROR: _error,
    "responses": _responses,
    "gradients": _gradients,
    "lesions": _lesions,
    "paths": _paths,
    "statistics": _statistics,
}


def _wrong(network: Network | Vgg, batches: Iterator[tuple[Tensor, Tensor]]) -> NDArray[np.bool_]:
    """Return for each picture whether its class is missed; the network runs in the mode it is in."""
    found = []
    for inputs, labels in batches:
        with torch.inference_mode():
            found.append((ranked(network(inputs).float(), 1)[:, 0] != labels).cpu().numpy())
    return np.concatenate(found)


def _drawn(places: Places, most: int | None) -> Places:
    if most is None or len(places) <= most:
        return places
    chosen: Places = places[order(0, 0, len(places))[:most].sort().values.numpy()]
    return chosen


def _finite(value: Any) -> Any:
    if isinstance(value, Mapping):
        return {name: _finite(each) for name, each in value.items()}
    if isinstance(value, (list, tuple)):
        return [_finite(each) for each in value]
    return None if isinstance(value, float) and not np.isfinite(value) else value
