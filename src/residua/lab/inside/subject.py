"""What is measured: a model file or a new network of some name, and labelled pictures to show it."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor

from residua.data.checking.checked import Progress
from residua.data.dataset import Data
from residua.data.draws import order
from residua.data.loading.loader import Loader
from residua.errors import UserError
from residua.files import Name
from residua.judging import BATCH
from residua.judging.model import load
from residua.judging.showing.matching import ClassMap, matched_labels
from residua.judging.showing.samples import Samples, choose_samples
from residua.nets.batchnorm import recalibrate
from residua.nets.devices import device_named
from residua.nets.initialization import seeded
from residua.nets.network import Network, Vgg
from residua.nets.values import at_least, checked
from residua.nets.zoo import spec
from residua.weights.create import create
from residua.weights.metadata import ClassEntry, Metadata, Preprocessing
from residua.weights.model import Stored
from residua.weights.sources import READERS


@dataclass(frozen=True)
class Subject:
    """A network with the pictures to measure it by."""

    title: str
    model: Stored
    fresh: bool  # nobody has trained it
    samples: Samples
    places: list[int]  # pictures of the samples that are used
    batch: int
    workers: int | None
    class_map: ClassMap | None = None

    @property
    def network(self) -> Network | Vgg:
        """The network itself."""
        return self.model.network

    @property
    def label(self) -> str:
        """What figures call it."""
        return self.network.spec.name or Path(self.title).stem

    def batches(self, progress: Progress | None = None) -> Iterator[tuple[Tensor, Tensor]]:
        """Yield inputs and labels, each picture once."""
        data, places = self.samples.data, np.array(self.places, np.int64)
        labels = torch.from_numpy(matched_labels(self.model, data, self.class_map).astype(np.int64))
        device = next(self.network.parameters()).device
        loader = Loader(data, places, self.model.rule(), self.batch, workers=self.workers, device=device)
        done = 0
        with closing(loader.epoch(0)) as batches:
            for batch in batches:
                yield batch.inputs(), labels[batch.places].to(device)
                done += len(batch)
                if progress:
                    progress(done, len(places))

    def mixed(self) -> Iterator[Tensor]:
        """Yield inputs in batches of all kinds of pictures; class folders have them class by class."""
        data, count = self.samples.data, len(self.places)
        places = np.array(self.places, np.int64)[order(0, 0, count).numpy()]
        batch = min(self.batch, count)
        device = next(self.network.parameters()).device
        rule = self.model.rule()
        loader = Loader(data, places, rule, batch, workers=self.workers, device=device, drop_last=True)
        with closing(loader.epoch(0)) as batches:
            for each in batches:
                yield each.inputs()

    def whole(self) -> tuple[Tensor, Tensor]:
        """Return all pictures as one batch."""
        inputs, labels = zip(*self.batches(), strict=True)
        return torch.cat(inputs), torch.cat(labels)

    def as_json(self) -> dict[str, Any]:
        """Say what was measured, as plain data."""
        return {
            "model": self.title,
            "fresh": self.fresh,
            "data": self.samples.data.where,
            "part": self.samples.part,
            "samples": len(self.places),
        }


def subject(
    model: Name,
    data: Data | Name,
    *,
    part: str | None = None,
    split: Name | None = None,
    class_map: ClassMap | None = None,
    root: Name | None = None,
    limit: int | None = None,
    seed: int = 0,
    device: str = "auto",
    batch: int = BATCH,
    workers: int | None = None,
    progress: Progress | None = None,
) -> Subject:
    """Open a model file, or build a network by name, and choose at most `limit` pictures, evenly spread.

    A network by name has weights drawn from the seed, as many classes as the data, and the running
    statistics of these pictures.
    """
    for name, value, least in (("limit", limit, 1), ("batch", batch, 1), ("workers", workers, 0)):
        at_least(name, value, least)
    checked("seed", seed, int)
    place = torch.device(device_named(device))
    file = Path(model)
    fresh = _is_network(str(model))
    stored: Stored | None = None if fresh else load(file)
    beside = [] if fresh else [file.parent]
    samples = choose_samples(data, part=part, split=split, beside=beside, root=root, progress=progress)
    shown = stored or _new(str(model), samples.data, seed)
    shown.network.to(place).eval()
    count = min(limit or len(samples.data), len(samples.data))
    places = np.linspace(0, len(samples.data) - 1, count).round().astype(int).tolist()
    found = Subject(str(model), shown, fresh, samples, places, batch, workers, class_map)
    if fresh:
        recalibrate(found.network, found.mixed())
    return found


def _is_network(model: str) -> bool:
    """Whether it names a network to build, whatever folder has the same name; neither name nor file fails."""
    file = Path(model)
    if file.is_file() or len(file.parts) > 1 or file.suffix.lower() in READERS:
        return False
    try:
        spec(model)
    except UserError:
        if file.exists():
            return False
        raise
    return True


def _new(name: str, data: Data, seed: int) -> Stored:
    wanted = spec(name, num_classes=len(data.classes))
    with seeded(seed):
        network = create(wanted)
    classes = tuple(ClassEntry(id=each, name=each) for each in data.classes)
    rule = Preprocessing(size=wanted.input_size, resize=wanted.input_size)
    return Stored(network, Metadata(spec=wanted, classes=classes, preprocessing=rule))
