"""Evaluation: models judged by labelled pictures, every one counted once, all models by the same."""

from __future__ import annotations

import contextlib
import os
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from itertools import chain
from pathlib import Path
from typing import Any

import numpy as np

from residua.data.checking import MAX_BAD
from residua.data.checking.checked import Progress, check_share
from residua.data.dataset import Data
from residua.errors import UserError
from residua.files import Name
from residua.judging import BATCH, SHOWN
from residua.judging.evaluated import Evaluation
from residua.judging.figures.calibration import calibrated
from residua.judging.figures.outcomes import Outcomes
from residua.judging.figures.temperature import Kept
from residua.judging.model import Model, load
from residua.judging.showing.answering import answers
from residua.judging.showing.forgiving import forgiving
from residua.judging.showing.matching import ClassMap, matched_labels
from residua.judging.showing.samples import Samples, listed_samples
from residua.judging.showing.views import Views, checked_views, in_words
from residua.nets.devices import device_named
from residua.nets.values import at_least, checked
from residua.nets.zoo import title
from residua.weights import transfer


def evaluate(
    model: Model | Name,
    data: Data | Samples | Name,
    *,
    part: str | None = None,
    split: Name | None = None,
    class_map: ClassMap | None = None,
    views: str = "one",
    mistakes: int = SHOWN,
    root: Name | None = None,
    max_bad: float | None = None,
    device: str | None = None,
    batch: int = BATCH,
    workers: int | None = None,
    progress: Progress | None = None,
) -> Evaluation:
    """Judge a model by labelled pictures, every one counted once.

    `part` is train, val, test or all; without it the test pictures are taken, or else val, or else all.
    `split` is a table of path, label and split, as a run has it. `class_map` says which class of the model
    a class of the data is, where names differ. `views` is one, flip, ten-crop or multi-scale. More than the
    share `max_bad` (0.1) of unreadable pictures is an error. Without a `device` a model stays where it is,
    and one from a file runs on a GPU where there is one.

    >>> evaluate("best.safetensors", "photos", part="val").top1  # doctest: +SKIP
    93.75
    """
    found = judging(
        [model],
        data,
        part=part,
        split=split,
        class_map=class_map,
        views=views,
        mistakes=mistakes,
        root=root,
        max_bad=max_bad,
        device=device,
        batch=batch,
        workers=workers,
    )
    return found.decoded().judged(progress)[0]


@dataclass(frozen=True)
class Judge:
    """A model to be judged, and the file that it is from."""

    model: Model
    file: Path | None
    device: str | None  # None: where it is

    @contextlib.contextmanager
    def named(self) -> Iterator[None]:
        """Say of an error which model's it is."""
        try:
            yield
        except UserError as error:
            if self.file is None or type(error) is not UserError:  # others say more than words
                raise
            raise UserError(f"{self.file}: {error}") from None


