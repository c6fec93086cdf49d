"""What a model answers to pictures: shown to it in batches, each once, in the data's order."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from contextlib import closing

import torch

from residua.data.checking.checked import Progress
from residua.data.dataset import Data
from residua.judging import BATCH
from residua.judging.figures.outcomes import Outcomes, empty_outcomes, fill
from residua.judging.figures.temperature import Kept
from residua.judging.model import evaluating
from residua.judging.showing.matching import ClassMap, class_names, matched_labels
from residua.judging.showing.views import Showing, Views
from residua.nets.devices import device_named
from residua.nets.network import Network, Vgg
from residua.weights.model import Stored


def answers(
    model: Stored,
    data: Data,
    *,
    class_map: ClassMap | None = None,
    views: Views = "one",
    device: str | None = None,
    batch: int = BATCH,
    workers: int | None = None,
    progress: Progress | None = None,
) -> tuple[Outcomes, Kept]:
    """Return what a model says of every picture, and logits to fit a temperature to."""
    labels = matched_labels(model, data, class_map)
    outcomes = empty_outcomes(class_names(model), data.names, labels)
    kept = Kept(labels, len(outcomes.classes))
    temperature = model.metadata.temperature or 1.0
    with _judging(model.network, device) as place:
        showing = Showing(model.network, data, model.rule(), views, batch, workers, place)
        done = 0
        with closing(showing.logits()) as found:
            for logits in found:
                fill(outcomes, done, logits, temperature)
                kept.add(done, logits)
                done += len(logits)
                if progress:
                    progress(done, len(data))
    return outcomes, kept


@contextlib.contextmanager
def _judging(network: Network | Vgg, device: str | None) -> Iterator[torch.device]:
    """Put a network on a device, ready to be judged; afterwards it is where and as it was."""
    home = next(network.parameters()).device
    place = torch.device(device_named(device)) if device else home
    with evaluating(network):
        network.to(place)
        try:
            yield place
        finally:
            network.to(home)
