"""Files to predictions, as they come: threads decode ahead, the network takes batches, nothing piles up."""

from __future__ import annotations

import os
from collections.abc import Callable, Generator, Iterable
from contextlib import closing
from functools import partial
from itertools import islice
from pathlib import Path

import torch
from torch import Tensor

from residua.data.ahead import ahead, processors
from residua.data.facts import BadImageError
from residua.data.loading.reading import decode_square
from residua.data.sources.walking import Found, walk
from residua.errors import UserError
from residua.files import Name
from residua.judging.predicting.prediction import FileResult, Prediction
from residua.weights.metadata import Preprocessing

Said = list[Prediction | None]  # of each image; None where the network's answer is no number
Ask = Callable[[Tensor], Said]  # of a batch of 8-bit squares
Read = tuple[str, Tensor | str]  # a path, and its square or why there is none

NO_NUMBER = "the network's answer is no number"


def predict_files(
    given: Iterable[Name], rule: Preprocessing, ask: Ask, *, batch: int, workers: int | None = None
) -> Generator[FileResult]:
    """Yield a result for each file and each picture in a folder, in order; a bad one ends nothing.

    At most two batches are read ahead.
    """
    threads = processors() if workers is None else workers
    with closing(ahead(partial(_read, rule=rule), walk(given), threads, 2 * batch)) as squares:
        while some := list(islice(squares, batch)):
            yield from _answered(some, ask)


def predict_file(file: Name, rule: Preprocessing, ask: Ask) -> Prediction:
    """Classify one picture; a bad one is an error, and so is a network whose answer is no number."""
    path = os.fspath(file)
    (said,) = ask(decode_square(named(path), path, rule)[None])
    if said is None:
        raise UserError(f"{path!r} cannot be predicted: {NO_NUMBER}.")
    return said


def named(path: str) -> Path:
    """Return the path of a file; an empty name, which Python takes for the current folder, is a bad file."""
    if not path:
        raise BadImageError(path, "its name is empty")
    return Path(path)


def _read(found: Found, rule: Preprocessing) -> Read:
    if found.reason:
        return found.path, found.reason
    try:
        return found.path, decode_square(named(found.path), found.path, rule)
    except BadImageError as error:
        return found.path, error.reason


def _answered(some: list[Read], ask: Ask) -> list[FileResult]:
    """Ask the network about those that could be read, all at once."""
    squares = [square for _, square in some if isinstance(square, Tensor)]
    answers = iter(ask(_stacked(squares)) if squares else [])
    return [_result(path, square if isinstance(square, str) else next(answers)) for path, square in some]


def _result(path: str, said: Prediction | str | None) -> FileResult:
    return (
        FileResult(path, said) if isinstance(said, Prediction) else FileResult(path, error=said or NO_NUMBER)
    )


def _stacked(squares: list[Tensor]) -> Tensor:
    """Make a batch with the channels last, as the decoder has them: nothing is shuffled in memory."""
    return torch.stack([square.permute(1, 2, 0) for square in squares]).permute(0, 3, 1, 2)
