"""How each measurement is taken of a trained trial: what claims speak of, and all that figures need."""

from __future__ import annotations

from collections.abc import Mapping
from statistics import fmean
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from residua.judging.figures.ranking import ranked
from residua.lab.bypicture import Each, packed
from residua.lab.inside.averages import Averages, by_batches
from residua.lab.inside.gradients import Gradients, gradients
from residua.lab.inside.lesions import Lesions, at_random, each, removable, swappable, swaps, usual_counts
from residua.lab.inside.paths import paths
from residua.lab.inside.responses import responses
from residua.lab.trained import Inputs, Trained, mixed
from residua.nets.network import Network, Vgg

SEEN = 10_000  # training pictures that are judged or averaged over, at most
LESIONED = 2000  # pictures by which lesions are judged
RANDOM_DRAWS = 5
NUMBERS = 3  # of units removed that are needed to speak of a rise
MOMENTA = (0.1, 0.01)
Found = dict[str, Any]  # `summary`: what claims speak of; `detail`: everything, or None and `why_not`


def error(trained: Trained) -> Found:
    """Judge by the pictures held out, and by those trained on, without augmentation."""
    held_out = _wrong(trained.network, trained.batches(trained.held_out()))
    seen = _wrong(trained.network, trained.batches(trained.seen(SEEN)))
    detail = {"held_out": len(held_out), "trained_on": len(seen)}
    return _by_picture({"error": held_out, "train_error": seen}) | {"detail": detail}


def response(trained: Trained) -> Found:
    """Measure the responses of all layers."""
    found = responses(trained.network, trained.batches(trained.held_out(LESIONED)))
    return {
        "summary": {"deviation": fmean(layer.deviation for layer in found.layers)},
        "detail": found.as_json(),
    }


def gradient(trained: Trained) -> Found:
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
    """Return how much gradient reaches the first unit, whole and directly, and how often nearly none does.

    What comes directly is known where lambdas reach from the last unit to the first.
    """
    values = {
        "ratio": found.units[0].norm / found.end if found.end else 0.0,
        "near_zero": max(unit.near_zero for unit in found.units),
        "least": min(unit.least for unit in found.units),
    }
    terms = found.units[0].terms
    if terms and terms.end and terms.until == found.units[-1].name:
        values |= {"direct": terms.direct / terms.end, "predicted": terms.predicted / terms.end}
    return values


def lesions(trained: Trained) -> Found:
    """Leave units out one by one and at random, and swap pairs."""
    network = trained.network
    batches = list(trained.batches(trained.held_out(LESIONED)))
    single = each(network, batches)
    most = removable(network)
    counts = [*usual_counts(most), most]
    removed = at_random(network, batches, counts=counts, draws=RANDOM_DRAWS)
    swapped = swaps(network, batches, draws=RANDOM_DRAWS) if swappable(network) else None
    found = _by_picture(harm(single, _dotted(network)))
    found["summary"]["all_removed"] = removed.rows[-1].median - removed.error
    for name, several in (("rise", removed), ("swaps_rise", swapped)):
        if several and len(several.rows) >= NUMBERS:
            found["summary"][name] = several.rise
    detail = {"each": single.as_json(), "at_random": removed.as_json()}
    return found | {"detail": detail | {"swaps": swapped.as_json() if swapped else None}}


def harm(single: Lesions, dotted: set[str]) -> dict[str, Each]:
    """Return of each picture, on average over some units, how much more often it is missed without one.

    `dotted` are the units that change the shape. `one_lost` is the share of the accuracy that goes.
    """
    whole = single.missed[""].astype(float)
    changes = {name: missed - whole for name, missed in single.missed.items() if name}
    alike = sorted((change for name, change in changes.items() if name not in dotted), key=np.mean)
    others = [change for name, change in changes.items() if name in dotted]
    found: dict[str, Each] = {}
    if alike:
        middle = np.mean(alike[(len(alike) - 1) // 2 : len(alike) // 2 + 1], axis=0)
        found |= {"one_removed": middle, "worst_removed": alike[-1]}
        if not whole.all():
            found["one_lost"] = _share(middle, 1 - whole)
    if others:
        found["dotted_removed"] = np.mean(others, axis=0)
    if alike and others:
        found["dotted_more"] = found["dotted_removed"] - np.mean(alike, axis=0)
    return found


def _share(part: Each, whole: Each) -> Each:
    """Return numbers whose mean is mean(part) / mean(whole), and spread as that ratio does."""
    ratio = part.mean() / whole.mean()
    numbers: Each = ratio + (part - ratio * whole) / whole.mean()
    return numbers


def _dotted(network: Network | Vgg) -> set[str]:
    units = network.units if isinstance(network, Network) else []
    return {unit.name for unit in units if unit.block.inputs != unit.block.outputs}


def path(trained: Trained) -> Found:
    """Sample paths of all lengths."""
    found = paths(trained.network, *trained.some())
    low, high = found.effective
    mean = sum(each.length * each.share for each in found.lengths)
    return {
        "summary": {
            "effective_low": low,
            "effective_high": high,
            "effective_share": found.effective_share,
            "gradient_length": mean / found.units,  # over all units; paths themselves have 1/2 on average
            "decay": found.decay,
        },
        "detail": found.as_json(),
    }


def statistics(trained: Trained) -> Found:
    """Compare averages as training left them with others of the same weights, and with each batch's own.

    All averages are over the batches of training, augmented, so that they differ in the averaging alone.
    """
    network, places = trained.network, trained.held_out()
    averages = Averages(network, (inputs for inputs, _ in trained.augmented(SEEN)))
    kinds = {"exact": averages.exact()} | {f"momentum_{each}": averages.running(each) for each in MOMENTA}
    wrong = {"running": _wrong(network, trained.batches(places)), "batch": _wrong_in_batches(trained)}
    for kind, values in kinds.items():
        with averages.used(values):
            wrong[kind] = _wrong(network, trained.batches(places))
    found: dict[str, Each] = {kind: each.astype(float) for kind, each in wrong.items()}
    found["batch_more"] = found["batch"] - found["exact"]
    found["running_more"] = found["running"] - found["exact"]
    found["momentum_more"] = found["momentum_0.1"] - found["momentum_0.01"]
    return _by_picture(found) | {"detail": {"batch_size": trained.settings.recipe.batch}}


def _wrong_in_batches(trained: Trained) -> NDArray[np.bool_]:
    """Return for each held-out picture whether it is missed in a batch of as many as in training.

    The last batch is filled up with pictures of the first, so that none is smaller.
    """
    places = trained.held_out()
    batch = trained.settings.recipe.batch
    turns = np.resize(mixed(np.arange(len(places))), -(-len(places) // batch) * batch)
    with by_batches(trained.network):
        found = _wrong(trained.network, trained.batches(places[turns], batch))
    wrong = np.empty(len(places), bool)
    wrong[turns[: len(places)]] = found[: len(places)]
    return wrong


def _by_picture(found: Mapping[str, NDArray[Any]]) -> Found:
    """Return the mean of each quantity in percent, and what it is the mean of."""
    summary = {name: 100 * float(each.mean()) for name, each in found.items()}
    return {"summary": summary, "by_picture": {name: packed(each) for name, each in found.items()}}


def _wrong(network: Network | Vgg, batches: Inputs) -> NDArray[np.bool_]:
    """Return for each picture whether its class is missed; the network runs in the mode it is in."""
    found = []
    for inputs, labels in batches:
        with torch.inference_mode():
            found.append((ranked(network(inputs).float(), 1)[:, 0] != labels).cpu().numpy())
    return np.concatenate(found)
