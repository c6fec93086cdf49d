"""Files to predictions, as they come: threads decode ahead, the network takes batches, nothing piles up."""

from __future__ import annotations

import os
from collections.abc import Callable, Generator, Iterable, Iterator
from contextlib import closing
from dataclasses import asdict, dataclass
from functools import partial
from itertools import chain, islice, takewhile
from pathlib import Path
from typing import TYPE_CHECKING, Any, cast

import torch
from torch import Tensor

from residua.data.ahead import ahead, processors
from residua.data.facts import BadImageError
from residua.data.loading.reading import decode_square
from residua.data.sources.walking import Found, walk
from residua.nets.devices import in_precision
from residua.nets.values import at_least
from residua.weights.metadata import Preprocessing
from residua.weights.preprocessing import normalized

if TYPE_CHECKING:
    from residua.judging.model import Guess, Model, Prediction

Name = str | os.PathLike[str]
Read = tuple[str, Tensor | str]  # a path, and its square or why there is none


@dataclass(frozen=True)
class Predicted:
    """What a model says of one file, or in `error` why nothing can be said."""

    path: str
    label: str | None = None
    id: str | None = None
    probability: float | None = None
    top: tuple[Guess, ...] = ()
    error: str | None = None

    def as_json(self) -> dict[str, Any]:
        """Return `path`, `label`, `id`, `probability` and `top`, or `path` and `error`."""
        if self.error is not None:
            return {"path": self.path, "error": self.error}
        return {name: value for name, value in asdict(self).items() if name != "error"}


def predict_files(
    model: Model,
    given: Iterable[Name | None],
    *,
    top: int,
    batch: int,
    workers: int | None = None,
    precision: str = "fp32",
) -> Generator[Predicted]:
    """Yield a result for each file and each picture in a folder, in order; a bad one ends nothing.

    At most two batches are read ahead. A None among the paths says that the next one may take long: what was
    read so far is then given out, be it less than a batch.
    """
    at_least("batch", batch, 1)
    at_least("workers", workers, 0)
    with in_precision(precision, model.device):
        pass  # what cannot be is said now, not after the first batch
    read = partial(_read, rule=model.rule())
    answer = partial(_answered, model, top=top, precision=precision)
    return _results(walk(given), read, answer, batch, processors() if workers is None else workers)


def predict_file(model: Model, file: Name, top: int, precision: str) -> Prediction:
    """Classify one picture; a bad one is an error."""
    rule = model.rule()
    square = decode_square(Path(file), os.fspath(file), rule)
    return model.classify(normalized(square[None], rule), top, precision)[0]


def _results(
    found: Iterable[Found | None],
    read: Callable[[Found], Read],
    answer: Callable[[list[Read]], list[Predicted]],
    batch: int,
    workers: int,
) -> Generator[Predicted]:
    for stretch in _between_pauses(found):
        with closing(ahead(read, stretch, workers, 2 * batch)) as squares:
            while some := list(islice(squares, batch)):
                yield from answer(some)


def _between_pauses(found: Iterable[Found | None]) -> Iterator[Iterator[Found]]:
    """Divide files at each None; each stretch is to be used up before the next."""
    rest = iter(found)
    for first in rest:
        if first is not None:
            yield chain([first], cast("Iterator[Found]", takewhile(_is_there, rest)))


def _is_there(found: Found | None) -> bool:
    return found is not None


def _read(found: Found, rule: Preprocessing) -> Read:
    if found.reason:
        return found.path, found.reason
    try:
        return found.path, decode_square(Path(found.path), found.path, rule)
    except BadImageError as error:
        return found.path, error.reason


def _answered(model: Model, some: list[Read], top: int, precision: str) -> list[Predicted]:
    """Ask the network about those that could be read, all at once."""
    squares = [square for _, square in some if isinstance(square, Tensor)]
    answers = iter(_asked(model, squares, top, precision) if squares else [])
    return [
        Predicted(path, error=square) if isinstance(square, str) else _of(path, next(answers))
        for path, square in some
    ]


def _asked(model: Model, squares: list[Tensor], top: int, precision: str) -> list[Prediction]:
    # Stacked with the channels last, as the decoder has them: nothing is shuffled in memory.
    pixels = torch.stack([square.permute(1, 2, 0) for square in squares]).permute(0, 3, 1, 2)
    return model.classify(normalized(pixels.to(model.device), model.rule()), top, precision)


def _of(path: str, prediction: Prediction) -> Predicted:
    return Predicted(path, prediction.label, prediction.id, prediction.probability, prediction.top)
