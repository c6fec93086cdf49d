"""What the pictures were when a run began: one that has become another stops it, as one that is gone does."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray

from residua.data.checking.checked import Checked, check
from residua.data.dataset import Data
from residua.data.pictures import Files
from residua.data.unchanged import guarded
from residua.errors import UserError
from residua.training.keeping.checkpoint import read
from residua.weights.tensorfile import write

NAME = "pictures.safetensors"
Numbers = NDArray[np.uint64]


def remember(folder: Path, checked: Checked) -> None:
    """Write down what the good pictures are; files are stamped, so that few need to be looked into again."""
    tensors = {"digests": checked.records["digest"][checked.good]}
    if checked.stamps is not None:
        tensors["stamps"] = checked.stamps[checked.good]
    signed = {name: torch.from_numpy(each.view(np.int64).copy()) for name, each in tensors.items()}
    write(folder / NAME, signed, '{"pictures":1}')


def as_they_were(folder: Path, data: Data, say: Callable[[str], None]) -> Data:
    """Return the data whose pictures are those that were written down: of files, each as it is read."""
    path = folder / NAME
    if not path.exists():
        say(f"{path} is gone: pictures that have changed since the training began are not noticed.")
        return data
    try:
        tables: dict[str, Numbers] = {name: each.numpy().view(np.uint64) for name, each in read(path).items()}
    except UserError as error:
        raise UserError(f"{error} Without this file the run goes on, and trusts the pictures.") from None
    digests = tables["digests"]
    if isinstance(data.pictures, Files):
        unstamped = np.zeros_like(digests)  # where the run began with others than files
        return guarded(data, digests, tables.get("stamps", unstamped))
    changed = (check(data).records["digest"] != digests).any(1)
    if changed.any():
        count = "a picture" if changed.sum() == 1 else f"{changed.sum():,} pictures"
        raise UserError(
            f"{count} of {data.where!r} changed since the training began, as "
            f"{data.names[changed.argmax()]!r}: put it back as it was, and "
            f"`residua train --resume {folder.parent}` goes on."
        )
    return data