@dataclass(frozen=True, eq=False)
class Judging:
    """Models to be judged by the same pictures."""

    judges: tuple[Judge, ...]
    samples: Samples
    is_decoded: bool  # whether the pictures are known to be readable
    class_map: ClassMap | None
    views: Views
    most: int
    max_bad: float
    batch: int
    workers: int | None

    def decoded(self, progress: Progress | None = None) -> Judging:
        """Return the same without the pictures that cannot be read."""
        if self.is_decoded:
            return self
        return replace(self, samples=self.samples.readable(self.max_bad, progress), is_decoded=True)

    def judged(self, progress: Progress | None = None) -> tuple[Evaluation, ...]:
        """Judge all models; pictures that can no longer be read count for none of them."""
        data, noted = forgiving(self.samples.data)
        said = [self._answers(number, data, progress) for number in range(len(self.judges))]
        lost = noted.lost(data)
        samples = self.samples.without(lost, self.max_bad)
        good = np.ones(len(data), bool)
        good[list(lost)] = False
        return tuple(
            self._evaluation(judge, samples, outcomes.only(good), kept.only(good))
            for judge, (outcomes, kept) in zip(self.judges, said, strict=True)
        )

    def _answers(self, number: int, data: Data, progress: Progress | None) -> tuple[Outcomes, Kept]:
        judge, count = self.judges[number], len(data)

        def told(done: int, _: int) -> None:
            if progress:
                progress(number * count + done, len(self.judges) * count)

        with judge.named():
            return answers(
                judge.model,
                data,
                class_map=self.class_map,
                views=self.views,
                device=judge.device,
                batch=self.batch,
                workers=self.workers,
                progress=told,
            )

    def _evaluation(self, judge: Judge, samples: Samples, outcomes: Outcomes, kept: Kept) -> Evaluation:
        model = judge.model
        return Evaluation(
            model=str(judge.file) if judge.file else title(model.network.spec),
            data=samples.data.where,
            part=samples.part,
            chosen_by=samples.chosen_by,
            views=self.views,
            views_are=in_words(self.views, model.rule()),
            outcomes=outcomes,
            calibration=calibrated(outcomes, kept, model.metadata.temperature or 1.0),
            bad=samples.bad,
            unlisted=samples.unlisted,
            learned=samples.learned,
            most=self.most,
            digest=model.digest,
        )


def judging(
    models: Sequence[Model | Name],
    data: Data | Samples | Name,
    *,
    part: str | None = None,
    split: Name | None = None,
    class_map: ClassMap | None = None,
    views: str = "one",
    mistakes: int = SHOWN,
    root: Name | None = None,
    max_bad: float | None = None,
    device: str | None = None,
    batch: int = BATCH,
    workers: int | None = None,
    fetching: transfer.Progress | None = None,
) -> Judging:
    """Find out all that can be wrong with models and data before a picture is decoded.

    The options are those of `evaluate`; `fetching` hears of downloads.
    """
    path: Any = str | os.PathLike
    _check(
        (("data", data, path | Data | Samples), ("part", part, str | None), ("split", split, path | None)),
        (("class_map", class_map, Mapping | path | None), ("views", views, str)),
        (("mistakes", mistakes, int), ("root", root, path | None), ("max_bad", max_bad, float | None)),
        (("device", device, str | None), ("batch", batch, int), ("workers", workers, int | None)),
        (("model", model, path | Model) for model in models),
    )
    for name, value, least in (("batch", batch, 1), ("mistakes", mistakes, 0), ("workers", workers, 0)):
        at_least(name, value, least)
    shown, chosen = checked_views(views), isinstance(data, Samples)
    if chosen:
        _refuse(part=part, split=split, root=root, max_bad=max_bad)
    share = MAX_BAD if max_bad is None else max_bad
    check_share(share)
    judges = tuple(_judge(model, device) for model in models)
    if isinstance(data, Samples):
        samples = data
    else:
        _refuse(root=root if isinstance(data, Data) else None)
        beside = [judge.file.parent for judge in judges if judge.file]
        samples = listed_samples(data, part=part, split=split, beside=beside, root=root, fetching=fetching)
    for judge in judges:
        with judge.named():
            matched_labels(judge.model, samples.data, class_map)
    return Judging(judges, samples, chosen, class_map, shown, mistakes, share, batch, workers)


def _check(*options: Iterable[tuple[str, object, Any]]) -> None:
    for name, value, hint in chain(*options):
        checked(name, value, hint)


def _judge(model: Model | Name, device: str | None) -> Judge:
    """Open a model that can be shown pictures."""
    file = None if isinstance(model, Model) else Path(model)
    place = device or ("auto" if file else None)
    if place:
        device_named(place)
    judge = Judge(model if isinstance(model, Model) else load(model), file, place)
    with judge.named():
        judge.model.rule()
    return judge


def _refuse(**options: object) -> None:
    """Refuse what says which pictures to take, where they are taken already."""
    for name, value in options.items():
        if value is not None:
            raise UserError(f"{name}={value!r} is not valid: the pictures are chosen already.")
